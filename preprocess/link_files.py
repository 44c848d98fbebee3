"""Files of word links as `binarize` reads them: what was noted when they were made, and whether they fit a bitext.

`links` writes ``FILE.manifest.json`` beside its output: what counted as a word, and hashes of the links and of both
texts. Numbers of words mean nothing without them: with other words, other text, or the sides swapped, most links are
still in range and wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.data.manifest import stream_languages, stream_title
from fairseq_xalign.data.words import WORD_KINDS
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.files import read_json, write_json
from fairseq_xalign.options import pair_name
from preprocess.encoding import count_lines
from preprocess.parts import WrittenLinks, fingerprint
from preprocess.piece_links import FROM_ONE, SWAPPED, EncodedLinks

NOTE_FORMAT = 1
USUAL_WORDS = "split"
"""What links count as words where nothing is noted and nothing is said."""
ENOUGH_LINKS = 100
"""So many links without a single 0 count from 1."""


def note_of(path: str | Path) -> Path:
    """The note beside a file of links."""
    return Path(f"{path}.manifest.json")


def write_note(path: str | Path, words: str, files: tuple[str, str], made: dict[str, Any] | None = None) -> None:
    """Write the note beside a file of links that is complete.

    Args:
        words: what counted as a word, one of ``data.words.WORD_KINDS``.
        files: the texts of both sides.
        made: how the links were made, for people.
    """
    lines, digest = fingerprint(path)
    source, target = (fingerprint(file)[1] for file in files)
    texts = {"source": {"file": files[0], "sha256": source}, "target": {"file": files[1], "sha256": target}}
    write_json(
        note_of(path),
        {"format": NOTE_FORMAT, "words": words, "lines": lines, "sha256": digest, **texts, **(made or {})},
    )


def read_note(path: str | Path, digest: str) -> dict[str, Any] | None:
    """The note beside a file of links with this hash; None where there is none, or it is of another file.

    Raises:
        UserError: it is damaged, or of a newer version.
    """
    place = note_of(path)
    if not place.exists():
        return None
    note = read_json(place)
    try:
        if note["format"] > NOTE_FORMAT:
            raise UserError(
                f"format {note['format']} is newer than this fairseq_xalign", place, remedy="Install a newer one"
            )
        note["words"], note["source"]["sha256"], note["target"]["sha256"]
        same = note["sha256"] == digest
    except (KeyError, TypeError) as error:
        raise UserError(f"damaged: {error!r} is missing", place, remedy="Make the links again, or remove it") from error
    if not same:
        cli.say(f"{place} was written for other links: it is not read")
    return note if same else None


def ask_links(streams: list[dict[str, Any]], pair: tuple[str, str], file: str, pieces: str, words: str | None) -> None:
    """Note in the entry of a bitext that is to be binarized where its links are and how they are read.

    Args:
        streams: what is binarized.
        pieces, words: ``--link-pieces`` and ``--link-words``.

    Raises:
        UserError: the bitext is not among them or has links already; the file has another number of lines; or a note
            beside it says that its links are of other text, or count other words.
    """
    stream = _bitext(streams, pair, file)
    if "links" in stream:
        raise UserError(f"the links of {stream_title(stream)} are given twice", remedy="Give --links once per pair")
    texts = stream["source"]["files"]
    lines, expected = count_lines(file), count_lines(texts[0])
    if lines != expected:
        raise UserError(
            f"has {lines} lines of links, but {stream_title(stream)} has {expected} pairs",
            file,
            remedy="Give a line for each pair, an empty one where nothing is linked",
        )
    if words is not None and words not in WORD_KINDS:
        raise unknown_name("--link-words", words, tuple(WORD_KINDS))
    noted = noted_words(file, (texts[0], texts[1]), words)
    stream["links"] = {"pieces": pieces, "words": words or noted or USUAL_WORDS, "file": file}


def _bitext(streams: list[dict[str, Any]], pair: tuple[str, str], file: str) -> dict[str, Any]:
    """The bitext of a pair among what is binarized."""
    bitext = {stream_languages(s): s for s in streams if s["kind"] == "bitext"}
    if pair in bitext:
        return bitext[pair]
    name, turned = pair_name(pair), pair_name(pair[::-1])
    raise UserError(
        f"--links {name}={file} has no --bitext {name} beside it",
        remedy=f"The bitext is {turned}: name its links so, and swap the numbers of every link if they count {pair[0]} "
        "first"
        if pair[::-1] in bitext
        else f"Add --bitext {name}=FILE,FILE: links are mapped to the pieces of its text",
    )


def noted_words(file: str, texts: tuple[str, str], words: str | None = None) -> str | None:
    """What a note beside a file says that its links count as words; None without a note.

    Args:
        texts: the files whose lines are linked.
        words: what the user says that they count.

    Raises:
        UserError: the note says something else, or its links are of other texts or have their sides swapped.
    """
    note = read_note(file, fingerprint(file)[1]) if note_of(file).exists() else None
    if note is None:
        return None
    if words not in (None, note["words"]):
        raise UserError(
            f"its words were counted with --words {note['words']}",
            file,
            remedy="Leave --link-words out, or say the same",
        )
    ours, theirs = [fingerprint(text)[1] for text in texts], [note[side]["sha256"] for side in ("source", "target")]
    if ours != theirs:
        raise UserError(
            f"these links are of {note['source']['file']} and {note['target']['file']}, whose text is not that of "
            f"{' and '.join(texts)}",
            file,
            remedy=SWAPPED if ours == theirs[::-1] else "Link the text that is given here",
        )
    return str(note["words"])


@dataclass
class LinkReport(WrittenLinks):
    """The links of a bitext that is being encoded, and how many word links were read, and how many of them have a 0."""

    read: int = 0
    zeros: int = 0

    def add(self, found: EncodedLinks) -> None:
        """Write the links of a chunk."""
        self.write(found.flat, found.lengths)
        self.read, self.zeros = self.read + found.read, self.zeros + found.zeros
        self.dropped.update(found.dropped)

    def check(self, whole: bool = True) -> None:
        """Refuse, at the end, links that are in range and still cannot be meant.

        Args:
            whole: all links of the corpus were read, not those of a part of it.

        Raises:
            UserError: nothing is linked, or no link of many has a 0.
        """
        if whole and not self.read:
            raise UserError("no links: every line is empty", self.about["file"], remedy="Give links, or leave it out")
        if self.read >= ENOUGH_LINKS and not self.zeros:
            raise UserError(f"none of {self.read} links is of a first word (0)", self.about["file"], remedy=FROM_ONE)
