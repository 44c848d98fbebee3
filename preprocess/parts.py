"""A corpus that is binarized in parts on several machines (``binarize --shard``), and what ``merge`` needs to know.

Part i of n holds the lines from ``(i - 1) * N // n`` to ``i * N // n`` of every text of N lines, in the order of the
text, so the parts one after the other are the whole. A data folder that is a part says so in its manifest: ``shard``
is its number, and each text has ``part``: its lines, and what must be the same in all parts.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.data.lengths import LengthCounter
from fairseq_xalign.data.manifest import LINKS_FOLDER, stream_languages
from fairseq_xalign.data.mmap import Writer
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import open_input
from fairseq_xalign.options import pair_file_name

BLOCK = 1 << 20
"""Bytes read at a time."""
OWN_KEYS = ("kind", "language", "source_language", "target_language", "split")
"""What names a stream: the first fields of its entry."""


@dataclass(frozen=True)
class Part:
    """One of several parts of a corpus, numbered from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``i/n``.

        Raises:
            UserError: it is something else, or i is not one of 1 to n.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(
                f"--shard {text} is not a part of a whole", remedy="Write --shard 1/4 for the first of four parts"
            )
        return cls(int(found[1]), int(found[2]))

    @property
    def title(self) -> str:
        return f"part {self.number} of {self.of}"

    def lines(self, total: int) -> tuple[int, int]:
        """The lines of this part of a text: from (counted from 0) and to (excluded)."""
        return total * (self.number - 1) // self.of, total * self.number // self.of

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def part_title(shard: dict[str, int] | None) -> str:
    """What a manifest's ``shard`` says, in words."""
    return Part(**shard).title if shard else "a whole corpus"


def fingerprint(path: str | Path) -> tuple[int, str]:
    """Count the lines of a text, as ``read_lines`` does, and hash its bytes (after decompression)."""
    lines, last, digest = 0, b"\n", hashlib.sha256()
    with open_input(path) as stream:
        while block := stream.read(BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
            digest.update(block)
    return lines + (last != b"\n"), digest.hexdigest()


def text_names(stream: dict[str, Any]) -> list[str]:
    """The prefixes of a new text's files: one for ``mono``, source and target for ``bitext``."""
    languages = stream_languages(stream)
    base = f"{stream['kind']}/{stream['split']}.{pair_file_name(languages)}"
    return [base] if len(languages) == 1 else [f"{base}.{language}" for language in languages]


def links_name(stream: dict[str, Any]) -> str:
    """The prefix of the files with a new bitext's links."""
    return f"{LINKS_FOLDER}{stream['split']}.{pair_file_name(stream_languages(stream))}"


@dataclass
class WrittenLinks:
    """The links of a bitext that are being written.

    Attributes:
        writer: of items of places, as ``data/links.py`` describes them.
        about: what the manifest says of how they were made.
        without: pairs without links.
        dropped: word links that could not be kept, by the reason.
    """

    writer: Writer
    about: dict[str, Any]
    without: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def write(self, flat: np.ndarray, lengths: np.ndarray) -> None:
        """Append the links of some pairs."""
        self.writer.write_many(flat, lengths)
        self.without += int((lengths == 0).sum())

    def entry(self) -> dict[str, Any]:
        """What the manifest says of them, once they are written."""
        counts = {"count": self.writer.tokens // 2, "most": self.writer.longest // 2, "without": self.without}
        return {**counts, "dropped": dict(self.dropped), **self.about}


def dictionary_name(stream: dict[str, Any]) -> str:
    """The file of a new dictionary."""
    return f"dictionary/{pair_file_name(stream_languages(stream))}.tsv"


def text_entry(
    stream: dict[str, Any],
    writers: Sequence[Writer],
    unknown: Sequence[int],
    source: dict[str, Any],
    dropped: Counter[str],
    counter: LengthCounter,
    links: WrittenLinks | None = None,
) -> dict[str, Any]:
    """The manifest's entry of a text that was written, field by field in one order.

    Args:
        stream: its kind, languages and split.
        writers: of its sides, closed.
        unknown: ``<unk>`` in each side.
        source: where it came from.
        dropped: lines (pairs) that were left out, by the reason.
        counter: has counted the lengths.
        links: of a bitext that has them.
    """
    tokens, longest, mono = [w.tokens for w in writers], [w.longest for w in writers], stream["kind"] == "mono"
    entry = {key: stream[key] for key in OWN_KEYS if key in stream}
    entry |= {"sentences": writers[0].items, "tokens": tokens[0] if mono else tokens}
    entry |= {"longest": longest[0] if mono else longest, "unknown": unknown[0] if mono else list(unknown)}
    names = text_names(stream)
    entry["files"] = {f"{n}{part}": w.files[part] for n, w in zip(names, writers) for part in (".bin", ".idx")}
    entry["source"], entry["dropped"] = source, dict(dropped)
    if links:
        entry["files"] |= {f"{links_name(stream)}{part}": links.writer.files[part] for part in (".bin", ".idx")}
        entry["links"] = links.entry()
    if counts := counter.result():
        entry["lengths"] = counts.encode()
    return entry
