"""Train a small dependency parser on treebanks of Universal Dependencies, for derive --transform syn (extra syntax).

The parser is a pipeline of spaCy for running text: sentence boundaries, UPOS tags and dependencies. Where the models of
Stanza can be downloaded, derive takes them instead (--parser stanza), as ALIGN-MLM does, and you need not train
anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.errors import UserError
from preprocess.parsers.interface import Unparsed
from preprocess.parsers.loading import load_parser
from preprocess.parsers.spacy_parser import DEFAULT_PASSES, train

EXAMPLE = """examples:
  xalign-preprocess fetch ud-english-ewt
  xalign-preprocess parser --treebank en_ewt-ud-train.conllu --dev en_ewt-ud-dev.conllu \\
      --test en_ewt-ud-test.conllu --output english-parser"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--treebank", action="append", required=True, metavar="FILE", help="CoNLL-U to learn from; may be repeated."
    )
    parser.add_argument(
        "--dev",
        action="append",
        required=True,
        metavar="FILE",
        help="CoNLL-U file on which the best checkpoint is chosen.",
    )
    parser.add_argument(
        "--test",
        action="append",
        default=[],
        metavar="FILE",
        help="CoNLL-U file on which accuracy is reported (default: none).",
    )
    parser.add_argument("--language", default="en", help="Language of the tokenizer of spaCy (default: %(default)s).")
    parser.add_argument(
        "--passes",
        type=int,
        default=DEFAULT_PASSES,
        metavar="N",
        help="Passes over the treebanks (default: %(default)s).",
    )
    parser.add_argument("--seed", type=int, default=1, help="Seed of weights and order (default: %(default)s).")
    parser.add_argument("--output", required=True, metavar="DIR", help="Folder to write; it must not exist.")


def run(args: argparse.Namespace) -> int:
    """Train, write and score the parser that the command line asks for."""
    output = Path(args.output)
    if output.exists():
        raise UserError("the folder exists already", output, remedy="Name another --output, or delete it")
    if args.passes < 1:
        raise UserError(f"--passes {args.passes}", remedy="Give at least 1")
    with files.atomic_folder(output) as folder:
        scores = train(args.treebank, args.dev, folder, args.language, args.passes, args.seed)
    cli.say(f"wrote {output}: LAS {100 * scores['dep_las']:.1f}, UPOS {100 * scores['pos_acc']:.1f} on {args.dev[0]}")
    for path in args.test:
        score = accuracy(output, path)
        cli.say(f"{path}: LAS {score['las']:.1f}, UAS {score['uas']:.1f}, UPOS {score['upos']:.1f}, gold tokens")
    return 0


def accuracy(parser: str | Path, path: str | Path) -> dict[str, float]:
    """Score a parser on the words of a treebank.

    Args:
        parser: as ``--parser``.
        path: CoNLL-U, whose words and sentences are given to the parser.

    Returns:
        per cent of all words, punctuation included, whose head (``uas``), head and universal relation (``las``), or tag
        (``upos``) are right: the definitions of the CoNLL 2018 shared task, whose relations end before the colon.
    """
    gold = list(conllu.read(path))
    words = (Unparsed(sentence.column(conllu.FORM), attached=False) for sentence in gold)
    right = {"las": 0, "uas": 0, "upos": 0}
    total = 0
    for sentence, parsed in zip(gold, load_parser(str(parser)).parse(words)):
        found = _joined(parsed)
        for row, (tag, head, relation) in zip(sentence.rows, found, strict=True):
            total += 1
            same = int(row[conllu.HEAD]) == head
            right["uas"] += same
            right["las"] += same and row[conllu.DEPREL].partition(":")[0] == relation.partition(":")[0]
            right["upos"] += row[conllu.UPOS] == tag
    if not total:
        raise UserError("no words in it", path, remedy="Give a treebank in CoNLL-U")
    return {name: 100 * count / total for name, count in right.items()}


def _joined(sentences: Sequence[Sequence[Sequence[str]]]) -> list[tuple[str, int, str]]:
    """Tag, head and relation of all words, heads numbered through the sentences that the parser made of one."""
    found: list[tuple[str, int, str]] = []
    for rows in sentences:
        first = len(found)
        for row in rows:
            head = int(row[conllu.HEAD])
            found.append((row[conllu.UPOS], first + head if head else 0, row[conllu.DEPREL]))
    return found
