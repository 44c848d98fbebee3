"""Plot runs: transfer, alignment, BLEU or learning curves; or the sizes of a corpus.

transfer draws one panel per task, pair and transformation, with bars for SUP and ZS, their values, and the standard
deviation if there are several seeds. alignment draws one panel per task, with one point per row of compare, and
Spearman's rank correlation of alignment and SUP - ZS. It is negative if better alignment goes with a smaller gap;
ALIGN-MLM prints the same correlation with the opposite sign. Both count the seeds that have no scores.

bleu draws the BLEU of each direction from the folders that bleu --output wrote, one colour per model. corpus-sizes
draws the training pairs of each direction of a data folder on a logarithmic scale, the largest first, as MMTE does in
Figure 1. curves draws losses and validation scores by update, from logs of fairseq-train (train.log). sentences and
words are t-SNE projections of encoders, one panel each (before and after): of parallel sentences (TPP, Figure 1), and
of the embeddings of the most frequently linked words that are not stop words, joined by lines (WEAM, Figure 2).
distances draws how far translations are from each other, normalised by the maximum (TPP, Figure 3). The file is a PNG
or an SVG, depending on its suffix.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.data.corpus_sizes import corpus_sizes as sizes_of
from fairseq_xalign.errors import UserError, counted, unknown_name
from fairseq_xalign.evaluate.commands.retrieve import Side
from fairseq_xalign.evaluate.picturing import (
    MOST_SENTENCES,
    WORD_PAIRS,
    Reading,
    frequent_pairs,
    sentence_spaces,
    stop_words_of,
    word_spaces,
)
from fairseq_xalign.evaluate.report import projections
from fairseq_xalign.evaluate.report.curves import curves
from fairseq_xalign.evaluate.report.plots import ENDINGS, KINDS, save
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.evaluate.report.training_log import LOG_NAME, log_files, names_of, read_log
from fairseq_xalign.evaluate.report.translation_plots import bleu, corpus_sizes
from fairseq_xalign.evaluate.report.translation_tables import translation_runs
from fairseq_xalign.evaluate.report.unfinished import read_every_run
from fairseq_xalign.models.device import DEVICE_HELP
from fairseq_xalign.models.sentences import LAYER_HELP, POOLING_HELP
from fairseq_xalign.options import at_least, name_list, named_files, named_sides

EXAMPLE = """examples:
  xalign-evaluate plot transfer runs/ --output transfer.png
  xalign-evaluate plot alignment runs/ --output alignment.svg
  xalign-evaluate plot bleu scores/mnmt scores/bilingual --output bleu.png
  xalign-evaluate plot curves runs/ --output curves.png
  xalign-evaluate plot sentences mBERT runs/tpp --names before,after --source en=t.en --target ar=t.ar --output s.png
  xalign-evaluate plot words mBERT runs/weam --source en=e.en --target de=e.de --links links.en-de --output w.svg
  xalign-evaluate plot corpus-sizes DATA --output sizes.png"""

VECTORS = ("sentences", "words", "distances")
"""Figures of the vectors of encoders."""
ALL_KINDS = (*sorted(KINDS), "bleu", "corpus-sizes", "curves", *VECTORS)
OF_VECTORS: dict[str, Any] = {
    **dict.fromkeys(("source", "target", "links", "stop_words", "names", "most", "layer", "device")),
    "pooling": "mean",
    "normalize_by": "all",
    "seed": 1,
}
"""Options of these figures alone, and their defaults."""
NORMALIZERS = {"all": "the largest of any two sentences", "pairs": "the largest of any translations"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate plot``."""
    parser.add_argument("kind", choices=ALL_KINDS, metavar="KIND", help=f"What to plot: {', '.join(ALL_KINDS)}.")
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="Folder with a result.json (for bleu, a bleu.json; for curves, a train.log), or with several below it; "
        "for corpus-sizes, a data folder; for sentences, words and distances, an encoder as `encode` takes it.",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="PNG or SVG file to write.")
    parser.add_argument("--metric", help="Score to plot (default: chunk_f1 for ner, accuracy for other tasks).")

    vectors = parser.add_argument_group("sentences, words and distances")
    vectors.add_argument("--source", metavar="XX=FILE", help="Language and file of sentences, one per line.")
    vectors.add_argument("--target", metavar="YY=FILE", help="Language and file of their translations, line by line.")
    vectors.add_argument(
        "--links", metavar="FILE", help="For words: the links of the text, by `xalign-preprocess links`."
    )
    vectors.add_argument(
        "--stop-words",
        action="append",
        metavar="XX=FILE",
        help="For words: stop words of a language, one per line (default: those of the package stopwordsiso).",
    )
    vectors.add_argument("--names", metavar="A,B", help="What to call the encoders (default: their folders).")
    vectors.add_argument(
        "--most",
        type=int,
        metavar="N",
        help=f"Pairs to show: of sentences (default: {MOST_SENTENCES}, for distances all), or of words (default: "
        f"{WORD_PAIRS}).",
    )
    vectors.add_argument("--layer", type=int, metavar="L", help=LAYER_HELP)
    vectors.add_argument("--pooling", choices=SENTENCE_POOLINGS, default=OF_VECTORS["pooling"], help=POOLING_HELP)
    vectors.add_argument(
        "--normalize-by",
        choices=tuple(NORMALIZERS),
        default=OF_VECTORS["normalize_by"],
        help="Distances are divided by the largest of any two sentences of the two sides, so that models can be "
        "compared, or of the translations alone (default: %(default)s).",
    )
    vectors.add_argument("--seed", type=int, default=OF_VECTORS["seed"], help="Seed of t-SNE (default: %(default)s).")
    vectors.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)


