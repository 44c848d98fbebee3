"""Criterion ``xling``: cross-entropy of labels in fine-tuning, with accuracy per language."""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.sums import BITS, summed
from fairseq_xalign.models.labeller import label_scores


@dataclass
class XlingConfig(FairseqDataclass):
    """Settings of fine-tuning's loss."""

    label_smoothing: float = field(default=0.0, metadata={"help": "share of probability spread over all labels"})


@register_criterion("xling", dataclass=XlingConfig)
class XlingCriterion(FairseqCriterion):
    """Mean cross-entropy over labelled words (tagging) or texts (classification)."""

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        self.label_smoothing = cfg.label_smoothing

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "XlingCriterion":
        return cls(cfg, task)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss (summed over labels; those unknown to the model, -1, count as wrong and train nothing)."""
        scores = model(lambda inner: label_scores(inner.encoder, inner.heads[self.task.head_name], sample)).float()
        labels = sample["labels"]
        losses = F.cross_entropy(
            scores, labels, ignore_index=-1, reduction="none", label_smoothing=self.label_smoothing
        )
        loss = losses.sum()
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"the loss is not finite on a batch of {sample['nsentences']} examples")
        size = int((labels >= 0).sum())
        logs: dict[str, Any] = {
            "loss": loss.detach(), "sample_size": size, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }  # fmt: skip
        right = (scores.argmax(-1) == labels).float()
        for i, name in enumerate(self.task.reported_languages()):
            ours = sample["of_language"] == i
            logs[f"sum_loss_{name}"] = losses[ours].sum().detach()
            logs[f"right_{name}"], logs[f"count_{name}"] = right[ours].sum(), ours.sum()
        return loss, size, logs

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log ``loss`` (base 2, as fairseq), ``accuracy`` over all labels, and both by language."""
        total = summed(logging_outputs)
        metrics.log_scalar("loss", total["loss"] / (total["sample_size"] or 1.0) / BITS, total["sample_size"], round=3)
        names = [key.removeprefix("count_") for key in total if key.startswith("count_") and total[key]]
        count = sum(total[f"count_{n}"] for n in names)
        if count:
            right = sum(total[f"right_{n}"] for n in names)
            metrics.log_scalar("accuracy", 100 * right / count, count, round=2)
        for name in names if len(names) > 1 else []:
            weight = total[f"count_{name}"]
            metrics.log_scalar(f"loss_{name}", total[f"sum_loss_{name}"] / weight / BITS, weight, round=3)
            metrics.log_scalar(f"accuracy_{name}", 100 * total[f"right_{name}"] / weight, weight, round=2)
