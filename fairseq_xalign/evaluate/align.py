"""Measure how well the word embeddings of two languages are aligned.

Prints the alignment score (share of source rows whose nearest target row by cosine is their own
counterpart), precision at 1, 5 and 10 by cosine and by CSLS, and the mean cosine of the pairs, in per
cent (the cosine aside). With no --dictionary, the pairs are those of the checkpoint's doubled
vocabulary: every ordinary piece and its transliterated copy, and the candidates all copies. With one, the
pairs are its entries, and the candidates all copies where its targets are copies, else all its distinct
target words.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate import alignment
from fairseq_xalign.evaluate.metrics import signature
from fairseq_xalign.evaluate.tables import json_text, number, text_table

EXAMPLE = """example:
  xalign-evaluate align --checkpoint run/checkpoint_best.pt --heldout data/dictionary/en-en_inv.tsv
  xalign-evaluate align --checkpoint run --dictionary en-de.test.tsv --heldout en-de.train.tsv --json"""

AT = (1, 5, 10)
DERIVED, DICTIONARY = "derived-pieces", "dictionary-targets"
Entry = tuple[int, ...]
"""The ids of one side of a dictionary entry: their embeddings are averaged."""


@dataclass(frozen=True)
class Pairs:
    """What is aligned with what.

    Attributes:
        source: the queries, each the ids of its pieces.
        target: the candidates.
        gold: the right candidates of each query, int64 [n, G] padded with ``alignment.NO_ANSWER``.
        candidates: what the candidates are, for the signature.
    """

    source: list[Entry]
    target: list[Entry]
    gold: Tensor
    candidates: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate align``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help="a .pt file or the folder around it")
    parser.add_argument(
        "--dictionary", metavar="FILE", help="score these entries (default: the doubled vocabulary's pairs)"
    )
    parser.add_argument(
        "--heldout",
        metavar="FILE",
        help="the dictionary used in training: also score the pairs it does not hold, under the name heldout",
    )
    parser.add_argument(
        "--subset",
        choices=("all", "authors"),
        default="all",
        help="authors: also ALIGN-MLM's released reading, random 40 %% and 90 %% of the pieces (seed 42), with and "
        "without language embeddings where the model has any (default: %(default)s)",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="whose language embeddings to add for --subset authors (default: the model's first two)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Load, measure, print."""
    from fairseq_xalign.data.dictionary import Dictionary
    from fairseq_xalign.models.checkpoint import load_encoder

    encoder, tokenizer, meta = load_encoder(args.checkpoint)
    embeddings = encoder.embed_tokens.weight.detach().cpu().float()
    if args.dictionary:
        dictionary = Dictionary.load(args.dictionary, tokenizer)
        pairs = dictionary_pairs(dictionary.source, dictionary.target, tokenizer)
    else:
        pairs = derived_pairs(tokenizer)
    heldout = None
    if args.heldout:
        trained = Dictionary.load(args.heldout, tokenizer)
        heldout = heldout_queries(pairs, trained.source, trained.target)
        if not len(heldout):
            raise UserError(
                "holds every pair that is scored: nothing is held out",
                args.heldout,
                remedy="Leave --heldout out, or train with a dictionary of a smaller --share",
            )
    additions = None
    if args.subset == "authors" and getattr(encoder, "embed_languages", None) is not None:
        additions = _language_rows(encoder, list(meta.get("languages") or ()), args.languages)
    try:
        report = alignment_report(embeddings, pairs, heldout, args.subset == "authors", additions)
    except ValueError as error:
        raise UserError(str(error), args.checkpoint) from None
    print(json_text(report) if args.json else _text(report), end="")


def derived_pairs(tokenizer: Any) -> Pairs:
    """Every ordinary piece of a doubled vocabulary and its copy; pieces that both languages share are left out."""
    natural, copies = _copies(tokenizer)
    if not copies:
        raise UserError(
            "the checkpoint's vocabulary has no derived pairs: it is not doubled, or all its pieces are shared",
            remedy="Give pairs with --dictionary FILE",
        )
    return Pairs(natural, copies, torch.arange(len(copies))[:, None], DERIVED)


def _copies(tokenizer: Any) -> tuple[list[Entry], list[Entry]]:
    """The natural pieces that have a copy in use, and those copies; both empty when the vocabulary is not doubled."""
    if not len(tokenizer.derived_ids):
        return [], []
    natural = list(tokenizer.natural_ids)
    # A piece that was kept in common reads back as its natural id: its copy's row never occurs in text.
    pairs = [(n, copy) for n, copy in zip(natural, tokenizer.shift(natural)) if n != copy]
    return [(n,) for n, _ in pairs], [(copy,) for _, copy in pairs]


def dictionary_pairs(source: list[list[int]], target: list[list[int]], tokenizer: Any) -> Pairs:
    """A dictionary's distinct source words, each with all its answers.

    The candidates are all copies in use where every target is one of them, else the distinct target words.
    """
    copies = _copies(tokenizer)[1]
    wanted = set(map(tuple, target))
    whole = wanted <= set(copies)
    candidates: dict[Entry, int] = {entry: i for i, entry in enumerate(copies)} if whole else {}
    answers: dict[Entry, list[int]] = {}
    for left, right in zip(source, target):
        place = candidates.setdefault(tuple(right), len(candidates))
        answers.setdefault(tuple(left), []).append(place)
    most = max(map(len, answers.values()))
    gold = torch.full((len(answers), most), alignment.NO_ANSWER, dtype=torch.long)
    for row, places in enumerate(answers.values()):
        gold[row, : len(places)] = torch.tensor(places)
    return Pairs(list(answers), list(candidates), gold, DERIVED if whole else DICTIONARY)


