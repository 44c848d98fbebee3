"""Add a language to a trained model: its <2xx> token, and its language embedding where the model has these.

Every id and every weight that was there stays as it is, bit for bit. New rows begin as the mean of those of the
languages that the model was trained on. The vocabulary grows at its end: --subword writes the grown subword folder,
with which `xalign-preprocess binarize` prepares text of the new language. A data folder that exists already grows in
the same way with `xalign-preprocess check --write-manifest --language-tokens XX DATA`.

The new checkpoint translates as before. Train it on the new language with --finetune-from-model OUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.convert.checkpoints import OUT_HELP, check_shapes, output_file, write_checkpoint
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint
from fairseq_xalign.options import language_code, other_spelling
from fairseq_xalign.tokenizer.folder import check_replaceable
from fairseq_xalign.tokenizer.growth import with_language_tokens
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

EXAMPLE = """example:
  xalign-convert add-language runs/mnmt nl grown.pt --subword SUBWORD_NL"""
VOCABULARY = ("encoder.embed_tokens.weight", "encoder.lm_bias", "decoder.embed_tokens.weight", "decoder.output.weight")
"""Weights with a row for each symbol."""
LANGUAGES = "encoder.embed_languages.weight"
"""The weights with a row for each language; row 0 is no language."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert add-language``."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CKPT_HELP)
    parser.add_argument("language", metavar="XX", help="Code of the language to add.")
    parser.add_argument("output", metavar="OUT", help=OUT_HELP)
    parser.add_argument("--subword", metavar="DIR", help="Subword folder to write the grown vocabulary to.")


def run(args: argparse.Namespace) -> None:
    """Add the language, and say what has changed."""
    output = add_language(args.checkpoint, args.language, args.output, subword=args.subword)
    state = read_checkpoint(output, mapped=True)
    tokenizer = Tokenizer.from_state(state["task_state"]["tokenizer"])
    number = tokenizer.language_id(args.language)
    if number is not None:
        said = f"{args.language} added; {tokenizer.piece(number)} is id {number} of {len(tokenizer)}"
    elif LANGUAGES in state["model"]:
        said = f"{args.language} added, with a language embedding; this model has no language tokens"
    else:
        said = (
            f"{args.language} added to the list of languages; this model has neither language tokens nor language "
            "embeddings, so no weights changed"
        )
    cli.say(f"{output}: {said}{f'; vocabulary in {args.subword}' if args.subword else ''}")


def add_language(
    checkpoint: str | Path, language: str, output: str | Path, *, subword: str | Path | None = None
) -> Path:
    """Write a checkpoint that has one language more, and return its file.

    Args:
        checkpoint: a ``.pt`` file or its folder, of an encoder or a translation model.
        language: a code.
        output: a ``.pt`` file, or a folder without a checkpoint.
        subword: a subword folder to write the vocabulary to.

    Raises:
        UserError: the model has the language already, or has no language tokens although it translates.
    """
    language_code(language, "XX")
    path = find_checkpoint(checkpoint)
    file = output_file(output, [path])
    if subword is not None:
        check_replaceable(Path(subword))
    state = read_checkpoint(path)
    check_shapes(state, path)
    task = state["task_state"] = dict(state["task_state"])
    before = Tokenizer.from_state(task["tokenizer"])
    _check_new(language, task, before, path)
    grown = with_language_tokens(before, [language]) if before.language_tokens else before
    state["model"] = {k: v for k, v in state["model"].items() if not k.startswith("objectives.")}
    _grow_vocabulary(state["model"], before, grown, language, task["languages"])
    _grow_languages(state["model"], task)
    task["encoder"] = {**task["encoder"], "vocab_size": len(grown)}
    if "decoder" in task:
        task["decoder"] = {**task["decoder"], "vocab_size": len(grown)}
    task |= {"languages": [*task["languages"], language], "tokenizer": grown.state()}
    if subword is not None:
        grown.save(subword)
    write_checkpoint(file, state, command="add-language", sources=[str(path)])
    return file


def _check_new(language: str, task: dict[str, Any], tokenizer: Tokenizer, path: Path) -> None:
    if language in task["languages"]:
        raise UserError(f"has {language!r} already", path, remedy=f"Its languages are {', '.join(task['languages'])}")
    other = other_spelling(language, task["languages"])
    if other is not None:
        cli.say(f"{language} and {other} differ only in spelling: they are two languages of this model")
    if "decoder" in task and (task.get("target_token") == "none" or not tokenizer.language_tokens):
        raise UserError(
            "it has no <2xx> tokens: a bilingual model cannot be told to translate into another language",
            path,
            remedy="Train with --target-token source on a vocabulary with language tokens",
        )


def _grow_vocabulary(
    model: dict[str, Tensor], before: Tokenizer, grown: Tokenizer, language: str, trained: Sequence[str]
) -> None:
    """Give the token of ``language`` rows of its own: a new last one, or the row that was never trained."""
    number = grown.language_id(language)
    if number is None:
        return
    known = [before.language_id(name) for name in trained]
    others = [i for i in known if i is not None] or [i for i in before.language_ids if i != number]
    for name in VOCABULARY:
        if name in model:
            model[name] = with_row(model[name], number, others)


def _grow_languages(model: dict[str, Tensor], task: dict[str, Any]) -> None:
    """Append a language embedding, where the model has any."""
    if LANGUAGES in model:
        count = len(model[LANGUAGES])
        model[LANGUAGES] = with_row(model[LANGUAGES], count, range(1, count))
        task["encoder"] = {**task["encoder"], "n_languages": task["encoder"]["n_languages"] + 1}


def with_row(rows: Tensor, number: int, others: Sequence[int]) -> Tensor:
    """A copy of ``rows`` [V, ...] whose row ``number`` (an existing one or V) is the mean of the rows ``others``."""
    mean = rows[list(others)].double().mean(dim=0).to(rows.dtype)
    grown = torch.cat((rows, mean[None])) if number == len(rows) else rows.clone()
    grown[number] = mean
    return grown
