"""Convert a model in the format of transformers (mBERT, XLM-R and similar) to a checkpoint folder.

SOURCE is a folder with config.json, weights and a tokenizer, a model of the Hugging Face hub by its name, or a folder
in which fairseq released XLM-R (model.pt, dict.txt, sentencepiece.bpe.model). BERT's layout (mBERT, MiniLM,
multilingual-e5-small) and RoBERTa's (XLM-R base and large) are supported. Neither transformers nor fairseq is needed,
and nothing is run that a pickle might contain.

OUT is complete in itself: checkpoint_best.pt, dict.txt, the tokenizer, and settings.json, which says what it was made
of. Binarize text with --subword OUT, train with --finetune-from-model OUT.

--languages trims the vocabulary to what some languages use: the embeddings of XLM-R have 250,002 rows, of which two
languages need some 30,000. Hidden states of text whose pieces are kept do not change. Special symbols and single
characters are always kept, so that no text becomes unknown that was not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import SETTINGS_FILE
from fairseq_xalign.convert.checkpoints import write_folder
from fairseq_xalign.convert.hf.read import FOREIGN, open_folder
from fairseq_xalign.convert.hf.trim import trim
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json
from fairseq_xalign.models.archs import fitting_arch
from fairseq_xalign.options import at_least, language_code, name_list, named_files

EXAMPLE = """examples:
  xalign-convert from-hf bert-base-multilingual-cased mbert
  xalign-convert from-hf downloads/xlm-roberta-base xlmr
  xalign-convert from-hf xlm-roberta-base xlmr-de-hi --languages de,hi --corpus de=wiki.de --corpus hi=wiki.hi \\
    --keep 40000"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert from-hf``."""
    parser.add_argument("source", metavar="SOURCE", help="Folder of transformers or of fairseq's XLM-R, or a hub name.")
    parser.add_argument("output", metavar="OUT", help="Checkpoint folder to write; it must not exist, or be empty.")
    parser.add_argument(
        "--languages", metavar="XX,YY", help="Trim the vocabulary to what these languages use (default: keep it all)."
    )
    parser.add_argument(
        "--corpus",
        action="append",
        metavar="XX=FILE",
        help="Text that shows which pieces a language of --languages uses, one sentence per line. Repeat it for more "
        "languages and files.",
    )
    parser.add_argument(
        "--keep",
        type=int,
        metavar="N",
        help="With --languages, keep N symbols in all, of which special symbols and single characters come first, then "
        "the most frequent; each language counts alike (default: all pieces that the corpora use).",
    )
    parser.add_argument(
        "--allow-mismatch",
        action="store_true",
        help="Convert although weights are missing, which then get initial values, or are unknown, which are left out "
        "(default: refuse, and list them).",
    )


def run(args: argparse.Namespace) -> None:
    """Convert, and say how the checkpoint is used."""
    corpora = chosen_corpora(args.languages, args.corpus, args.keep)
    output = from_hf(args.source, args.output, corpora=corpora, keep=args.keep, allow_mismatch=args.allow_mismatch)
    cli.say(f"{output}: binarize text with --subword {output}, and train with {_how_to_train(output)}")


def chosen_corpora(
    languages: str | None, corpus: Sequence[str] | None, keep: int | None
) -> dict[str, list[Path]] | None:
    """The files of each language to trim to; None where nothing is to be trimmed.

    Raises:
        UserError: options that do not go together.
    """
    files: dict[str, list[Path]] = {}
    for name, path in named_files(corpus, "--corpus"):
        files.setdefault(name, []).append(Path(path))
    if not languages:
        for option, value in (("--corpus", corpus), ("--keep", keep)):
            if value:
                raise UserError(f"{option} goes with --languages", remedy="Add --languages XX,YY, or leave it out")
        return None
    names = [language_code(name, "--languages") for name in name_list(languages)]
    for name in [*names, *files]:
        if name not in files:
            raise UserError(f"--languages {name}: no text in it", remedy=f"Add --corpus {name}=FILE")
        if name not in names:
            raise UserError(f"--corpus {name}=: not one of --languages {languages}", remedy=f"Add {name} there")
    return {name: files[name] for name in names}


def from_hf(
    source: str | Path,
    output: str | Path,
    *,
    corpora: Mapping[str, Iterable[str | Path]] | None = None,
    keep: int | None = None,
    allow_mismatch: bool = False,
) -> Path:
    """Write a checkpoint folder of a model of `transformers`, and return it.

    Args:
        source: a folder, or a name on the hub.
        output: a folder that does not exist, or is empty.
        corpora: files of each language to trim the vocabulary to.
        keep: how many symbols to keep then.
        allow_mismatch: see the option.

    Raises:
        UserError: a source that cannot be converted, or an output that exists. Nothing is written then.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError("exists already", output, remedy="Name another folder, or remove it")
    at_least(1, keep=keep)
    state = open_folder(source, allow_mismatch)
    if corpora is not None:
        state = trim(state, corpora, keep)
    settings = _settings(source, state)
    for line in _notes(settings):
        cli.say(line)
    write_folder(output, _checkpoint(state), command="from-hf", sources=[str(source)], settings=settings)
    return output


def _checkpoint(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a checkpoint of fairseq has, around weights and ``task_state``."""
    arch, _ = fitting_arch(state["task_state"]["encoder"])
    history: dict[str, Any] = {
        "criterion_name": None,
        "optimizer_name": None,
        "lr_scheduler_state": {},
        "num_updates": 0,
    }
    return {
        "args": None,
        "cfg": {"model": {"_name": arch}, "task": {"_name": "align_mlm"}},
        "optimizer_history": [history],
        "extra_state": {},
        **state,
    }


def _settings(source: str | Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """What ``settings.json`` says, for people."""
    task = state["task_state"]
    foreign, tokenizer = task[FOREIGN], task["tokenizer"]
    arch, options = fitting_arch(task["encoder"])
    return {
        "made_of": str(source),
        "architectures": foreign["config"].get("architectures"),
        "layout": foreign["layout"],
        "encoder": task["encoder"],
        "parameters": sum(v.numel() for k, v in state["model"].items() if k.startswith("encoder.")),
        "tokenizer": {
            "kind": tokenizer["kind"],
            "pieces": tokenizer["pieces"],
            "symbols": task["encoder"]["vocab_size"],
        },
        "trimmed": foreign.get("trimmed"),
        "initial_values": foreign["fresh"],
        "kept_for_to_hf": sorted(k for k in state["model"] if k.startswith(f"{FOREIGN}.")),
        "left_out": foreign["left_out"],
        "train_with": None if arch is None else " ".join(["--arch", arch, *options]),
    }


def _notes(settings: Mapping[str, Any]) -> list[str]:
    """What a user should know of a conversion."""
    notes = []
    if trimmed := settings["trimmed"]:
        notes.append(f"vocabulary trimmed from {trimmed['before']:,} symbols to {trimmed['after']:,}")
    fresh = settings["initial_values"]
    if "lm_dense.weight" in fresh:
        notes.append("it has no MLM head: a new one was made, which --unigram-bias starts well in training")
    if others := [name for name in fresh if not name.startswith("lm_")]:
        notes.append(f"missing, and given initial values: {', '.join(others)}")
    if settings["left_out"]:
        notes.append(f"unknown, and left out: {', '.join(settings['left_out'])}")
    return notes


def _how_to_train(output: Path) -> str:
    how = read_json(output / SETTINGS_FILE)["train_with"]
    return f"{how or 'an --arch of its shape'} --finetune-from-model {output}"
