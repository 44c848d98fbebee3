"""Link the words of parallel text that translate each other, and write a Pharaoh file (`0-0 1-2`, one line per pair).

Numbers are positions of words, counted from 0, source first; a line is empty if nothing is linked. A word is a run of
letters and digits, one Chinese character, or one punctuation mark; with --words space, words are what spaces and tabs
separate, as in text that is tokenized already. The aligner sees words in lower case.

Words are linked in each direction, and --symmetrize combines the two. The same text gives the same links, however many
cores there are. The aligner diagonal, our own, uses two cores and memory that grows with the number of distinct word
pairs that occur in a sentence pair, not with the text (at most 440 MB in one process for 57,000 sentence pairs); in the
folder for temporary files (TMPDIR) it needs 4 bytes for each word pair of each sentence pair, 130 MB for this text.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.data.formats.pharaoh import Links
from fairseq_xalign.data.words import WORD_KINDS
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.options import add_sides, named_sides
from fairseq_xalign.outputs import is_special, refuse_to_replace
from preprocess.aligners.registry import ALIGNERS, DEFAULT
from preprocess.aligners.symmetrize import SYMMETRIZE
from preprocess.link_files import write_note
from preprocess.words import write_words

EXAMPLE = """examples:
  xalign-preprocess links --source en=pair.en --target de=pair.de --output links.en-de
  xalign-preprocess links --source ja=kftt.ja --target en=kftt.en --words space --output links.ja-en
  xalign-preprocess links --source en=pair.en --target de=pair.de --prepare words.en-de   # for another aligner"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_sides(parser)
    parser.add_argument(
        "--words",
        choices=list(WORD_KINDS),
        default="split",
        help="What a word is: split separates punctuation and Chinese characters; space takes what spaces and "
        "tabs separate, for text that is tokenized already (default: %(default)s).",
    )
    parser.add_argument(
        "--aligner",
        choices=list(ALIGNERS),
        default=DEFAULT,
        help="What links words: diagonal needs no other package; fast_align is the program of systran-align (extra "
        "align, Python 3.11 only) on one core. Both estimate the same model (default: %(default)s).",
    )
    parser.add_argument(
        "--symmetrize",
        choices=sorted(SYMMETRIZE),
        default="gdfa",
        help="How to combine the two directions: intersect keeps the links found in both, which are few and reliable; "
        "union keeps the links found in either; gdfa (grow-diag-final-and) lies between the two (default: "
        "%(default)s).",
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--output", metavar="FILE", help="Pharaoh file to write.")
    output.add_argument(
        "--prepare",
        metavar="FILE",
        help="Write lines of `words ||| words`, the input of other aligners, and link nothing.",
    )


def run(args: argparse.Namespace) -> int:
    """Write the file that the command line asks for."""
    (_, source), (_, target) = named_sides(args)
    if args.prepare:
        prepare(source, target, args.prepare, args.words)
    else:
        write_links(source, target, args.output, args.symmetrize, args.words, args.aligner)
    return 0


def prepare(source: str, target: str, output: str | Path, words: str = "split") -> int:
    """Write the words of two parallel files as other aligners read them; return the number of sentence pairs."""
    refuse_to_replace((source, target), [output])
    with files.atomic_file(output) as stream:
        written = write_words(source, target, stream, words, empty=True)
        _check_not_empty(written, source)
    cli.say(f"{output}: the words of {written} sentence pairs")
    return written


def write_links(
    source: str,
    target: str,
    output: str | Path,
    symmetrize: str = "gdfa",
    words: str = "split",
    aligner: str = DEFAULT,
) -> int:
    """Link the words of two parallel files and write a Pharaoh file and its note; return the number of links.

    Args:
        source, target: text files whose lines are translations of each other.
        symmetrize: how the two directions are combined, a key of ``SYMMETRIZE``.
        words: what a word is, a key of ``WORD_KINDS``.
        aligner: a key of ``ALIGNERS``.
    """
    refuse_to_replace((source, target), [output])
    pairs = count = empty = 0
    with files.atomic_file(output) as stream:
        for links in align(source, target, symmetrize, words, aligner):
            stream.write(pharaoh.line_of(links) + "\n")
            pairs, count, empty = pairs + 1, count + len(links), empty + (not links)
        _check_not_empty(pairs, source)
    if not is_special(output):
        write_note(output, words, (source, target), {"aligner": aligner, "symmetrize": symmetrize})
    cli.say(f"{output}: {counted(count, 'link')} in {counted(pairs, 'sentence pair')}, {empty} without any")
    return count


def _check_not_empty(pairs: int, source: str) -> None:
    if not pairs:
        raise UserError("no sentences: the file is empty", source, remedy="Give one sentence per line")


def align(source: str, target: str, symmetrize: str, words: str = "split", aligner: str = DEFAULT) -> Iterator[Links]:
    """The links of every line of two parallel files; the arguments are those of :func:`write_links`."""
    combine = SYMMETRIZE[symmetrize]
    for forward, backward in ALIGNERS[aligner](source, target, words):
        yield combine(forward, backward)
