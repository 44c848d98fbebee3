"""Link the words of parallel text that translate each other, and write a Pharaoh file (`0-0 1-2`, one line per pair).

Numbers are positions of words, counted from 0, source first; a line is empty if nothing is linked. A word is a run of
letters and digits, one Chinese character, or one punctuation mark; the aligner sees words in lower case.

fast_align links words in each direction, and --symmetrize combines the two. The same text gives the same links. Text is
read line by line, but fast_align's tables grow with the number of distinct word pairs that occur in a sentence pair:
about 350 MB for 57,000 sentence pairs. It runs on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.data.formats.pharaoh import Links
from fairseq_xalign.options import named_files
from preprocess.fast_align import directions, prepare

EXAMPLE = """examples:
  xalign-preprocess links --source en=pair.en --target de=pair.de --output links.en-de
  xalign-preprocess links --source en=pair.en --target de=pair.de --prepare words.en-de   # for another aligner"""

ALIGNERS = ("fast_align",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--source", required=True, metavar="XX=FILE", help="Language and file of its text, one sentence per line."
    )
    parser.add_argument(
        "--target", required=True, metavar="YY=FILE", help="Language and file of the translation, line by line."
    )
    parser.add_argument(
        "--aligner", choices=ALIGNERS, default=ALIGNERS[0], help="Program that links words (default: %(default)s)."
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
    (_, source), (_, target) = (
        named_files([value], option)[0] for value, option in ((args.source, "--source"), (args.target, "--target"))
    )
    if args.prepare:
        write_words(source, target, args.prepare)
    else:
        write_links(source, target, args.output, args.symmetrize)
    return 0


def write_words(source: str, target: str, output: str | Path) -> int:
    """Write the words of two parallel files as other aligners read them; return the number of sentence pairs."""
    with files.atomic_file(output) as stream:
        written = prepare(source, target, stream, empty=True)
    cli.say(f"{output}: the words of {written} sentence pairs")
    return written


def write_links(source: str, target: str, output: str | Path, symmetrize: str = "gdfa") -> int:
    """Link the words of two parallel files and write a Pharaoh file; return the number of links.

    Args:
        source, target: text files whose lines are translations of each other.
        symmetrize: how the two directions are combined, one of :data:`SYMMETRIZE`.
    """
    pairs = count = empty = 0
    with files.atomic_file(output) as stream:
        for links in align(source, target, symmetrize):
            stream.write(pharaoh.line_of(links) + "\n")
            pairs, count, empty = pairs + 1, count + len(links), empty + (not links)
    cli.say(f"{output}: {count} links in {pairs} sentence pairs, {empty} without any")
    return count


def align(source: str, target: str, symmetrize: str) -> Iterator[Links]:
    """The links of every line of two parallel files; see :func:`preprocess.fast_align.directions`."""
    combine = SYMMETRIZE[symmetrize]
    for forward, backward in directions(source, target):
        yield combine(forward, backward)


def grow_diagonal(forward: Links, backward: Links) -> Links:
    """grow-diag-final-and (Koehn, Och and Marcu, NAACL 2003; Koehn et al., IWSLT 2005).

    The links of both directions grow by neighbouring links of either (diagonally too) that link a word without any;
    at last a link of either direction is added where both its words have none.
    """
    links, either = forward & backward, forward | backward
    sources, targets = {s for s, _ in links}, {t for _, t in links}

    def add(link: tuple[int, int]) -> None:
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    waiting = sorted(links)
    while waiting:
        grown = []
        for s, t in waiting:
            for link in ((s + i, t + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if link in either and link not in links and (link[0] not in sources or link[1] not in targets):
                    add(link)
                    grown.append(link)
        waiting = grown
    for link in (*sorted(forward), *sorted(backward)):
        if link[0] not in sources and link[1] not in targets:
            add(link)
    return links


SYMMETRIZE: dict[str, Callable[[Links, Links], Links]] = {
    "gdfa": grow_diagonal,
    "intersect": set.intersection,
    "union": set.union,
}
