"""Word links: our own aligner beside fast_align and eflomal, in time, memory and errors on links made by people.

Speed is measured on the verses and user interfaces of `xalign-preprocess fetch verses ui` (57,404 sentence pairs
English-German), or on the text of --bitext; the time is that of `xalign-preprocess links`, start of the program and
combination of both directions included. Errors are measured on the Japanese-English gold alignment of KFTT, which is
looked for in $XALIGN_DATA/word-alignment/kftt-ja-en, or on --gold with --gold-bitext; every aligner estimates its model
from the 582 pairs of the gold alignment alone, so the error rates are high. Variants of ours are measured on the same.
What is missing is left out, and the script says so. fast_align needs systran-align (the extra align, Python 3.11),
eflomal `pip install eflomal` and a C compiler.

Example: python benchmarks/links.py --aligners diagonal,fast_align --json links.json
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    Cost,
    add_common_arguments,
    interleaved,
    made_up_lines,
    process_cost,
    report,
    spread,
    write_lines,
)
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.evaluate.linking import LinkedText, read_linked_text
from fairseq_xalign.evaluate.metrics.link_errors import link_scores
from preprocess.aligners.diagonal import directions
from preprocess.aligners.diagonal_model import Settings
from preprocess.aligners.symmetrize import SYMMETRIZE
from preprocess.fetch import default_cache

PACKAGES = {"diagonal": "preprocess", "fast_align": "systran_align", "eflomal": "eflomal"}
EFLOMAL = "import sys; from benchmarks.eflomal_links import link; link(*sys.argv[1:])"
VARIANTS = {
    "tension fixed": replace(Settings(), learn_tension=False),
    "no rounds without positions": replace(Settings(), uniform=0),
    "alpha 0.01": replace(Settings(), alpha=0.01),
    "alpha 0: most likely": replace(Settings(), alpha=0.0),
    "null 0.08": replace(Settings(), null=0.08),
    "null 0.02": replace(Settings(), null=0.02),
    "as published, tension fixed": Settings(5, 0, 0.01, 0.08, 4.0, False),
    "as published": Settings(5, 0, 0.01, 0.08, 4.0, True),
}
"""Our aligner with other settings: how the default ones were chosen."""
NOTHING = "-"
Texts = tuple[Path, Path]


def linked(aligner: str, texts: Texts, output: Path, words: str, how: str = "gdfa") -> Cost:
    """Let an aligner write the links of a text to ``OUTPUT.HOW`` (eflomal: of every way)."""
    if aligner == "eflomal":
        return process_cost("-c", EFLOMAL, *texts, output, words)
    options = ["--words", words, "--aligner", aligner, "--symmetrize", how, "--output", f"{output}.{how}"]
    return process_cost(
        "-m", "preprocess", "links", "--source", f"xx={texts[0]}", "--target", f"yy={texts[1]}", *options
    )


def speed_text(args: argparse.Namespace, folder: Path) -> Texts | None:
    """The text whose time is measured; None if it is missing."""
    texts = folder / "speed.xx", folder / "speed.yy"
    if args.small:
        lines = made_up_lines(100, words=300)
        write_lines(texts[0], lines)
        write_lines(texts[1], [line.upper() + "!" for line in lines])
        return texts
    if args.bitext:
        return tuple(map(Path, args.bitext))  # type: ignore[return-value]
    for text, language in zip(texts, ("en", "de")):
        parts = [default_cache() / name for name in (f"verses/train.{language}.txt", f"ui/train.en-de.{language}.txt")]
        if not all(part.exists() for part in parts):
            print(f"speed is not measured: {parts[0]} or {parts[1]} is missing (xalign-preprocess fetch verses ui)")
            return None
        text.write_bytes(b"".join(part.read_bytes() for part in parts))
    return texts


def gold_text(args: argparse.Namespace) -> LinkedText | None:
    """The sentence pairs with links made by people; None if they are missing."""
    if args.gold:
        return read_linked_text(args.gold_bitext or [], args.gold, args.one_based)
    place = Path(os.environ.get("XALIGN_DATA", "")) / "word-alignment/kftt-ja-en"
    if not os.environ.get("XALIGN_DATA") or not place.is_dir():
        print("errors are not measured: there is no word-alignment/kftt-ja-en in $XALIGN_DATA")
        return None
    text = read_linked_text([place / "jaen.src-tgt.xz"], place / "jaen.gold.xz", one_based=True)
    return LinkedText(text.source[:40], text.target[:40], text.gold[:40]) if args.small else text


def errors(aligners: list[str], text: LinkedText, folder: Path) -> dict[str, dict[str, Any]]:
    """Every figure of each aligner, and of the variants of ours, by way to combine directions."""
    texts = folder / "gold.xx", folder / "gold.yy"
    for path, sentences in zip(texts, (text.source, text.target)):
        write_lines(path, [" ".join(words) for words in sentences])
    figures: dict[str, dict[str, Any]] = {}
    for aligner in aligners:
        for how in SYMMETRIZE:
            if aligner != "eflomal" or how == next(iter(SYMMETRIZE)):
                linked(aligner, texts, folder / aligner, "space", how)
        figures[aligner] = {
            how: link_scores(list(zip(text.gold, pharaoh.read(f"{folder / aligner}.{how}")))) for how in SYMMETRIZE
        }
    for name, settings in VARIANTS.items() if "diagonal" in aligners else ():
        both = list(directions(*map(str, texts), "space", settings))
        figures[f"diagonal, {name}"] = {
            how: link_scores([(gold, combine(*found)) for gold, found in zip(text.gold, both)])
            for how, combine in SYMMETRIZE.items()
        }
    return figures


def table(speeds: dict[str, list[Cost]], pairs: int, found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """One row for each aligner and variant."""
    rows = []
    for name in dict.fromkeys([*speeds, *found]):
        row = [name, *[NOTHING] * 8]
        if name in speeds:
            costs = speeds[name]
            row[1:5] = [
                spread([cost.seconds for cost in costs]),
                spread([cost.cpu for cost in costs]),
                f"{pairs / statistics.median(cost.seconds for cost in costs):,.0f}",
                f"{statistics.median(cost.megabytes for cost in costs):,.0f}",
            ]
        if name in found:
            gdfa = found[name]["gdfa"]["scores"]
            row[5:] = [f"{gdfa[key]:.2f}" for key in ("aer", "precision", "recall")]
            row[8:] = [" / ".join(f"{found[name][how]['scores']['aer']:.2f}" for how in ("intersect", "union"))]
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aligners", default=",".join(PACKAGES), help="Aligners (default: %(default)s).")
    parser.add_argument("--bitext", nargs=2, metavar="FILE", help="Text whose time is measured, both sides.")
    parser.add_argument("--gold", metavar="FILE", help="Links made by people, in Pharaoh's format.")
    parser.add_argument(
        "--gold-bitext", nargs="+", metavar="FILE", help="Their text: `source ||| target`, or two files."
    )
    parser.add_argument("--one-based", action="store_true", help="These links count words from 1.")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.repeat = 1
    aligners = []
    for name in args.aligners.split(","):
        if importlib.util.find_spec(PACKAGES[name]) is None:
            print(f"{name} is left out: {PACKAGES[name]} is not installed")
        else:
            aligners.append(name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        speeds: dict[str, list[Cost]] = {}
        pairs = 0
        texts = speed_text(args, folder)
        if texts:
            pairs = len(texts[0].read_bytes().splitlines())
            print(
                f"speed: {pairs:,} sentence pairs of {'made-up text' if args.small else args.bitext or 'verses and ui'}"
            )
            calls: dict[str, Callable[[], Cost]] = {
                name: partial(linked, name, texts, folder / f"speed.{name}", "split") for name in aligners
            }
            speeds = interleaved(calls, args.repeat)
        gold = gold_text(args)
        found = errors(aligners, gold, folder) if gold else {}
    columns = ["", "seconds", "CPU s", "pairs/s", "MB", "AER gdfa", "precision", "recall", "AER intersect / union"]
    figures = {"pairs": pairs, "speeds": speeds, "errors": found}
    report("word links, both directions and their combination", columns, table(speeds, pairs, found), figures, args)
    if "fast_align" in speeds and "diagonal" in speeds:
        ours, theirs = (statistics.median(c.seconds for c in speeds[name]) for name in ("diagonal", "fast_align"))
        print(f"diagonal is {theirs / ours:.1f} times as fast as fast_align")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
