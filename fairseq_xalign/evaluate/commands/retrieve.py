"""Measure sentence retrieval accuracy between two languages.

The two files are parallel, with one sentence per line. A sentence counts as correct if its nearest neighbour by cosine,
or by --margin, among all sentences of the other file, is its translation: the sentence on the same line or, if the
sentence is repeated, on the line of any of its copies. Accuracy is printed in per cent for both directions, with their
mean. Also printed is the mean distance of translations, divided by the largest distance of any two translations, and by
that of any two sentences of the two sides.

Repeat --source and --target for several pairs, as of Tatoeba's test sets: the first target belongs to the first source
and so on, and the encoder is opened once.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.api.opening import ENCODER_HELP, open_encoder
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.errors import UserError, counted, unknown_name
from fairseq_xalign.evaluate.metrics.alignment import MARGIN_NEIGHBOURS, MARGINS
from fairseq_xalign.evaluate.metrics.retrieval import normalized_distances, retrieval_accuracy, retrieved, text_numbers
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.evaluate.xtreme import RETRIEVAL
from fairseq_xalign.files import atomic_file, read_lines
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.models.sentences import BATCH_HELP, LAYER_HELP, POOLING_HELP, check_layer, encode_sentences
from fairseq_xalign.options import (
    at_least,
    different_languages,
    named_files,
    pair_name,
    without_effect,
)
from fairseq_xalign.outputs import refuse_to_replace
from fairseq_xalign.tokenizer.framing import frame_of

EXAMPLE = """examples:
  xalign-evaluate retrieve --checkpoint run/checkpoint_best.pt --source en=ntrex.en --target de=ntrex.de
  xalign-evaluate retrieve --checkpoint multilingual-e5-small --source de=tatoeba.deu-eng.deu \\
    --target en=tatoeba.deu-eng.eng --source fr=tatoeba.fra-eng.fra --target en=tatoeba.fra-eng.eng --margin ratio \\
    --predictions tatoeba.jsonl"""
Side = tuple[str, str | Path]
"""(language, file of sentences)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate retrieve``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=ENCODER_HELP)
    parser.add_argument(
        "--source",
        required=True,
        action="append",
        metavar="XX=FILE",
        help="Language and file of its sentences, one sentence per line. Repeat it for several pairs.",
    )
    parser.add_argument(
        "--target",
        required=True,
        action="append",
        metavar="YY=FILE",
        help="Language and file of their translations, line by line. Repeat it for several pairs.",
    )
    parser.add_argument("--layer", type=int, metavar="L", help=LAYER_HELP)
    parser.add_argument("--pooling", choices=SENTENCE_POOLINGS, default="mean", help=POOLING_HELP)
    parser.add_argument("--centre", action="store_true", help="Subtract the mean vector of each language first.")
    parser.add_argument(
        "--margin",
        choices=MARGINS,
        help="Compare by the margin of Artetxe and Schwenk (2019): the cosine over, or minus, the mean cosine with the "
        "nearest neighbours of both sentences (default: cosine alone).",
    )
    parser.add_argument(
        "--neighbours",
        type=int,
        metavar="K",
        help="With --margin: how many neighbours it looks at, at most as many as there are sentences (default: "
        f"{MARGIN_NEIGHBOURS}, Artetxe and Schwenk 2019, or as many as there are).",
    )
    parser.add_argument("--batch-tokens", type=int, metavar="N", help=BATCH_HELP)
    parser.add_argument("--bf16", action="store_true", help="Compute in bfloat16.")
    parser.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    parser.add_argument(
        "--predictions",
        metavar="FILE",
        help="Also write the sentence of the source that is found for each sentence of the target, as lines of JSON "
        "that the command xtreme takes.",
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    sources, targets = named_files(args.source, "--source"), named_files(args.target, "--target")
    if len(sources) != len(targets):
        raise UserError(
            f"{len(sources)} times --source and {len(targets)} times --target",
            remedy="Give a --target for each --source",
        )
    for (source, _), (target, _) in zip(sources, targets):
        different_languages(source, target)
    refuse_to_replace([path for _, path in [*sources, *targets]], [args.predictions])
    report = retrieve_pairs(
        args.checkpoint,
        list(zip(sources, targets)),
        layer=args.layer,
        pooling=args.pooling,
        centre=args.centre,
        margin=args.margin,
        neighbours=args.neighbours,
        batch_tokens=args.batch_tokens,
        bf16=args.bf16,
        device=args.device,
        predictions=args.predictions,
    )
    for found in report["pairs"]:
        if any(found["duplicates"].values()):
            names = " and ".join(f"{counted(count, 'line')} of {name}" for name, count in found["duplicates"].items())
            where = f"{found['source']}, {found['target']}: " if len(sources) > 1 else ""
            cli.say(f"{where}repeating an earlier line: {names}; the translation of any copy counts as right")
    if args.json:
        print(json_text(report if len(sources) > 1 else report["pairs"][0]), end="")
        return
    print(_text(report), end="")


def _text(report: dict[str, Any]) -> str:
    if len(report["pairs"]) == 1:
        (found,) = report["pairs"]
        rows = [
            [f"{found['source']} to {found['target']}", number(found["forward"], 2)],
            [f"{found['target']} to {found['source']}", number(found["backward"], 2)],
            ["mean", number(found["mean"], 2)],
        ]
        distances = [
            ["the largest of any translations", number(found["distance"]["of_pairs"], 3)],
            ["the largest of any two sentences", number(found["distance"]["of_all"], 3)],
        ]
        tables = [
            text_table(["direction", "accuracy (%)"], rows),
            text_table(["mean distance of translations, divided by", "distance (0 to 1)"], distances),
        ]
        return "\n".join([*tables, found["signature"] + "\n"])
    names = ("forward", "backward", "mean")
    rows = [
        [f["source"], f["target"], *(number(f[name], 2) for name in names), number(f["distance"]["of_all"], 3)]
        for f in report["pairs"]
    ]
    rows.append(["mean", "", *(number(report[name], 2) for name in names), ""])
    table = text_table(
        ["source", "target", "forward (%)", "backward (%)", "mean (%)", "distance (0 to 1)"], rows, left=2
    )
    return table + "\n" + "".join(f"{found['signature']}\n" for found in report["pairs"])


def retrieve(checkpoint: str | Path, source: Side, target: Side, **settings: Any) -> dict[str, Any]:
    """Retrieval accuracy between two parallel files, as ``--json`` prints it.

    Args:
        checkpoint, settings: as for :func:`retrieve_pairs`.
        source, target: (language, file of sentences), line by line translations of each other.

    Returns:
        ``source``, ``target`` (languages), ``forward``, ``backward``, ``mean`` (per cent), ``distance`` {of_pairs,
        of_all: mean distance of translations over the largest}, ``duplicates`` {side: lines that repeat an earlier line
        of their file} and ``signature``.
    """
    return retrieve_pairs(checkpoint, [(source, target)], **settings)["pairs"][0]


def retrieve_pairs(
    checkpoint: str | Path,
    pairs: Sequence[tuple[Side, Side]],
    *,
    layer: int | None = None,
    pooling: str = "mean",
    centre: bool = False,
    margin: str | None = None,
    neighbours: int | None = None,
    batch_tokens: int | None = None,
    bf16: bool = False,
    device: str | None = None,
    predictions: str | Path | None = None,
) -> dict[str, Any]:
    """Retrieval accuracy of one encoder between the two sides of each of several pairs.

    Args:
        checkpoint: a ``.pt`` file or its folder, a folder of the transformers library, or a name on the hub.
        pairs: the sides of each pair.
        layer: whose output is pooled; 0 is the embeddings, None the last layer.
        pooling: one of SENTENCE_POOLINGS.
        centre: subtract each language's mean vector first.
        margin: ``ratio`` or ``distance``; None for cosine.
        neighbours: that a margin looks at; by default MARGIN_NEIGHBOURS, or all where there are fewer sentences.
        batch_tokens: tokens per batch.
        bf16: compute in bfloat16.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.
        predictions: file for what is found of the source for each sentence of the target: its line, from 0.

    Returns:
        ``pairs`` (see :func:`retrieve`), and ``forward``, ``backward`` and ``mean``, the means over them.
    """
    at_least(1, batch_tokens=batch_tokens, neighbours=neighbours)
    if margin is not None and margin not in MARGINS:
        raise unknown_name("margin", margin, MARGINS)
    if margin is None:
        without_effect("is for --margin: the nearest sentence by cosine needs none", neighbours=neighbours)
    texts = [parallel_lines(source[1], target[1]) for source, target in pairs]
    _check_neighbours(neighbours, pairs, texts)
    chosen_device = choose_device(device)
    encoder, tokenizer, meta = open_encoder(checkpoint)
    layers = encoder.config.layers
    check_layer(layer, layers, checkpoint)
    check_pooling(pooling, frame_of(meta), SENTENCE_POOLINGS)
    encoder = encoder.to(chosen_device)

    def vectors(language: str, lines: list[str]) -> Tensor:
        return encode_sentences(
            encoder,
            tokenizer,
            lines,
            pooling,
            batch_tokens,
            layer=layer,
            language=language_place(encoder, meta, language),
            bf16=bf16,
            frame=frame_of(meta),
        )

    vectors_of = _EncodedOnce(pairs, vectors)
    found = []
    lines: list[str] = []
    for (source, target), sides in zip(pairs, texts):
        fields: dict[str, Any] = {
            "pooling": pooling,
            "layer": layers if layer is None else layer,
            "pair": pair_name((source[0], target[0])),
        }
        both = vectors_of(source, sides[0]), vectors_of(target, sides[1])
        near = min(MARGIN_NEIGHBOURS, len(sides[0])) if neighbours is None else neighbours
        numbers = (text_numbers(sides[0]), text_numbers(sides[1]))
        try:
            result = retrieval_accuracy(both[0], both[1], centre, numbers, margin, near, **fields)
        except ValueError as error:
            raise UserError(str(error), checkpoint) from None
        distances = normalized_distances(*both)
        if predictions is not None:
            best = retrieved(both[1], both[0], centre, margin, near).tolist()
            lines += (
                _prediction_line(source[0], number, text, row) for number, (text, row) in enumerate(zip(sides[1], best))
            )
        found.append(
            {
                "source": source[0],
                "target": target[0],
                **vars(result),
                "distance": {name: float(values.mean()) for name, values in vars(distances).items()},
                "duplicates": {name: len(side) - len(set(side)) for name, side in zip(("source", "target"), sides)},
            }
        )
    if predictions is not None:
        with atomic_file(predictions) as out:
            out.writelines(lines)
    means = {name: sum(one[name] for one in found) / len(found) for name in ("forward", "backward", "mean")}
    return {"pairs": found, **means}


def _check_neighbours(
    neighbours: int | None, pairs: Sequence[tuple[Side, Side]], texts: Sequence[tuple[list[str], list[str]]]
) -> None:
    """Refuse ``--neighbours`` where a pair has fewer sentences."""
    for (source, _), (sentences, _) in zip(pairs, texts):
        if neighbours is not None and neighbours > len(sentences):
            what = f"has {counted(len(sentences), 'sentence')}, fewer than --neighbours {neighbours}"
            raise UserError(what, source[1], remedy=f"Choose {len(sentences)} or fewer")


class _EncodedOnce:
    """Vectors of the sides of pairs: English beside many languages is encoded once, and kept until its last pair.

    Args:
        encode: gives the vectors of sentences in a language.
    """

    def __init__(self, pairs: Sequence[tuple[Side, Side]], encode: Callable[[str, list[str]], Tensor]) -> None:
        self._encode = encode
        self._wanted = Counter((language, str(path)) for pair in pairs for language, path in pair)
        self._kept: dict[tuple[str, str], Tensor] = {}

    def __call__(self, side: Side, sentences: list[str]) -> Tensor:
        name = (side[0], str(side[1]))
        vectors = self._kept.pop(name) if name in self._kept else self._encode(side[0], sentences)
        self._wanted[name] -= 1
        if self._wanted[name]:
            self._kept[name] = vectors
        return vectors


def _prediction_line(language: str, number: int, text: str, found: int) -> str:
    """A line of ``--predictions``: the sentence ``text`` of the target, and the line of the source that is nearest."""
    line = {"id": str(number), "language": language, "task": RETRIEVAL, "text": text}
    return json.dumps(line | {"prediction": found if found >= 0 else None}, ensure_ascii=False) + "\n"


def parallel_lines(source: str | Path, target: str | Path) -> tuple[list[str], list[str]]:
    """The sentences of two parallel files; refuses files of unequal length, empty lines, and no lines."""
    sides = []
    for path in (source, target):
        side = []
        for number_, text in read_lines(path):
            if not text.strip():
                raise UserError(
                    "an empty line where a sentence should be", path, number_, "Remove the line from both files"
                )
            side.append(text)
        sides.append(side)
    check_same_length(sides[0], sides[1], source, target)
    if not sides[0]:
        raise UserError("no sentences: the file is empty", source, remedy="Give one sentence per line")
    return sides[0], sides[1]


def check_same_length(ours: Sequence[str], theirs: Sequence[str], source: str | Path, target: str | Path) -> None:
    """Refuse the lines of two files that cannot be parallel, as there are more of one."""
    if len(ours) != len(theirs):
        raise UserError(
            f"{counted(len(ours), 'line')}, but {target} has {len(theirs)}",
            source,
            remedy="Line i of one file must be the translation of line i of the other",
        )


def language_place(encoder: Any, meta: dict[str, Any], language: str) -> int | None:
    """The 1-based place of ``language`` in the model's list; None for a model without language embeddings."""
    if getattr(encoder, "embed_languages", None) is None:
        return None
    languages = list(meta.get("languages") or ())
    if language in languages:
        return languages.index(language) + 1
    cli.say(f"the model does not know language {language!r}, so the text is encoded without a language embedding")
    return None
