"""Criterion ``mnmt``: the loss of translation, with masked language modelling on the encoder mixed in on request.

MMTE (Siddhant et al. 2020), section 2.2, trains on translation alone; section 6 leaves "integrating mBERT's objective
with the translation objective" to future work: ``--mlm-weight`` and ``--tlm-weight``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.checked import CheckedCriterion
from fairseq_xalign.criterions.sums import NATS_PER_BIT, perplexity, summed
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.combined import SUM, combined_loss
from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.objective import Context, Loss, Weighted
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.translation import TranslationBatch
from fairseq_xalign.options import at_least, share


@dataclass
class MnmtConfig(FairseqDataclass):
    """The loss of translation, and what is mixed into it."""

    label_smoothing: float = field(
        default=0.0,
        metadata={"help": "fraction of the probability that is spread evenly over all symbols; 0 by default (MMTE does "
                  "not say; Vaswani et al. 2017 have 0.1)"},
    )  # fmt: skip
    mlm_weight: float = field(
        default=0.0,
        metadata={"help": "weight of masked language modelling on the encoder, beside translation with weight 1; it "
                  "reads the monolingual text of the folder; 0 (off) by default (MMTE)"},
    )  # fmt: skip
    tlm_weight: float = field(
        default=0.0,
        metadata={"help": "weight of translation language modelling on the encoder, beside translation with weight 1; "
                  "it reads the bitext of the folder; 0 (off) by default (MMTE)"},
    )  # fmt: skip


@register_criterion("mnmt", dataclass=MnmtConfig)
class MnmtCriterion(CheckedCriterion):
    """Cross-entropy over target tokens, plus weighted means of objectives on the encoder.

    The sample size is the number n of target tokens; an objective of weight w enters as ``n * w * mean``, as in
    ``objectives.combined``. A batch without translation, which only validation has, counts for nothing in ``loss``.

    Attributes:
        objectives: those on the encoder with a weight above 0; the task names the batches that they read.
    """

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        share(label_smoothing=cfg.label_smoothing)
        at_least(0, mlm_weight=cfg.mlm_weight, tlm_weight=cfg.tlm_weight)
        self.label_smoothing = cfg.label_smoothing
        mixed = ((MaskedLM(), cfg.mlm_weight), (TranslationLM(), cfg.tlm_weight))
        self.objectives = [w for w in (Weighted(objective, weight) for objective, weight in mixed) if w.weight]

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "MnmtCriterion":
        return cls(cfg, task)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Return the loss (summed), the number of target tokens, and what to log."""
        named = sample.get("translation")
        batch = None if named is None else TranslationBatch.from_dict(named)
        read = {name: PackedBatch.from_dict(values) for name, values in sample["streams"].items()}
        loss, terms, losses = model(self._compute, batch, read)
        size = 0 if batch is None else len(batch.target.tokens)
        self.expect_finite(loss, {}, lambda: self.task.unit_names(sample))
        return loss, size, self._logs(loss, size, batch, terms, losses, sample)

    def _compute(
        self, inner: Any, batch: TranslationBatch | None, read: Mapping[str, PackedBatch]
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None, dict[str, Loss]]:
        """The whole loss, the translation's (loss, -log p) [T] at each target token, and the objectives' own."""
        terms, size = None, 0
        total: Tensor = torch.zeros(())
        if batch is not None:
            assert batch.target.targets is not None
            terms = inner.losses(inner(batch), batch.target.targets, self.label_smoothing)
            size, total = len(terms[0]), terms[0].sum()
        losses: dict[str, Loss] = {}
        if self.objectives:
            mixed, count, losses = combined_loss(
                self.objectives, inner.encoder, read, Context(training=self.training), SUM
            )
            total = total + mixed * (size / count if count else 0.0)
        if batch is None:
            # the loss counts for nothing, but every worker's backward pass reaches every weight
            total = total + sum(p.sum() * 0.0 for p in inner.parameters())
        return total, terms, losses

    def _logs(
        self,
        loss: Tensor,
        size: int,
        batch: TranslationBatch | None,
        terms: tuple[Tensor, Tensor] | None,
        losses: Mapping[str, Loss],
        sample: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The same keys for every batch and rank, so that fairseq can sum them; values are sums."""
        nothing = torch.zeros((), device=loss.device)
        nll = nothing if terms is None else terms[1].detach().sum().float()
        logs: dict[str, Any] = {
            "loss": loss.detach().float(), "sum_nll": nll, "sample_size": size, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }  # fmt: skip
        for weighted in self.objectives:
            name = weighted.objective.name
            found = losses.get(name)
            logs[f"sum_{name}"] = (found.sum if found else nothing).detach().float()
            logs[f"count_{name}"] = found.count if found else 0
        if not self.training:
            logs.update(self._direction_logs(batch, terms))
        return logs

    def _direction_logs(self, batch: TranslationBatch | None, terms: tuple[Tensor, Tensor] | None) -> dict[str, Any]:
        """-log p, without smoothing, and target tokens of every direction of the task."""
        keys = self.task.direction_keys
        sums, counts = torch.zeros(len(keys)), torch.zeros(len(keys))
        if batch is not None and terms is not None:
            of_token = batch.direction.repeat_interleave(batch.target.lengths).cpu()
            sums.index_add_(0, of_token, terms[1].detach().float().cpu())
            counts.index_add_(0, of_token, torch.ones(len(of_token)))
        logs: dict[str, Any] = {}
        for i, key in enumerate(keys):
            logs[f"sum_direction/{key}"], logs[f"count_direction/{key}"] = float(sums[i]), float(counts[i])
        return logs

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    def validation_metrics(self, streams: Sequence[Any]) -> list[str]:
        """Return what :meth:`reduce_metrics` will log of these streams, counts apart."""
        kinds = {s.kind for s in streams}
        names = ["loss", "nll_loss", "ppl"]
        for weighted in self.objectives:
            if weighted.objective.stream in kinds:
                names += [f"{weighted.objective.name}_loss", f"{weighted.objective.name}_ppl"]
        keys = [key for s in streams if s.kind == "direction" for key in [self.task.direction_key(s)]]
        return names + [f"{figure}_{key}" for key in keys for figure in ("loss", "ppl")]

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log means over all target tokens, in bits: ``loss`` as trained, ``nll_loss`` and ``ppl`` without smoothing.

        Each objective on the encoder has its own mean over hidden tokens, and in validation each direction its own
        ``loss_en_de`` and ``ppl_en_de``, without smoothing.
        """
        total = summed(logging_outputs)
        size = total["sample_size"]
        if size:
            metrics.log_scalar("loss", total["loss"] / size / NATS_PER_BIT, size, round=3)
        cls._log_mean("nll_loss", "ppl", total["sum_nll"], size)
        for name in (key.removeprefix("count_") for key in total if key.startswith("count_")):
            direction = name.removeprefix("direction/")
            titles = (f"loss_{direction}", f"ppl_{direction}") if direction != name else (f"{name}_loss", f"{name}_ppl")
            cls._log_mean(*titles, total[f"sum_{name}"], total[f"count_{name}"])

    @staticmethod
    def _log_mean(title: str, ppl: str, total: float, count: float) -> None:
        """Log a mean of -log p in bits, and its perplexity; nothing where nothing was measured."""
        if count:
            metrics.log_scalar(title, total / count / NATS_PER_BIT, count, round=3)
            metrics.log_derived(ppl, lambda meters: perplexity(meters[title].avg))
