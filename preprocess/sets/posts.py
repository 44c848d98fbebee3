"""Sentiment of posts in Arabic, Japanese and Hindi, on which TPP (Mishra and Haghighi 2021, Appendix B) tests.

===========  =========================================================================================
set          to cite
===========  =========================================================================================
abdulla2013  Abdulla et al., Arabic Sentiment Analysis: Corpus-based and Lexicon-based, AEECT 2013
suzuki2019   Suzuki, Twitter data set for Japanese sentiment analysis, 2019
sail2015     Patra et al., Shared Task on Sentiment Analysis in Indian Languages (SAIL) Tweets, 2015
===========  =========================================================================================

TPP leaves neutral posts out, and so do these readers unless ``--drop none`` is given.

The Japanese and the Hindi set are ids of posts with labels: Twitter's terms forbid passing their texts on. The texts
must be downloaded from Twitter by id, into ``tweets.jsonl`` beside the ids, in the form in which twarc writes them
(https://twarc-project.readthedocs.io). Posts that were deleted since are left out and counted, so that scores on these
sets are not quite those of the paper.

TPP trains on English only. Its Arabic and Japanese sets are published undivided: all of each is ``test``. SAIL's files
are those that the shared task gave out for training, and stay ``train``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.inputs import open_input
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import CONFLICTING, REPEATED, Counts, Part, PublishedSet, matching, text_row

NEUTRAL = "neutral"
LABELS = ("negative", NEUTRAL, "positive")
TEXTS = "tweets.jsonl"
"""Where the texts of posts are expected; ``tweets-1.jsonl`` and the like are read too."""
BY_ID = "(the posts, downloaded from Twitter by id)"
DOWNLOAD = (
    "The set has only ids: download the posts from Twitter, for example with twarc2 hydrate ids.txt tweets.jsonl, and "
    "put that file below --from"
)
TWARC = "A line is a post, or a page of posts, as twarc writes it"
NO_TEXT = f"posts without a text in {TEXTS}, left out"


def _one_line(text: str) -> str:
    """A text without line ends, which posts may have."""
    return " ".join(text.split())


# Arabic


ARABIC = "cp1256"
"""Windows-1256, the encoding of nine of the 2,000 files; the others are UTF-8."""


def _abdulla(paths: Sequence[Path], counts: Counts) -> Iterator[FileRow]:
    """A post per file, whose folder is its label."""
    for path in paths:
        with open_input(path) as stream:
            content = stream.read()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode(ARABIC, errors="replace")
            counts["files in Windows-1256 converted"] += 1
        yield text_row(path.name.partition(".")[0], _one_line(text), path.parent.name.lower(), 1, path)


def find_abdulla(folder: Path) -> Iterator[Part]:
    """``Positive/positive1.txt`` to ``Negative/negative1000.txt``, in the order of their numbers."""
    found = matching(folder, r"(Positive/positive|Negative/negative)(?P<number>\d+)\.txt")
    paths = [one.path for one in sorted(found, key=lambda one: (one.path.parent.name, int(one.groups["number"])))]
    if paths:
        yield Part("test", "ar", folder, partial(_abdulla, paths))


# Posts by id


def _texts(folder: Path) -> dict[str, str]:
    """The texts of the posts below a folder by their ids.

    Raises:
        UserError: if there are none, and for a line that is not as twarc writes it.
    """
    paths = [one.path for one in matching(folder, r"tweets[^/]*\.jsonl")]
    if not paths:
        raise UserError(f"no {TEXTS}, the texts of the posts", folder, remedy=DOWNLOAD)
    return {
        name: text
        for path in paths
        for line, row in json_lines.read(path, TWARC)
        for name, text in _posts(row, path, line)
    }


def _posts(row: dict[str, Any], path: Path, line: int) -> Iterator[tuple[str, str]]:
    """(id, text) of the posts of a line: a post of either version of Twitter's interface, or a page of several."""
    posts = row.get("data", [row])
    if not isinstance(posts, list) or not all(isinstance(post, dict) for post in posts):
        raise UserError("'data' must be a list of posts", path, line, TWARC)
    for post in posts:
        name = json_lines.identifier(post, "id_str" if "id_str" in post else "id", path, line)
        [text] = json_lines.texts(post, ["full_text" if "full_text" in post else "text"], path, line)
        yield name, _one_line(text)


