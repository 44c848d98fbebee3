"""Take a model to transformers: a folder that AutoModel, AutoTokenizer and pipeline open.

CKPT is an encoder after any training, or a classifier, a tagger or a model that answers questions. Before DIR appears,
it is opened with transformers, and ids, hidden states of every layer and scores must be those of CKPT (to 1e-5 in
float32); the model card in DIR states what was found, next to settings, languages, data and scores.

The class that the encoder is exported to depends on its shape: XLM-RoBERTa or BERT; RoFormer (rotary positions);
RoBERTa-PreLayerNorm, or MegatronBERT for encoders of translation models (layer norms before blocks). A model that
came from transformers goes back as it came, bit for bit. What transformers cannot express is refused by name.

transformers must be installed: pip install "fairseq_xalign[hf]". CKPT stays as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.convert.checkpoints import check_shapes
from fairseq_xalign.convert.hf import parity, sentence_vectors
from fairseq_xalign.convert.hf.card import CARD_FILE, card
from fairseq_xalign.convert.hf.read import CONFIG
from fairseq_xalign.convert.hf.write import prepare, write
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_folder
from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint, release

EXAMPLE = """examples:
  xalign-convert to-hf runs/align_mlm aligned
  xalign-convert to-hf runs/pos tagger
  xalign-convert to-hf runs/align_mlm vectors --sentence-transformers --pooling mean"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert to-hf``."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CKPT_HELP)
    parser.add_argument("output", metavar="DIR", help="Folder to write; it must not exist, or be empty.")
    parser.add_argument(
        "--overwrite", action="store_true", help=f"Replace DIR, if it is a folder of transformers (with {CONFIG})."
    )
    parser.add_argument(
        "--without-head", action="store_true", help="Write the encoder alone, without LM head, classifier or tagger."
    )
    parser.add_argument(
        "--language",
        metavar="XX",
        help="For a model with language embeddings: add that of XX to every token, or `none` for no language's.",
    )
    parser.add_argument(
        "--sentence-transformers",
        action="store_true",
        help="Write the encoder alone, with the modules that SentenceTransformer opens.",
    )
    parser.add_argument(
        "--pooling",
        choices=("mean", "cls", "mean_all", "max_all"),
        help="With --sentence-transformers, the vector of a sentence: the mean over its pieces, that of <s>, or mean "
        "or maximum over pieces and special tokens (default: mean). The maximum over pieces has no equal there.",
    )


def run(args: argparse.Namespace) -> None:
    """Convert, and say what the comparison found."""
    if args.pooling and not args.sentence_transformers:
        raise UserError("--pooling goes with --sentence-transformers", remedy="Add it, or leave --pooling out")
    found = to_hf(
        args.checkpoint,
        args.output,
        overwrite=args.overwrite,
        with_head=not args.without_head,
        language=args.language,
        pooling=(args.pooling or "mean") if args.sentence_transformers else None,
    )
    for note in found["notes"]:
        cli.say(note)
    cli.say(f"{args.output}: {found['architecture']}; {found['parity']}")


def to_hf(
    checkpoint: str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    with_head: bool = True,
    language: str | None = None,
    pooling: str | None = None,
) -> dict[str, Any]:
    """Write a folder of `transformers`, and return what it is and how it was compared.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        output: a folder that does not exist, or is empty.
        overwrite: whether ``output`` may be a folder of `transformers`, which is replaced.
        with_head: whether the head leaves too.
        language: see the option.
        pooling: see the option, for a folder of sentence-transformers, which has no head; None for none.

    Raises:
        UserError: a checkpoint that has no equal there, an output that exists, or a difference. Nothing is written.
    """
    import transformers  # noqa: F401  (what is missing is said before anything is read)

    folder, path = Path(output), find_checkpoint(checkpoint)
    check_output(folder, overwrite)
    state = read_checkpoint(path, mapped=True)
    check_shapes(state, path)
    leaver = prepare(state, language=language, with_head=with_head and pooling is None)
    if pooling is not None:
        sentence_vectors.check(leaver, pooling)
    with atomic_folder(folder) as temporary:
        write(leaver, temporary)
        leaver.theirs = {}  # they are on the disk now, and need not be in memory twice
        leaver.form.weights = {}
        release(leaver.weights.values())
        found = parity.compare(leaver, temporary)
        vectors = None
        if pooling is not None:
            sentence_vectors.write_modules(leaver, temporary, pooling)
            vectors = sentence_vectors.compare(leaver, temporary, pooling)
            if vectors["difference"] is None:
                leaver.notes.append(
                    "Its vectors were not compared: sentence-transformers was not installed where it was written."
                )
        text = card(leaver, state, found, vectors, str(checkpoint)).replace('"DIR"', f'"{folder.name}"')
        (temporary / CARD_FILE).write_text(text, "utf-8")
    return {
        "architecture": leaver.config["architectures"][0],
        "layout": leaver.form.layout.name,
        "notes": leaver.notes,
        "parity": found.line(),
        "compared": found.to_dict(),
        "vectors": vectors,
    }


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse an output that exists, unless it is empty, or a folder of `transformers` that may be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        raise UserError("exists already", folder, remedy="Name another folder, or add --overwrite to replace it")
    if not folder.is_dir() or not (folder / CONFIG).exists():
        raise UserError(
            f"is not a folder of transformers: it has no {CONFIG}", folder, remedy="Name another, or remove it yourself"
        )
