"""Criterion ``xling``: cross-entropy of labels in fine-tuning, with accuracy per language."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.sums import BITS, NonFiniteLoss, summed
from fairseq_xalign.labelled.labeller import label_scores
from fairseq_xalign.options import share


@dataclass
class XlingConfig(FairseqDataclass):
    """Settings of fine-tuning's loss."""

    label_smoothing: float = field(default=0.0, metadata={"help": "share of probability spread over all labels"})


@register_criterion("xling", dataclass=XlingConfig)
class XlingCriterion(FairseqCriterion):
    """Mean cross-entropy over labelled words (tagging) or texts (classification)."""

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        share(label_smoothing=cfg.label_smoothing)
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
            raise NonFiniteLoss(f"{float(loss.detach()):g}", sample["names"])
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

    def validation_metrics(self, streams: Sequence[Any]) -> list[str]:
        """What :meth:`reduce_metrics` will log of these streams (of :class:`LabelledStream`)."""
        each = [f"{figure}_{s.language}" for s in streams for figure in ("loss", "accuracy")]
        return ["loss", "accuracy", *(each if len(self.task.reported_languages()) > 1 else [])]

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log ``loss`` (base 2, as fairseq), ``accuracy`` over all labels, and by language where there are several.

        Several of all that are reported: a batch of validation holds one language.
        """
        total = summed(logging_outputs)
        metrics.log_scalar("loss", total["loss"] / (total["sample_size"] or 1.0) / BITS, total["sample_size"], round=3)
        reported = [key.removeprefix("count_") for key in total if key.startswith("count_")]
        names = [name for name in reported if total[f"count_{name}"]]
        count = sum(total[f"count_{n}"] for n in names)
        if count:
            right = sum(total[f"right_{n}"] for n in names)
            metrics.log_scalar("accuracy", 100 * right / count, count, round=2)
        for name in names if len(reported) > 1 else []:
            weight = total[f"count_{name}"]
            metrics.log_scalar(f"loss_{name}", total[f"sum_loss_{name}"] / weight / BITS, weight, round=3)
            metrics.log_scalar(f"accuracy_{name}", 100 * total[f"right_{name}"] / weight, weight, round=2)
