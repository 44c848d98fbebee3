"""The data folder: a manifest, a tokenizer and memory-mapped streams of several kinds (docs/design.md, "Data folder").

The manifest alone decides what a folder holds. It is written last, so that an interrupted command leaves the old folder
or none. Opening compares the manifest with the files' sizes, which takes the same time for any amount of text;
``xalign-preprocess check`` compares checksums and contents too.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_xalign.constants import MANIFEST_FILE, SPLITS, SUBWORD_FILE
from fairseq_xalign.data.fairseq_folder import fairseq_manifest
from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.manifest import (
    MADE_WITH,
    links_prefix,
    read_manifest,
    size_problems,
    stream_languages,
    stream_prefixes,
    stream_title,
)
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError, no_folder
from fairseq_xalign.options import language_pair, pair_name

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Return the tokenizer of a subword folder or a data folder."""
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    return Tokenizer.load(path)


def other_split(split: str, manifest: dict[str, Any]) -> str:
    """Return the remedy for a split of a name that no data folder has: the option to change, and what to choose."""
    there = list(dict.fromkeys(s["split"] for s in manifest["streams"] if s["kind"] != "dictionary"))
    return (
        f"{split!r} is not a name of a split ({', '.join(SPLITS)}); this folder has {', '.join(there) or 'no text'}: "
        "change --train-subset or --valid-subset"
    )


