"""``manifest.json`` of a data folder: its streams, and whether the files on disk are those it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import DATA_FORMAT, MANIFEST_FILE
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json
from fairseq_xalign.options import pair_name

KINDS = ("mono", "bitext", "dictionary")
LINKS_FOLDER = "links/"
"""Where the links of bitext are kept."""
MADE_WITH = "Make the folder again with `xalign-preprocess binarize`"


def stream_languages(stream: Mapping[str, Any]) -> tuple[str, ...]:
    """``("en",)`` for monolingual text, ``("en", "de")`` for bitext and dictionaries."""
    if stream["kind"] == "mono":
        return (stream["language"],)
    return (stream["source_language"], stream["target_language"])


def stream_title(stream: Mapping[str, Any]) -> str:
    """The name of a stream in messages: ``mono train en``, ``bitext valid en-de``, ``dictionary zh-TW:pt-BR``."""
    languages = stream_languages(stream)
    name = languages[0] if len(languages) == 1 else pair_name(languages)
    return " ".join(filter(None, [stream["kind"], stream.get("split"), name]))


def stream_prefixes(stream: Mapping[str, Any]) -> list[str]:
    """The prefixes of a stream's mapped files within the folder: one for ``mono``, source and target for ``bitext``."""
    return [name for name in _mapped(stream) if name != links_prefix(stream)]


def links_prefix(stream: Mapping[str, Any]) -> str | None:
    """The prefix of the mapped files with the links of a bitext (``data/links.py``); None where it has no links."""
    if not stream.get("links"):
        return None
    return next((name for name in _mapped(stream) if name.startswith(LINKS_FOLDER)), None)


def _mapped(stream: Mapping[str, Any]) -> list[str]:
    return [name.removesuffix(".bin") for name in stream["files"] if name.endswith(".bin")]


def format_of(streams: Iterable[Mapping[str, Any]]) -> int:
    """The lowest format number that describes some streams: versions that know no links refuse what has them."""
    return 2 if any(stream.get("links") for stream in streams) else 1


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read and check the manifest of a folder, without looking at its other files.

    Raises:
        UserError: it is missing, damaged or of a newer version.
    """
    file = Path(path) / MANIFEST_FILE
    manifest = read_json(file)
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise UserError("not the manifest of a data folder: it has no format number", file, remedy=MADE_WITH)
    if version > DATA_FORMAT:
        raise UserError(
            f"format {version} is newer than this fairseq_xalign, which knows formats up to {DATA_FORMAT}",
            file,
            remedy="Install the version that made it, or a newer one",
        )
    try:
        size = manifest["vocabulary"]["size"], manifest["vocabulary"]["sha256"]
        known = set(manifest["languages"])
        for stream in manifest["streams"]:
            if stream["kind"] not in KINDS or not set(stream_languages(stream)) <= known or not stream["files"]:
                raise UserError(f"damaged: it lists an impossible stream: {stream}", file, remedy=MADE_WITH)
            if stream["kind"] != "dictionary" and len(stream_prefixes(stream)) != len(stream_languages(stream)):
                raise UserError(f"damaged: {stream_title(stream)} names the wrong files", file, remedy=MADE_WITH)
            if stream.get("links") and links_prefix(stream) is None:
                raise UserError(f"damaged: no file has the links of {stream_title(stream)}", file, remedy=MADE_WITH)
            _check_stream(stream)
        tokenizer = manifest.get("tokenizer") or {"sha256": ""}
        if not isinstance(size[0], int) or not isinstance(tokenizer, dict):
            raise TypeError("vocabulary or tokenizer")
        tokenizer["sha256"]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise UserError(f"damaged: {error!r} is missing or of the wrong kind", file, remedy=MADE_WITH) from error
    return manifest


COUNTS = ("tokens", "longest", "unknown")
"""What a text's entry may count beside its sentences, of bitext once per side."""


def _check_stream(stream: Mapping[str, Any]) -> None:
    """Raise a built-in error for an entry without what the commands read, or with a value of another type."""
    for name, about in stream["files"].items():
        if not (isinstance(about["size"], int) and isinstance(about["sha256"], str | None)):
            raise TypeError(f"files: {name}")
    if stream["kind"] == "dictionary":
        if not isinstance(stream["entries"], int):
            raise TypeError("entries")
        return
    if not isinstance(stream["split"], str):
        raise TypeError("split")
    if not _whole([stream["sentences"]]):
        raise TypeError("sentences")
    for key in COUNTS:
        value = stream.get(key)
        if isinstance(value, list) and len(value) != len(stream_languages(stream)):
            raise TypeError(key)
        if value is not None and not _whole(value if isinstance(value, list) else [value]):
            raise TypeError(key)


def _check_part(stream: Mapping[str, Any]) -> None:
    """The same for what only the parts of a corpus have."""
    part, dropped = stream["part"], [stream["dropped"]]
    if stream.get("links"):
        dropped.append(stream["links"]["dropped"])
        stream["links"]["pieces"], stream["links"]["words"], stream["links"]["file"]
    if not all(_whole(counts.values()) for counts in dropped):
        raise TypeError("dropped")
    if not _whole([part["of"]]) or not all(isinstance(each, str) for each in part["sha256"]) or not part["sha256"]:
        raise TypeError("part")
    part["max_length"], stream["source"], stream["unknown"]


def check_shard(manifest: Mapping[str, Any], file: Path) -> None:
    """Refuse the manifest of a part that lacks what joining the parts needs.

    Raises:
        UserError: naming it.
    """
    try:
        if not _whole([manifest["shard"]["number"], manifest["shard"]["of"]]) or len(manifest["shard"]) != 2:
            raise TypeError("shard")
        manifest["tokenizer"]["sha256"]
        for stream in manifest["streams"]:
            if stream["kind"] != "dictionary":
                _check_part(stream)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"damaged: {error!r} is missing or of the wrong kind", file, remedy=MADE_WITH) from error


def _whole(values: Iterable[Any]) -> bool:
    """Whether all values are whole numbers."""
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def size_problems(path: Path, manifest: Mapping[str, Any]) -> Iterator[UserError]:
    """One error for every file of the manifest that is missing or of another size."""
    for stream in manifest["streams"]:
        for name, about in stream["files"].items():
            remedy = f"Binarize {stream_title(stream)} again, or copy the file again if it was copied"
            file = path / name
            if not file.is_file():
                yield UserError(f"missing, although {MANIFEST_FILE} lists it", file, remedy=remedy)
            elif file.stat().st_size != about["size"]:
                yield UserError(
                    f"{file.stat().st_size} bytes long, but {MANIFEST_FILE} says {about['size']}", file, remedy=remedy
                )