def heldout_queries(pairs: Pairs, source: list[list[int]], target: list[list[int]]) -> Tensor:
    """Indices of the queries of which the training dictionary has seen neither side.

    A query is held out when it is not a source of the dictionary and none of its answers is a target.
    """
    left, right = set(map(tuple, source)), set(map(tuple, target))
    rows = [
        i
        for i, query in enumerate(pairs.source)
        if query not in left and not any(pairs.target[g] in right for g in pairs.gold[i].tolist() if g >= 0)
    ]
    return torch.tensor(rows, dtype=torch.long)


def rows_of(embeddings: Tensor, entries: list[Entry]) -> Tensor:
    """The embedding of each entry, the mean over its pieces, [n, D] of [V, D]."""
    device = embeddings.device
    if all(len(entry) == 1 for entry in entries):
        return embeddings[torch.tensor([entry[0] for entry in entries], dtype=torch.long, device=device)]
    lengths = torch.tensor([len(entry) for entry in entries], device=device)
    flat = torch.tensor([i for entry in entries for i in entry], dtype=torch.long, device=device)
    sums = embeddings.new_zeros(len(entries), embeddings.shape[1])
    sums.index_add_(0, torch.arange(len(entries), device=device).repeat_interleave(lengths), embeddings[flat])
    return sums / lengths[:, None]


def alignment_report(
    embeddings: Tensor,
    pairs: Pairs,
    heldout: Tensor | None = None,
    authors: bool = False,
    additions: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Any]:
    """All figures of ``align``.

    Args:
        embeddings: [V, D].
        heldout: indices of queries outside the training dictionary.
        authors: add the released scripts' random subsets.
        additions: language embeddings ([D], [D]) of source and target side; with ``authors``, scores with
            them added come too.

    Returns:
        ``alignment`` {name: per cent}, ``precision`` {cosine, csls: {k: per cent}}, ``mean_cosine``,
        ``pairs`` {name: queries}, ``candidates``, ``signature``.
    """
    source, target = rows_of(embeddings, pairs.source), rows_of(embeddings, pairs.target)
    found = {
        "cosine": alignment.nearest(source, target, max(AT)),
        "csls": alignment.nearest(source, target, max(AT), csls=alignment.CSLS_NEIGHBOURS),
    }
    subsets: dict[str, Tensor] = {"all": torch.arange(len(source))}
    if heldout is not None:
        subsets["heldout"] = heldout
    if authors:
        for share in alignment.AUTHORS_SHARES:
            subsets[f"authors_{share:.0%}".removesuffix("%")] = alignment.authors_subset(len(source), share)
    scores = {
        name: alignment.precision_at(found["cosine"][rows], pairs.gold[rows], 1) for name, rows in subsets.items()
    }
    if authors and additions is not None:
        neighbours = alignment.nearest(source + additions[0], target + additions[1])
        for name in [name for name in subsets if name.startswith("authors")]:
            rows = subsets[name]
            scores[f"{name}_language"] = alignment.precision_at(neighbours[rows], pairs.gold[rows], 1)
    first = pairs.gold[:, 0]
    return {
        "alignment": scores,
        "precision": {
            kind: {str(k): alignment.precision_at(rows, pairs.gold, k) for k in AT} for kind, rows in found.items()
        },
        "mean_cosine": alignment.mean_cosine(source, target[first]),
        "pairs": {name: len(rows) for name, rows in subsets.items()},
        "candidates": len(target),
        "signature": signature(
            "alignment",
            per="source-row",
            neighbour="cosine",
            csls=alignment.CSLS_NEIGHBOURS,
            candidates=pairs.candidates,
            n=len(source),
            m=len(target),
            seed=alignment.AUTHORS_SEED if authors else None,
        ),
    }


def _language_rows(encoder: Any, languages: list[str], chosen: str | None) -> tuple[Tensor, Tensor]:
    """Language embeddings of two languages, [D] each (row 0 of the table means no language)."""
    weight = encoder.embed_languages.weight.detach().cpu().float()
    names = [name.strip() for name in chosen.split(",")] if chosen else languages[:2]
    if len(names) != 2:
        raise UserError(f"two languages are needed, not {len(names)}", remedy="Name them with --languages XX,YY")
    for name in names:
        if name not in languages:
            raise unknown_name("language", name, languages)
    first, second = (weight[languages.index(name) + 1] for name in names)
    return first, second


def _text(report: dict[str, Any]) -> str:
    rows = [[f"alignment ({name})", number(value, 2)] for name, value in report["alignment"].items()]
    rows += [[f"P@{k} {kind}", number(v, 2)] for kind, at in report["precision"].items() for k, v in at.items()]
    rows += [["mean cosine", number(report["mean_cosine"], 4)]]
    return text_table(["measure", "value"], rows) + "\n" + report["signature"] + "\n"
