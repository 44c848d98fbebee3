"""Convert a translation model to CTranslate2, a runtime for CPUs and GPUs that needs no torch.

DIR has the model, its vocabulary and the tokenizer's files, and settings.json, which says what it is. Before DIR
appears, both models translate the same sentences, and the probabilities of all tokens must be equal (to 1e-4 nats, in
float32). With --quantization, the float32 model is checked in this way, and the command reports how many translations
the quantized model leaves unchanged. docs/translation.md shows how to translate with DIR.

CTranslate2 must be installed: pip install "fairseq_xalign[ctranslate2]". CKPT stays as it is.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import EOS
from fairseq_xalign.convert.checkpoints import CONVERTED
from fairseq_xalign.convert.ctranslate2 import QUANTIZATIONS, check_expressible, positions_in, write_model
from fairseq_xalign.convert.ctranslate2_check import Reference, check_equal
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_folder, read_lines, write_json
from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_translator
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.translation import SOURCE
from fairseq_xalign.options import at_least, language_pair
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from fairseq_xalign.version import __version__

EXAMPLE = """examples:
  xalign-convert to-ctranslate2 runs/mnmt ct2
  xalign-convert to-ctranslate2 runs/mnmt ct2_int8 --quantization int8 --text valid.en"""
SENTENCES = 16
"""How many sentences a conversion is checked on."""
LONGEST = 24
"""Pieces of a made-up sentence at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert to-ctranslate2``."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CKPT_HELP)
    parser.add_argument("output", metavar="DIR", help="Folder to make.")
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        help="Store weights with fewer bits: smaller and faster, and not exact (default: float32, as they are).",
    )
    parser.add_argument(
        "--text",
        metavar="FILE",
        help="Text to check the conversion on, one sentence per line (default: random pieces of the vocabulary).",
    )
    parser.add_argument(
        "--sentences",
        type=int,
        default=SENTENCES,
        metavar="N",
        help="Number of sentences to check the conversion on (default: %(default)s).",
    )


def run(args: argparse.Namespace) -> None:
    """Convert, and say what the check found."""
    to_ctranslate2(
        args.checkpoint, args.output, quantization=args.quantization, text=args.text, sentences=args.sentences
    )


def to_ctranslate2(
    checkpoint: str | Path,
    output: str | Path,
    *,
    quantization: str | None = None,
    text: str | Path | None = None,
    sentences: int = SENTENCES,
) -> dict[str, Any]:
    """Write a CTranslate2 folder, and return what its ``settings.json`` holds.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        output: a folder that does not exist, or is empty.
        quantization: one of ``QUANTIZATIONS``; None keeps float32.
        text: sentences to check the conversion on; by default, random pieces.
        sentences: how many of them.

    Raises:
        UserError: the checkpoint does not translate, has a property that CTranslate2 does not know, or does not
            compute the same there; the output exists.
    """
    import ctranslate2

    at_least(1, sentences=sentences)
    folder, path = Path(output), find_checkpoint(checkpoint)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError("exists already", folder, remedy="Name another folder, or remove it")
    model, tokenizer, task = read_translator(path)
    check_expressible(model)
    symbols = tokenizer.symbols()
    if len(symbols) != model.encoder.config.vocab_size:
        raise UserError(
            f"its embeddings have {model.encoder.config.vocab_size} rows, but its vocabulary {len(symbols)} symbols",
            path,
            remedy="The checkpoint is damaged: use another",
        )
    sources = _sources(model, tokenizer, task, text, sentences)
    reference = Reference(model, symbols, sources)
    settings = _settings(path, model, task, quantization) | {"ctranslate2": ctranslate2.__version__}
    with atomic_folder(folder) as temporary:
        write_model(model, symbols, temporary)
        agreement = reference.compare(temporary)
        check_equal(agreement)
        cli.say(f"float32: {agreement.line()}")
        settings["check"] = {"float32": agreement.to_dict()}
        if quantization is not None:
            write_model(model, symbols, temporary, quantization)
            agreement = reference.compare(temporary, "default")
            cli.say(f"{quantization}: {agreement.line()}")
            settings["check"][quantization] = agreement.to_dict()
        tokenizer.save_into(temporary)
        write_json(temporary / "settings.json", settings)
    cli.say(f"{folder}: {'float32' if quantization is None else quantization}; {settings['input']}")
    return settings


def _sources(
    model: TranslationModel, tokenizer: Tokenizer, task: dict[str, Any], text: str | Path | None, count: int
) -> list[list[int]]:
    """What the encoder reads of each sentence; target languages take turns."""
    if text is None:
        draw, pieces = random.Random(1), tokenizer.natural_ids
        rows = [[draw.choice(pieces) for _ in range(draw.randint(1, LONGEST))] for _ in range(count)]
    else:
        rows = []
        for _, line in read_lines(text):
            rows += [ids] if (ids := tokenizer.encode(line)) else []
            if len(rows) == count:
                break
        if not rows:
            raise UserError("has no sentence", text, remedy="Give a file with one sentence per line")
    tags = [tokenizer.language_token(name) for name in _targets(task)] if model.target_token == SOURCE else []
    fronts = [[tags[i % len(tags)]] if tags else [] for i in range(len(rows))]
    room = model.encoder.config.longest - 1
    return [[*([*front, *row][:room]), EOS] for front, row in zip(fronts, rows)]


def _targets(task: dict[str, Any]) -> list[str]:
    """The languages that the model was trained to translate into."""
    known = set(task["languages"])
    pairs = [language_pair(name, "the checkpoint's directions", known) for name in task["directions"]]
    return list(dict.fromkeys(target for _, target in pairs))


def _settings(path: Path, model: TranslationModel, task: dict[str, Any], quantization: str | None) -> dict[str, Any]:
    """What a person who has the folder alone wants to know."""
    limits = {"source": positions_in(model.encoder.config), "target": positions_in(model.decoder.config)}
    begins = "<2xx>, the target language, then the pieces" if model.target_token == SOURCE else "the pieces"
    return {
        "made_of": str(path),
        CONVERTED: task.get(CONVERTED),
        "fairseq_xalign": __version__,
        "quantization": quantization,
        "input": f"the source is {begins}; CTranslate2 adds </s>",
        "directions": list(task["directions"]),
        "languages": list(task["languages"]),
        "longest": limits,
    }
