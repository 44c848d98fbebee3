"""Take the encoder of a translation checkpoint, for fine-tuning and everything else that encoders are for.

MMTE (Siddhant et al. 2020, section 2.3) fine-tunes this encoder without any <2xx> token. Translation never showed it
an <s> either, so the new checkpoint says that its input is "x </s>", and fine-tuning, predict, retrieve and the rest
follow it. An encoder that was trained on MLM or TLM too (--mlm-weight, --tlm-weight) has seen "<s> x </s>" and keeps
it. CKPT stays as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.convert.checkpoints import OUT_HELP, check_shapes, output_file, write_checkpoint
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.archs import fitting_arch
from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint
from fairseq_xalign.tokenizer.framing import frame_of

EXAMPLE = """example:
  xalign-convert from-mnmt runs/mnmt encoder.pt"""
OF_TRANSLATION = ("decoder", "target_token", "directions")
"""Fields of ``task_state`` that only a translation checkpoint has."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert from-mnmt``."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CKPT_HELP)
    parser.add_argument("output", metavar="OUT", help=OUT_HELP)


def run(args: argparse.Namespace) -> None:
    """Convert, and say how the encoder is used."""
    output = from_mnmt(args.checkpoint, args.output)
    task = read_checkpoint(output, mapped=True)["task_state"]
    arch, options = fitting_arch(task["encoder"])
    how = " ".join(["--arch", arch or "ARCH", *options])
    frame = frame_of(task).shown
    cli.say(f"{output}: an encoder that reads {frame}; fine-tune it with {how} --finetune-from-model {output}")


def from_mnmt(checkpoint: str | Path, output: str | Path) -> Path:
    """Write the encoder of a translation checkpoint as an encoder checkpoint, and return its file.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        output: a ``.pt`` file, or a folder without a checkpoint.

    Raises:
        UserError: the checkpoint has no decoder, or the output exists.
    """
    path = find_checkpoint(checkpoint)
    file, state = output_file(output, [path]), read_checkpoint(path)
    task = state["task_state"]
    if "decoder" not in task:
        raise UserError(
            "not a translation checkpoint: it has no decoder",
            path,
            remedy="Give one of --task mnmt; an encoder checkpoint can be fine-tuned as it is",
        )
    check_shapes(state, path)
    state["model"] = {name: value for name, value in state["model"].items() if name.startswith("encoder.")}
    state["task_state"] = {k: v for k, v in task.items() if k not in OF_TRANSLATION} | {"input": frame_of(task).name}
    _describe_encoder(state)
    write_checkpoint(file, state, command="from-mnmt", sources=[str(path)])
    return file


def _describe_encoder(state: dict[str, Any]) -> None:
    """Let the configuration name the encoder's own architecture instead of the translation model's."""
    cfg, (arch, _) = state.get("cfg"), fitting_arch(state["task_state"]["encoder"])
    if isinstance(cfg, dict) and arch:
        state["cfg"] = {**cfg, "model": {"_name": arch}}
