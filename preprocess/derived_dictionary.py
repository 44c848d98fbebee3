"""The dictionary of a derived language: natural pieces and their transliterated copies, one to one (ALIGN-MLM)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign import cli, files
from fairseq_xalign.data import dictionary
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.files import read_lines
from fairseq_xalign.options import different_languages, without_effect
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.derive.permutation import keyed_order

DEFAULT_SHARE = 0.25
"""ALIGN-MLM, section 5 and Appendices G.4 and G.5: a quarter of the vocabulary (a half in its ablation)."""
DEFAULT_SEED = 1
CHOICES = ("frequent", "random")


def make_derived_dictionary(
    output: str | Path,
    derived: str | Path,
    *,
    subword: str | Path | None = None,
    source: str | None = None,
    target: str | None = None,
    share: float = DEFAULT_SHARE,
    choose: str = "random",
    seed: int | None = None,
    text: Sequence[str | Path] = (),
) -> dict[str, Any]:
    """Write the dictionary of natural pieces and their transliterated copies, and return its report.

    Args are the options of the command; ``derived`` is a doubled vocabulary or the manifest of a derived file.
    """
    if choose not in CHOICES:
        raise unknown_name("--choose", choose, CHOICES)
    if choose == "frequent":
        without_effect("is for --choose random: the most frequent pieces are not drawn", seed=seed)
    seed = DEFAULT_SEED if seed is None else seed
    names = different_languages(source or "natural", target or "derived")
    tokenizer, where = _doubled(derived, subword)
    counts = _count_pieces(tokenizer, text) if text else None
    numbers, eligible = choose_pieces(tokenizer, share, choose, seed, counts)
    if not numbers:
        raise UserError("no piece can be in the dictionary", where, remedy="Raise --share, or lower the overlap")
    first, copies = tokenizer.natural_ids.start, tokenizer.derived_ids.start
    report: dict[str, Any] = {
        "entries": len(numbers),
        "vocabulary": tokenizer.pieces,
        "share of the vocabulary": len(numbers) / tokenizer.pieces,
        "chosen": choose,
        "order of frequency": None if choose == "random" else "counted in --text" if text else "the vocabulary's",
        "shared pieces left out": tokenizer.pieces - eligible,
    }
    if counts is not None:
        report["share of the running pieces"] = float(counts[numbers].sum() / counts.sum())
    if choose == "frequent" and counts is None:
        cli.say("no --text was given, so the vocabulary is assumed to be sorted by frequency")
    if len(numbers) < round(share * tokenizer.pieces):
        wanted = round(share * tokenizer.pieces)
        cli.say(f"--share {share:g} asks for {wanted} pieces, but only {eligible} are not shared by the two languages")
    made = {"kind": "derived", "share": share, "choose": choose, "seed": seed if choose == "random" else None, **report}
    entries = (([first + number], [copies + number]) for number in numbers)
    dictionary.write(output, tokenizer, names, "single", made, entries)
    return report


def choose_pieces(
    tokenizer: Tokenizer, share: float, choose: str, seed: int, counts: np.ndarray | None
) -> tuple[list[int], int]:
    """The numbers (from 0) of the pieces in a derived dictionary.

    Args:
        share: of all natural pieces; ``round(share * pieces)`` are taken, without replacement.
        choose: ``random``, or ``frequent``: by ``counts``, ties in the order of the vocabulary.
        counts: [n] how often each natural piece occurs in text; None takes the vocabulary's order.

    Returns:
        the numbers, in the order chosen, and how many pieces were eligible: those that the
        languages do not share.
    """
    if not 0 < share <= 1:
        raise UserError(f"--share {share:g} is out of range", remedy="Choose a number above 0 and at most 1")
    assert tokenizer.derived is not None
    kept = set(tokenizer.derived["kept"])
    eligible = [number for number in range(tokenizer.pieces) if number not in kept]
    if choose == "random":
        eligible = [eligible[place] for place in keyed_order(len(eligible), "dictionary", seed)]
    elif counts is not None:
        eligible.sort(key=lambda number: -counts[number])
    return eligible[: round(share * tokenizer.pieces)], len(eligible)


def _doubled(derived: str | Path, subword: str | Path | None) -> tuple[Tokenizer, str]:
    """The doubled vocabulary that ``--derived`` names, itself or by the hash in a manifest."""
    if Path(derived).is_dir():
        tokenizer, where = Tokenizer.load(derived), str(derived)
        if subword is not None and Tokenizer.load(subword).sha256 != tokenizer.sha256:
            raise UserError(
                f"not the vocabulary in {derived}",
                subword,
                remedy="Leave --subword out, or give the doubled vocabulary",
            )
    else:
        manifest = files.read_json(derived)
        wanted = manifest.get("subword_sha256") if isinstance(manifest, dict) else None
        if not wanted:
            raise UserError(
                "not the manifest of a transliterated file",
                derived,
                remedy="Give the .manifest.json that `derive --transform trans` writes beside its output",
            )
        if subword is None:
            raise UserError("--derived MANIFEST needs --subword with the doubled vocabulary", remedy="Add it")
        tokenizer, where = Tokenizer.load(subword), str(subword)
        if tokenizer.sha256 != wanted:
            raise UserError(
                f"not the vocabulary that {derived} was made with",
                subword,
                remedy="Give the folder of `derive --output-subword`",
            )
    if tokenizer.derived is None:
        raise UserError(
            "this vocabulary is not doubled", where, remedy="Give the --output-subword of `xalign-preprocess derive`"
        )
    return tokenizer, where


def _count_pieces(tokenizer: Tokenizer, texts: Sequence[str | Path]) -> np.ndarray:
    """[n] how often each natural piece occurs in natural text.

    Raises:
        UserError: for derived text, and for text without any piece.
    """
    counts = np.zeros(tokenizer.pieces, dtype=np.int64)
    natural = tokenizer.natural_ids
    for path in texts:
        for line, text in cli.progress(read_lines(path), "count"):
            for number in tokenizer.encode(text):
                if number in natural:
                    counts[number - natural.start] += 1
                elif number in tokenizer.derived_ids:
                    raise UserError(
                        "this text is transliterated: natural pieces are counted",
                        path,
                        line,
                        "Give --text the file that it was derived from",
                    )
    if not counts.any():
        where = " and ".join(map(str, texts))
        raise UserError("no piece of the vocabulary occurs in it", where, remedy="Give --text natural text")
    return counts
