"""What ``throughput.py`` compares: one training step of ours, of fairseq and of transformers, on the same rows."""

from __future__ import annotations

import contextlib
import random
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.rows import Row, packed, padded, split
from fairseq_xalign.constants import FIRST_PIECE, MASK, PAD
from fairseq_xalign.models.compiled import AUTO, OFF
from fairseq_xalign.models.config import AUTO as KERNEL
from fairseq_xalign.models.config import FULL, HALF
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.objectives.batch import PackedBatch

COMPILED: dict[tuple[str, str, bool], nn.Module] = {}
"""The models of transformers that were built."""
Step = Callable[[Any], None]


def torch_step(model: nn.Module, loss_of: Callable[[Any], Tensor], device: str, bf16: bool) -> Step:
    """One update with fused AdamW; the gradient norm is computed as trainers do."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(batch: Any) -> None:
        with torch.autocast(device, torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = loss_of(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(
    config: EncoderConfig, rows: list[Row], args: Namespace, compiling: str = AUTO, kernel: str = KERNEL,
    residual: str = FULL,
) -> tuple[Step, list[Any]]:  # fmt: skip
    encoder = Encoder(config, kernel, compiling).to(args.device)
    encoder.residual = residual

    def loss_of(batch: PackedBatch) -> Tensor:
        assert batch.masked is not None and batch.targets is not None
        return encoder.token_losses(encoder(batch, tokens=batch.masked), batch.targets).mean()

    batches = [packed(part, args.device) for part in split(rows, args.batch)]
    return torch_step(encoder, loss_of, args.device, args.bf16), batches


def transformers(config: EncoderConfig, rows: list[Row], args: Namespace, best: bool = True) -> tuple[Step, list[Any]]:
    from transformers import RobertaConfig, RobertaForMaskedLM

    options: dict[str, Any] = {
        "attn_implementation": args.transformers_attention if best else "sdpa",
        "pad_token_id": PAD,
    }
    theirs = RobertaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.ffn_width,
        max_position_embeddings=config.max_positions + 2,
        type_vocab_size=1,
        layer_norm_eps=config.layernorm_eps,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.attention_dropout,
        **options,
    )
    key = (str(theirs.to_dict()), args.device, best)
    if key not in COMPILED:  # compiled once: all kinds of rows train the same model
        model = RobertaForMaskedLM(theirs).to(args.device).train()
        how = args.compile if best else "none"
        if how == "layers":
            for part in [*model.roberta.encoder.layer, model.lm_head]:
                part.compile(dynamic=True)
        elif how == "whole":
            model.compile(dynamic=True)
        COMPILED[key] = model
    model = run = COMPILED[key]
    if best:
        rows = sorted(rows, key=lambda row: row[0].numel())
    batches = []
    for part in split(rows, args.batch):
        ids, labels = padded(part, -100, args.device)
        # rows of one length need no mask: the fastest path
        mask = None if int((ids == PAD).sum()) == 0 else (ids != PAD).long()
        batches.append({"input_ids": ids, "labels": labels, "attention_mask": mask})
    random.Random(1).shuffle(batches)
    return torch_step(model, lambda batch: run(**batch).loss, args.device, best and args.bf16), batches


def fairseq(config: EncoderConfig, rows: list[Row], args: Namespace) -> tuple[Step, list[Any]]:
    """Model, criterion, task and optimizer as ``fairseq-train`` builds them; the step as its trainer makes it."""
    from fairseq import optim, options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    with tempfile.TemporaryDirectory() as folder:
        ordinary = config.vocab_size - FIRST_PIECE  # the task adds <mask> last
        Path(folder, "dict.txt").write_text("".join(f"w{i} 1\n" for i in range(ordinary)), encoding="utf-8")
        command: list[Any] = [folder, "--task", "masked_lm", "--criterion", "masked_lm", "--arch", "roberta_base"]
        command += ["--encoder-layers", config.layers, "--encoder-embed-dim", config.width]
        command += ["--encoder-ffn-embed-dim", config.ffn_width, "--encoder-attention-heads", config.heads]
        command += ["--dropout", config.dropout, "--attention-dropout", config.attention_dropout]
        command += ["--max-positions", config.max_positions, "--tokens-per-sample", config.max_positions]
        command += ["--optimizer", "adam", "--lr", "1e-4", "--cpu"]
        parser = options.get_training_parser()
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, [str(word) for word in command]))
        task = tasks.setup_task(cfg.task)
    if len(task.source_dictionary) != config.vocab_size:
        raise SystemExit(f"fairseq's vocabulary has {len(task.source_dictionary)} symbols, not {config.vocab_size}")
    model, criterion = task.build_model(cfg.model).train(), task.build_criterion(cfg.criterion)
    optimizer = optim.build_optimizer(cfg.optimizer, [p for p in model.parameters() if p.requires_grad])
    mask_id = task.mask_idx

    def step(sample: dict[str, Any]) -> None:
        optimizer.zero_grad()
        _, sample_size, _ = task.train_step(sample, model, criterion, optimizer, 0)
        optimizer.multiply_grads(1.0 / sample_size)
        optimizer.clip_grad_norm(1.0)
        optimizer.step()

    batches = []
    for part in split(rows, args.batch):
        ids, target = padded(part, PAD, "cpu")
        ids[ids == MASK] = mask_id
        lengths = torch.tensor([row[0].numel() for row in part])
        net_input = {"src_tokens": ids, "src_lengths": lengths}
        tokens = int(lengths.sum())
        batches.append({"net_input": net_input, "target": target, "ntokens": tokens, "nsentences": len(part)})
    return step, batches


MAKE: dict[str, Callable[[EncoderConfig, list[Row], Namespace], tuple[Step, list[Any]]]] = {
    "ours": ours,
    "ours-uncompiled": lambda config, rows, args: ours(config, rows, args, OFF),
    "ours-half-residual": lambda config, rows, args: ours(config, rows, args, residual=HALF),
    "fairseq": fairseq,
    "transformers": transformers,
    "transformers-fp32": lambda config, rows, args: transformers(config, rows, args, best=False),
}