MARKS = ("both", "positive", "negative", NEUTRAL, "unrelated")
"""The last five columns of ``tweets_open.csv``: 1 for what most annotators chose; several are 1 where they tied."""
COLUMNS = 3 + len(MARKS)
OTHER_MARKS = f"posts with another mark than one of positive, negative and {NEUTRAL}, left out"


def _suzuki(path: Path, folder: Path, counts: Counts) -> Iterator[FileRow]:
    """Number of the example, topic, id of the post, and five marks, in columns without names."""
    texts = _texts(folder)
    for line, content in read_lines(path):
        fields = content.split(",")
        if len(fields) != COLUMNS:
            raise UserError(f"{len(fields)} columns instead of {COLUMNS}", path, line, json_lines.GET_AGAIN)
        name, _, post, *marks = fields
        if set(marks) - {"0", "1"}:
            raise UserError(f"marks {','.join(marks)}, not each 0 or 1", path, line, json_lines.GET_AGAIN)
        chosen = [label for label, mark in zip(MARKS, marks) if mark == "1"]
        if len(chosen) != 1 or chosen[0] not in LABELS:
            counts[OTHER_MARKS] += 1
        elif post not in texts:
            counts[NO_TEXT] += 1
        else:
            yield text_row(name, texts[post], chosen[0], line)


def find_suzuki(folder: Path) -> Iterator[Part]:
    """``tweets_open.csv``, which is published as ``tweets_open.csv.bz2``."""
    for one in matching(folder, r"tweets_open\.csv"):
        yield Part("test", "ja", one.path, partial(_suzuki, one.path, folder))


SAIL = {"POS": "positive", "NEG": "negative", "NEU": NEUTRAL}


def _sail(files: Mapping[Path, str], folder: Path, counts: Counts) -> Iterator[FileRow]:
    """The id of a post per line, in a file for each label."""
    texts = _texts(folder)
    seen: dict[str, str] = {}
    for path, label in files.items():
        for line, content in read_lines(path):
            name = content.strip()
            if not name:
                continue
            if not name.isdecimal():
                raise UserError(f"not the id of a post: {name[:40]!r}", path, line, json_lines.GET_AGAIN)
            if name in seen:
                counts[REPEATED if seen[name] == label else CONFLICTING] += 1
            elif name not in texts:
                counts[NO_TEXT] += 1
            else:
                yield text_row(name, texts[name], label, line, path)
            seen.setdefault(name, label)


def find_sail(folder: Path) -> Iterator[Part]:
    """``HI_POS.txt``, ``HI_NEG.txt`` and ``HI_NEU.txt`` of ``HI_Train_SAIL2015``."""
    found = matching(folder, rf"HI_(?P<label>{'|'.join(SAIL)})\.(txt|TXT)")
    files = {one.path: SAIL[one.groups["label"]] for one in found}
    if files:
        yield Part("train", "hi", folder, partial(_sail, files, folder))


SETS = (
    PublishedSet("abdulla2013", "classification", "Positive/positive1.txt, ..., Negative/negative1.txt, ...",
                 find_abdulla, "https://archive.ics.uci.edu/dataset/293", "CC BY 4.0", ("negative", "positive")),
    PublishedSet("suzuki2019", "classification", f"tweets_open.csv (marks and ids of posts) and {TEXTS} {BY_ID}",
                 find_suzuki, "http://www.db.info.gifu-u.ac.jp/data/Data_5d832973308d57446583ed9f",
                 "see its site; posts: Twitter's terms", LABELS, dropped=(NEUTRAL,)),
    PublishedSet("sail2015", "classification", f"HI_POS.txt, HI_NEG.txt, HI_NEU.txt (ids of posts) and {TEXTS} {BY_ID}",
                 find_sail, "http://amitavadas.com/SAIL/data.html",
                 "for research, see its site; posts: Twitter's terms", LABELS, dropped=(NEUTRAL,)),
)  # fmt: skip