def run(args: argparse.Namespace) -> None:
    """Read, draw, write."""
    if args.kind not in VECTORS:
        given = next((name for name, default in OF_VECTORS.items() if getattr(args, name) != default), None)
        if given is not None:
            option = f"--{given.replace('_', '-')}"
            raise UserError(f"{option} is for {', '.join(VECTORS)}, not for {args.kind}", remedy="Leave it out")
        plot(args.kind, args.runs, args.output, args.metric)
        cli.say(f"wrote {args.output}")
        return
    if not (args.source and args.target):
        raise UserError(f"{args.kind} needs two sides of text", remedy="Give --source XX=FILE and --target YY=FILE")
    source, target = named_sides(args)
    plot_vectors(
        args.kind,
        args.runs,
        args.output,
        source,
        target,
        links=args.links,
        stop_words=named_files(args.stop_words, "--stop-words"),
        names=name_list(args.names) if args.names else None,
        most=args.most,
        reading=Reading(args.layer, args.pooling, args.device),
        normalize_by=args.normalize_by,
        seed=args.seed,
    )
    cli.say(f"wrote {args.output}")


def plot_vectors(
    kind: str,
    checkpoints: Sequence[str | Path],
    output: str | Path,
    source: Side,
    target: Side,
    *,
    links: str | Path | None = None,
    stop_words: Sequence[tuple[str, str | Path]] = (),
    names: Sequence[str] | None = None,
    most: int | None = None,
    reading: Reading | None = None,
    normalize_by: str = "all",
    seed: int = 1,
) -> None:
    """Draw the vectors of encoders, for instance before and after alignment.

    Args:
        kind: ``sentences`` (t-SNE; TPP, Figure 1), ``words`` (t-SNE of the embeddings of frequently linked words; WEAM,
            Figure 2) or ``distances`` (of translations; TPP, Figure 3).
        checkpoints: one panel or line each.
        output: a .png or .svg file.
        source, target: (language, file), line by line translations of each other.
        links: Pharaoh lines of this text, for ``words``.
        stop_words: (language, file).
        names: of the encoders.
        most: pairs to show.
        reading: how sentences become vectors.
        normalize_by: ``all`` or ``pairs``, for ``distances``.
        seed: of t-SNE.

    Raises:
        UserError: text, links or encoders that do not fit, and what is missing for this kind.
    """
    output = _checked(output)
    if kind not in VECTORS:
        raise unknown_name("figure of vectors", kind, VECTORS)
    at_least(2, most=most)
    called = list(names) if names else _encoder_names(checkpoints)
    if len(called) != len(checkpoints):
        raise UserError(
            f"{counted(len(called), 'name')} for {counted(len(checkpoints), 'encoder')}", remedy="Give a name for each"
        )
    languages = (source[0], target[0])
    if kind == "words":
        if links is None:
            raise UserError("words needs the links of the text", remedy="Make them with `xalign-preprocess links`")
        stops = (stop_words_of(source[0], stop_words), stop_words_of(target[0], stop_words))
        pairs = frequent_pairs(source, target, links, stops, most or WORD_PAIRS)
        save(projections.words(word_spaces(checkpoints, called, pairs), pairs, languages, seed), output)
        return
    shown = most or (MOST_SENTENCES if kind == "sentences" else sys.maxsize)
    found = sentence_spaces(checkpoints, called, source, target, reading or Reading(), shown)
    if kind == "sentences":
        save(projections.sentences([space for space, _ in found], languages, seed), output)
        return
    values = [(space.name, getattr(distances, f"of_{normalize_by}").numpy()) for space, distances in found]
    save(projections.distances(values, languages, NORMALIZERS[normalize_by]), output)


def _encoder_names(checkpoints: Sequence[str | Path]) -> list[str]:
    """Names of encoders: their folders, or the whole paths where two folders have the same name."""
    short = [Path(path).parent.name if Path(path).suffix == ".pt" else Path(path).name for path in checkpoints]
    return short if len(set(short)) == len(short) else [str(path) for path in checkpoints]


def _checked(output: str | Path) -> Path:
    """The file to write, if it has an ending that we write."""
    output = Path(output)
    if output.suffix.lower() not in ENDINGS:
        what = f"ending {output.suffix!r} is not one of {', '.join(ENDINGS)}"
        raise UserError(what, output, remedy=f"Name it {output.with_suffix(ENDINGS[0]).name}")
    return output


def plot(kind: str, runs: Sequence[str | Path], output: str | Path, metric: str | None = None) -> None:
    """Draw runs to a file.

    Args:
        kind: one of ``ALL_KINDS``.
        runs: folders with a result.json (for ``bleu``, a bleu.json), or with several below them; for ``corpus-sizes``
            one data folder.
        output: a .png or .svg file.
        metric: score to draw (default: by task).

    Raises:
        UserError: another ending, no result, or nothing to draw.
    """
    output = _checked(output)
    if kind in KINDS:
        save(KINDS[kind](group_over_seeds(read_every_run(runs)[0], metric)), output)
        return
    if metric is not None:
        raise UserError(f"--metric does not go with {kind}", remedy="Leave it out")
    if kind == "curves":
        paths = log_files(runs)
        if not paths:
            raise UserError(
                f"no {LOG_NAME} in it", runs[0], remedy="Keep what fairseq-train prints in a file of this name"
            )
        save(curves([read_log(path, name) for path, name in zip(paths, names_of(paths))]), output)
        return
    if kind == "bleu":
        save(bleu(translation_runs(runs)), output)
        return
    if len(runs) != 1:
        raise UserError(f"corpus-sizes takes one data folder, not {len(runs)}", remedy="Draw one figure for each")
    save(corpus_sizes(sizes_of(runs[0]), Path(runs[0]).resolve().name), output)
