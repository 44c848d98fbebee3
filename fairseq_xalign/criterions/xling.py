"""Criterion ``xling``: the loss of a kind of labelled task in fine-tuning, with accuracy per language."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.sums import NATS_PER_BIT, NonFiniteLoss, summed
from fairseq_xalign.labelled.labeller import label_scores
from fairseq_xalign.options import share


@dataclass
class XlingConfig(FairseqDataclass):
    """Settings of fine-tuning's loss."""

    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "fraction of the probability that is spread evenly over all labels; 0 by default"},
    )


@register_criterion("xling", dataclass=XlingConfig)
class XlingCriterion(FairseqCriterion):
    """The mean loss over what is labelled: words (tagging) or texts (classification). The kind computes it."""

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        share(label_smoothing=cfg.label_smoothing)
        self.label_smoothing = cfg.label_smoothing

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "XlingCriterion":
        return cls(cfg, task)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """The kind's loss summed over words or texts, how many have one, and figures per language."""
        kind = self.task.kind
        scores = model(lambda inner: label_scores(inner.encoder, inner.heads[kind.name], kind, sample)).float()
        outcome = kind.outcome(scores, sample, self.label_smoothing)
        losses, right, size = outcome.losses, outcome.right, outcome.size
        loss = losses.sum()
        if not bool(torch.isfinite(loss)):
            raise NonFiniteLoss(f"{float(loss.detach()):g}", sample["names"])
        logs: dict[str, Any] = {
            "loss": loss.detach(), "sample_size": size, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }  # fmt: skip
        for i, name in enumerate(self.task.reported_languages()):
            ours = sample["of_language"] == i
            logs[f"sum_loss_{name}"] = losses[ours].sum().detach()
            logs[f"right_{name}"], logs[f"count_{name}"] = right[ours].sum(), ours.sum()
        if not self.training and "asked" in sample:
            logs |= self.task.validated.statistics(scores, sample["asked"])
        return loss, size, logs

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    def validation_metrics(self, streams: Sequence[Any]) -> list[str]:
        """The names of what :meth:`reduce_metrics` logs of these streams (:class:`LabelledStream`)."""
        each = [f"{figure}_{s.language}" for s in streams for figure in ("loss", "accuracy")]
        named = ["loss", "accuracy", *(each if len(self.task.reported_languages()) > 1 else [])]
        return named + self.task.validated.names()

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log ``loss`` (base 2, as fairseq does) and ``accuracy``, of everything and per language if there are several.

        Whether there are several is decided over all reported languages: a validation batch holds only one.
        """
        total = summed(logging_outputs)
        metrics.log_scalar(
            "loss", total["loss"] / (total["sample_size"] or 1.0) / NATS_PER_BIT, total["sample_size"], round=3
        )
        reported = [key.removeprefix("count_") for key in total if key.startswith("count_")]
        names = [name for name in reported if total[f"count_{name}"]]
        count = sum(total[f"count_{n}"] for n in names)
        if count:
            right = sum(total[f"right_{n}"] for n in names)
            metrics.log_scalar("accuracy", 100 * right / count, count, round=2)
        for name in names if len(reported) > 1 else []:
            weight = total[f"count_{name}"]
            metrics.log_scalar(f"loss_{name}", total[f"sum_loss_{name}"] / weight / NATS_PER_BIT, weight, round=3)
            metrics.log_scalar(f"accuracy_{name}", 100 * total[f"right_{name}"] / weight, weight, round=2)
