"""Fit the order of a language's nouns, verbs and their dependents to a treebank, for derive --transform syn.

The model is that of Wang and Eisner (2016): log-linear over all orders of a head and at most six dependents, seen as
tags and relations, one for the dependents of nouns and one for those of verbs. It is fitted by maximum likelihood. With
--substrate, the weights are mixed with those of the natural language itself, as ALIGN-MLM's en~fr@N~fr@V are: they
decide where the other language has nothing to say.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import repeated_file
from fairseq_xalign.options import positive, share, without_effect
from fairseq_xalign.outputs import refuse_to_replace
from preprocess.derive.order_features import MAX_DEPENDENTS
from preprocess.derive.order_fitting import DEFAULT_PENALTY, fit_model
from preprocess.derive.order_model import DEFAULT_SUBSTRATE_WEIGHT, OrderModel
from preprocess.derive.tree import Tree

MOST_DEPENDENTS = 7
"""Eight words have 40,320 orders; one more would take nine times the time and memory."""
EXAMPLE = """examples:
  xalign-preprocess order --treebank fr_gsd-ud-train.conllu --substrate en_ewt-ud-train.conllu --output french.json
  xalign-preprocess derive --transform syn --order-model french.json --format conllu \\
      --input test.en.conllu --output test.en_syn.conllu"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--treebank",
        action="append",
        required=True,
        metavar="FILE",
        help="Treebank of the language whose order is wanted, CoNLL-U; may be repeated.",
    )
    parser.add_argument(
        "--substrate",
        action="append",
        default=[],
        metavar="FILE",
        help="Treebank of the language that will be put in order, mixed in; may be repeated (default: none).",
    )
    parser.add_argument(
        "--substrate-weight",
        type=float,
        metavar="SHARE",
        help="Share of the weights of --substrate in the mixture (default: "
        f"{DEFAULT_SUBSTRATE_WEIGHT}, Wang and Eisner's code).",
    )
    parser.add_argument(
        "--max-dependents",
        type=int,
        default=MAX_DEPENDENTS,
        metavar="N",
        help=f"Largest number of dependents of a node, 1 to {MOST_DEPENDENTS}; nodes with more keep their order (the "
        "paper: %(default)s).",
    )
    parser.add_argument(
        "--subtypes",
        action="store_true",
        help="Keep the subtypes of relations (nmod:poss). Without it nmod is nmod: treebanks differ in their subtypes.",
    )
    parser.add_argument(
        "--penalty",
        type=float,
        default=DEFAULT_PENALTY,
        metavar="X",
        help="L2 regularisation: X/2 times the sum of the squared weights is subtracted from the log-likelihood "
        "(default: %(default)s).",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="Model to write, JSON.")


def run(args: argparse.Namespace) -> int:
    """Fit and write the model that the command line asks for."""
    if not args.substrate:
        without_effect("is for a mixture with --substrate", substrate_weight=args.substrate_weight)
    weight = DEFAULT_SUBSTRATE_WEIGHT if args.substrate_weight is None else args.substrate_weight
    share(whole=True, substrate_weight=weight)
    if not 1 <= args.max_dependents <= MOST_DEPENDENTS:
        raise UserError(f"--max-dependents {args.max_dependents}", remedy=f"Give 1 to {MOST_DEPENDENTS}")
    positive(penalty=args.penalty)
    for option in (args.treebank, args.substrate):
        if twice := repeated_file(option):
            raise UserError("is given twice: each of its sentences would count twice", twice, remedy="Name it once")
    refuse_to_replace([*args.treebank, *(args.substrate or [])], [args.output])
    model = fit_treebanks(args.treebank, args.max_dependents, args.subtypes, args.penalty)
    if args.substrate:
        substrate = fit_treebanks(args.substrate, args.max_dependents, args.subtypes, args.penalty)
        model = model.mixed(substrate, weight)
    model.save(args.output)
    cli.say(f"wrote {args.output}: {sum(map(len, model.weights.values())):,} weights")
    return 0


def fit_treebanks(
    paths: Sequence[str | Path],
    max_dependents: int = MAX_DEPENDENTS,
    subtypes: bool = False,
    penalty: float = DEFAULT_PENALTY,
) -> OrderModel:
    """The model of the orders in treebanks.

    Args:
        paths: CoNLL-U files.
        max_dependents, subtypes, penalty: as the options.

    Raises:
        UserError: for a malformed treebank, or one without heads, with file and line.
    """
    about = {"treebanks": [{"name": Path(path).name, "sha256": files.sha256(path)} for path in paths]}
    counts = Counter[str]()
    model = fit_model(_sentences(paths), OrderModel({}, max_dependents, subtypes, about), penalty, counts)
    if not counts["nodes"]:
        raise UserError("no noun or verb with dependents in it", paths[0], remedy="Give a treebank with UPOS tags")
    cli.say(f"{', '.join(map(str, paths))}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    return model


def _sentences(paths: Sequence[str | Path]) -> Iterator[conllu.Sentence]:
    """All sentences; what is wrong with a tree is reported with its file and line."""
    for path in paths:
        for sentence in cli.progress(conllu.read(path), "read"):
            _check(sentence, path)
            yield sentence


def _check(sentence: conllu.Sentence, path: str | Path) -> None:
    try:
        Tree.of_rows(sentence.rows)
    except UserError as error:
        raise UserError(error.what, path, sentence.line, error.remedy) from error