class DataFolder:
    """An opened data folder; make one with :meth:`open`.

    Attributes:
        path: the folder.
        manifest: the parsed ``manifest.json`` (in fairseq mode, one that describes the files found).
        languages: their order of record; it only ever grows.
        fairseq_mode: whether there was no manifest.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], fairseq_mode: bool = False) -> None:
        self.path, self.manifest, self.fairseq_mode = path, manifest, fairseq_mode
        self.languages: list[str] = list(manifest["languages"])
        self._mapped: dict[str, MappedTokens] = {}

    @classmethod
    def open(cls, path: str | Path) -> DataFolder:
        """Open a folder and compare its manifest with its files.

        Raises:
            UserError: no such folder, a manifest of a newer version, one part of a corpus, or files that are missing or
                of another size, each with file and remedy.
        """
        path = Path(path)
        if not path.is_dir():
            raise no_folder(path, "Make it with `xalign-preprocess binarize --output`", "no such data folder")
        if not (path / MANIFEST_FILE).exists():
            folder = cls(path, fairseq_manifest(path), fairseq_mode=True)
            warnings.warn(
                f"{path} has no {MANIFEST_FILE}: opened as a folder of fairseq-preprocess, read-only and unchecked. "
                f"`xalign-preprocess check --write-manifest {path}` adopts it.",
                stacklevel=2,
            )
            return folder
        manifest = read_manifest(path)
        if shard := manifest.get("shard"):
            raise UserError(
                f"is part {shard['number']} of {shard['of']} of a corpus that was binarized with --shard",
                path,
                remedy="Join the parts with `xalign-preprocess merge PART... --output DATA`",
            )
        for problem in size_problems(path, manifest):
            raise problem
        return cls(path, manifest)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The folder's tokenizer."""
        if not (self.path / SUBWORD_FILE).exists():
            raise UserError(
                "this data folder has no tokenizer",
                self.path / SUBWORD_FILE,
                remedy=f"Copy {SUBWORD_FILE} and the model file of the subword folder it was made with into it",
            )
        return load_tokenizer(self.path)

    @property
    def can_grow(self) -> bool:
        """Whether `xalign-preprocess binarize` can add text: not to fairseq's folders, which have no tokenizer."""
        return not self.fairseq_mode and (self.path / SUBWORD_FILE).exists()

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return int(self.manifest["vocabulary"]["size"])

    def mono(self, split: str) -> dict[str, MappedTokens]:
        """Return the monolingual text of a split by language, in the order of ``languages``."""
        found = {s["language"]: self._mapped_streams(s)[0] for s in self._streams("mono", split)}
        return {language: found[language] for language in self.languages if language in found}

    def bitext(self, split: str) -> dict[tuple[str, str], tuple[MappedTokens, MappedTokens]]:
        """Return the bitext of a split by (source, target): item i of one side translates item i of the other."""
        found = {}
        for stream in self._streams("bitext", split):
            source, target = self._mapped_streams(stream)
            found[stream["source_language"], stream["target_language"]] = (source, target)
        return found

    def links(self, split: str) -> dict[tuple[str, str], MappedTokens]:
        """Return the links of a split's bitext by (source, target), of pairs that have them (``data/links.py``)."""
        return {
            (stream["source_language"], stream["target_language"]): self._mapped_links(stream)
            for stream in self._streams("bitext", split)
            if self._has_links(stream)
        }

    def dictionaries(self) -> dict[tuple[str, str], Path]:
        """Return the dictionary file of every (source, target)."""
        return {
            (s["source_language"], s["target_language"]): self.path / next(iter(s["files"]))
            for s in self._streams("dictionary")
        }

    def lengths(self, kind: str, split: str) -> dict[Any, LengthCounts]:
        """Return how many sentences of each length a split has, by language or by (source, target).

        Text that was binarized by a version that did not count them is missing.

        Raises:
            UserError: the manifest holds something else.
        """
        found = {}
        for stream in self._streams(kind, split):
            if "lengths" in stream:
                languages = stream_languages(stream)
                try:
                    counts = LengthCounts.decode(stream["lengths"], len(languages))
                    if counts.counts.sum() != stream["sentences"]:
                        raise ValueError("another number of sentences")
                except (ValueError, TypeError) as error:
                    what = f"damaged: the lengths of {stream_title(stream)} cannot be read"
                    raise UserError(what, self.path / MANIFEST_FILE, remedy=MADE_WITH) from error
                found[languages[0] if kind == "mono" else languages] = counts
        return found

    def checksum(self, kinds: Collection[str], split: str, languages: Collection[str], links: bool = False) -> str:
        """Return a short hash of the texts of a split: the streams of these kinds all of whose languages are listed.

        A folder made by fairseq has no checksums: there only the sizes of the files count.

        Args:
            links: hash the links of these texts instead.
        """
        contents = []
        for stream in (s for kind in kinds for s in self._streams(kind, split)):
            wanted = {links_prefix(stream)} if links else {*stream_prefixes(stream)}
            contents += [
                (stream_title(stream), about.get("sha256") or about["size"])
                for name, about in sorted(stream["files"].items())
                if name.removesuffix(".bin") in wanted and set(stream_languages(stream)) <= set(languages)
            ]
        return hashlib.sha256(json.dumps(sorted(contents, key=str)).encode()).hexdigest()[:16]

    def require(self, kind: str, split: str | None = None, names: Sequence[str] | None = None) -> dict[Any, Any]:
        """Return what :meth:`mono`, :meth:`bitext` or :meth:`dictionaries` returns, and refuse if any of it is missing.

        Args:
            kind: ``mono``, ``bitext`` or ``dictionary``.
            split: ``train``, ``valid`` or ``test``; None for dictionaries.
            names: languages (``en``) or pairs (``en-de``, ``zh-TW:pt-BR``) that must be there; only these are
                returned, in this order. None takes all, at least one.

        Raises:
            UserError: a stream is missing or empty; it says what to run.
        """
        found: dict[Any, Any]
        if kind == "dictionary":
            found = dict(self.dictionaries())
        else:
            found = dict(self.mono(str(split)) if kind == "mono" else self.bitext(str(split)))
        keys: list[Any] = list(found)
        if names is not None:
            keys = [name if kind == "mono" else language_pair(name, kind, self.languages) for name in names]
        elif not keys:
            raise self._missing(kind, split, "XX" if kind == "mono" else "XX-YY")
        for key in keys:
            name = key if kind == "mono" else pair_name(key)
            if key not in found:
                raise self._missing(kind, split, name)
            if kind != "dictionary" and not len(found[key] if kind == "mono" else found[key][0]):
                raise UserError(
                    f"{kind} {split} {name} is empty", self.path, remedy=self._how_to_make(kind, split, name)
                )
        return {key: found[key] for key in keys}

    def _missing(self, kind: str, split: str | None, name: str) -> UserError:
        there = [stream_title(s) for s in self.manifest["streams"] if s["kind"] == kind]
        title = " ".join(filter(None, [kind, split, name if "XX" not in name else "stream"]))
        return UserError(
            f"no {title} in this data folder ({kind} streams there: {', '.join(there) or 'none'})",
            self.path,
            remedy=self._how_to_make(kind, split, name),
        )

    def _how_to_make(self, kind: str, split: str | None, name: str) -> str:
        """Return a remedy that can be followed: a command that adds the stream, or what can be chosen instead."""
        if split is not None and split not in SPLITS:
            return other_split(split, self.manifest)
        if not self.can_grow:
            return "Give a folder that has it, made by `xalign-preprocess binarize` or by fairseq-preprocess"
        files = "FILE,FILE" if kind == "bitext" else "FILE"
        when = f" --split {split}" if split else ""
        run = f"xalign-preprocess binarize --subword {self.path} --{kind} {name}={files}{when} --output {self.path}"
        return f"Run `{run}`"

    def _streams(self, kind: str, split: str | None = None) -> Iterator[dict[str, Any]]:
        return (s for s in self.manifest["streams"] if s["kind"] == kind and (split is None or s["split"] == split))

    def _mapped_streams(self, stream: dict[str, Any]) -> list[MappedTokens]:
        """Map a stream's files once; the counts of manifest and index must agree."""
        return self._map(stream, stream_prefixes(stream))

    def _has_links(self, stream: dict[str, Any]) -> bool:
        return links_prefix(stream) is not None

    def _mapped_links(self, stream: dict[str, Any]) -> Any:
        """Map the links of a bitext that has them."""
        prefix = links_prefix(stream)
        assert prefix is not None
        return self._map(stream, [prefix])[0]

    def _map(self, stream: dict[str, Any], prefixes: Sequence[str]) -> list[MappedTokens]:
        mapped = []
        for prefix in prefixes:
            if prefix not in self._mapped:
                self._mapped[prefix] = MappedTokens(self.path / prefix)
                self._mapped[prefix].expect_random_reading()  # units are drawn by a permutation
            if len(self._mapped[prefix]) != stream["sentences"]:
                raise UserError(
                    f"has {len(self._mapped[prefix])} sentences, but {MANIFEST_FILE} says {stream['sentences']}",
                    self.path / f"{prefix}.idx",
                    remedy=f"Binarize {stream_title(stream)} again",
                )
            mapped.append(self._mapped[prefix])
        return mapped
