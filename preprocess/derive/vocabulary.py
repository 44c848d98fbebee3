"""The doubled vocabulary of a transliterated language: made once, then shared by all its files."""

from __future__ import annotations

from pathlib import Path

from fairseq_xalign.cli import say
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def doubled_tokenizer(
    subword: str | None, output: str | None, overlap: float | None, seed: int | None, seed_of_order: bool = False
) -> Tokenizer:
    """The tokenizer that transliterates.

    Args:
        subword: a folder with the natural vocabulary, or one that is doubled already.
        output: where the doubled vocabulary is written; if it is there, it must be the same.
        overlap, seed: None where the user gave none: a doubled ``subword`` then decides.
        seed_of_order: whether the seed serves a random order too, so that a doubled ``subword`` may have another.

    Raises:
        UserError: if a folder that exists disagrees with the options.
    """
    base = _load(subword)
    assert subword is not None
    if base.derived is not None:
        _check_agreement(base, subword, overlap, None if seed_of_order else seed)
        if output is not None and Path(output).resolve() != Path(subword).resolve():
            raise UserError(
                "the vocabulary is doubled already, --output-subword has nothing to write",
                subword,
                remedy="Leave --output-subword out, or give the natural vocabulary as --subword",
            )
        return base
    doubled = base.doubled(overlap or 0.0, 1 if seed is None else seed)
    if output is not None:
        _write_once(doubled, Path(output))
    return doubled


def recorded_tokenizer(subword: str | None, overlap: float, seed: int, sha256: str) -> Tokenizer:
    """The tokenizer that a derived file was made with, which ``sha256`` proves; ``subword`` may be either folder."""
    base = _load(subword)
    tokenizer = base if base.derived is not None else base.doubled(overlap, seed)
    if tokenizer.sha256 != sha256:
        raise UserError(
            "not the vocabulary that the file was derived with",
            subword,
            remedy="Give the folder that was its --output-subword or --subword",
        )
    return tokenizer


def _load(subword: str | None) -> Tokenizer:
    if subword is None:
        raise UserError("trans needs a vocabulary", remedy="Give --subword DIR, made by xalign-preprocess subword")
    return Tokenizer.load(subword)


def _write_once(doubled: Tokenizer, output: Path) -> None:
    if not output.exists():
        doubled.save(output)
        say(f"wrote {output}: {doubled.pieces} pieces and their copies, {len(doubled.derived['kept'])} shared")  # type: ignore[index]
        return
    there = Tokenizer.load(output)
    if there.sha256 == doubled.sha256:
        return
    assert doubled.derived is not None
    asked = f"overlap {doubled.derived['overlap']:g}, seed {doubled.derived['seed']}"
    if there.derived is None:
        found = "a vocabulary that is not doubled"
    elif there.model_bytes != doubled.model_bytes:
        found = "another vocabulary doubled"
    else:
        found = f"overlap {there.derived['overlap']:g}, seed {there.derived['seed']}"
    raise UserError(
        f"the folder exists and disagrees: it has {found}, but --subword and the options ask for {asked}",
        output,
        remedy="Give the options it was made with, or another --output-subword",
    )


def _check_agreement(base: Tokenizer, subword: str, overlap: float | None, seed: int | None) -> None:
    assert base.derived is not None
    made = base.derived
    # Without shared pieces nothing was drawn: any seed gives the same vocabulary.
    seed_differs = seed is not None and bool(made["kept"]) and seed != made["seed"]
    if (overlap is not None and overlap != made["overlap"]) or seed_differs:
        raise UserError(
            f"this vocabulary was doubled with overlap {made['overlap']:g}, seed {made['seed']}, "
            f"but the options say overlap {made['overlap'] if overlap is None else overlap:g}, "
            f"seed {made['seed'] if seed is None else seed}",
            subword,
            remedy="Leave the options out, or double the natural vocabulary again",
        )
