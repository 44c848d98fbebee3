"""Criterion ``xling``: the loss of a kind of labelled task in fine-tuning, with accuracy per language."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.checked import CheckedCriterion
from fairseq_xalign.criterions.sums import NATS_PER_BIT, summed
from fairseq_xalign.labelled.labeller import label_scores
from fairseq_xalign.options import share


@dataclass
class XlingConfig(FairseqDataclass):
    """Settings of fine-tuning's loss."""

    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "fraction of the probability that is spread evenly over all labels; 0 by default"},
    )


def language_sums(losses: Tensor, right: Tensor, of_language: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Each language's summed loss, right answers and units, without selecting units, for which a GPU is waited for.

    Args:
        losses, right: of each unit, [M].
        of_language: the place of its language in ``names``, [M].
    """
    ours = of_language == torch.arange(len(names), device=of_language.device)[:, None]  # [languages, M]
    zero = losses.new_zeros(())
    sums = [torch.where(ours, values, zero.to(values)).sum(1) for values in (losses, right)]
    counts = ours.sum(1)
    logs: dict[str, Tensor] = {}
    for i, name in enumerate(names):
        logs[f"sum_loss_{name}"], logs[f"right_{name}"], logs[f"count_{name}"] = sums[0][i], sums[1][i], counts[i]
    return logs


@register_criterion("xling", dataclass=XlingConfig)
class XlingCriterion(CheckedCriterion):
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
        self.expect_finite(loss, {}, lambda: sample["names"])
        logs: dict[str, Any] = {
            "loss": loss.detach(), "sample_size": size, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }  # fmt: skip
        logs |= language_sums(losses.detach(), right, sample["of_language"], self.task.reported_languages())
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
