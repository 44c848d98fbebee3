"""Criterions of pre-training: ``xalign`` with any objectives, and the papers' under their names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.sums import BITS, NonFiniteLoss, summed
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.masking import DictionaryOptions
from fairseq_xalign.objectives.objective import Loss, Weighted, combined_loss, parse_objectives
from fairseq_xalign.objectives.registry import OBJECTIVES
from fairseq_xalign.options import at_least


@dataclass
class ObjectivesConfig(FairseqDataclass):
    """What every criterion here has: nothing."""


@dataclass
class DictionaryMLMConfig(FairseqDataclass):
    """DICT-MLM and its variants."""

    dict_mlm_prob: float = field(
        default=0.5, metadata={"help": "share of the selected tokens that go to the dictionary (DICT-MLM-50: 0.5)"}
    )
    dict_mlm_target: ChoiceEnum(("input", "label")) = field(  # type: ignore[valid-type]
        default="input",
        metadata={
            "help": "input: the encoder sees the translation and predicts the original (section 3, released code); "
            "label: it sees ordinary masking and predicts the translation (Appendix G.4, Chaudhary et al. 2020)"
        },
    )
    dict_mlm_nonmember: ChoiceEnum(("visible", "normal")) = field(  # type: ignore[valid-type]
        default="visible",
        metadata={"help": "a token without translation stays visible (released code) or is masked as usual"},
    )


@dataclass
class AlignConfig(FairseqDataclass):
    """ALIGN-MLM."""

    align_weight: float = field(default=10.0, metadata={"help": "alpha (section 3; grid of Appendix G.5: 1, 10, 100)"})
    dictionary_sample: int = field(
        default=0, metadata={"help": "dictionary entries aligned in a step (0: all, as in the released code)"}
    )


@dataclass
class XAlignConfig(DictionaryMLMConfig):
    """Any mixture of objectives."""

    objectives: str = field(
        default="mlm",
        metadata={"help": f"name[:weight],... of {', '.join(sorted(OBJECTIVES))}; for instance mlm,tlm,align:10"},
    )
    dictionary_sample: int = field(
        default=0, metadata={"help": "dictionary entries aligned in a step (0: all, as in the released code)"}
    )


@register_criterion("xalign", dataclass=XAlignConfig)
class XAlignCriterion(FairseqCriterion):
    """A weighted sum of objectives; see ``objectives.objective.combined_loss``."""

    preset = ""
    """Objectives of a paper's criterion; empty: ``--objectives``."""
    needs_language_embeddings = False
    """The paper's method has language embeddings: refuse a model without."""

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        text = self.preset.format(**cfg) or cfg.objectives
        self.objectives: list[Weighted] = parse_objectives(text, OBJECTIVES)
        self.dictionary_sample: int = cfg.get("dictionary_sample", 0)
        at_least(0, dictionary_sample=self.dictionary_sample)
        self.dictionary_options = DictionaryOptions(
            cfg.get("dict_mlm_prob", 0.5),
            str(cfg.get("dict_mlm_target", "input")),
            str(cfg.get("dict_mlm_nonmember", "visible")),
        )

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "XAlignCriterion":
        return cls(cfg, task)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss (summed), sample size, logging output; raises NonFiniteLoss."""
        batches = {name: PackedBatch.from_dict(values) for name, values in sample["streams"].items()}
        device = next(iter(batches.values())).tokens.device
        context = self.task.objective_context(device, sample, self.dictionary_sample)

        def compute(inner: Any) -> tuple[Tensor, int, dict[str, Loss]]:
            return combined_loss(self.objectives, inner.encoder, batches, context)

        loss, size, losses = model(compute)
        if not bool(torch.isfinite(loss)):
            values = ", ".join(f"{name} {float(found.sum) / max(found.count, 1):g}" for name, found in losses.items())
            raise NonFiniteLoss(values, self.task.unit_names(sample))
        return loss, size, self._logs(loss, size, losses, sample)

    def _logs(self, loss: Tensor, size: int, losses: dict[str, Loss], sample: dict[str, Any]) -> dict[str, Any]:
        """The same keys for every batch and rank, so that fairseq can sum them; values are sums."""
        logs: dict[str, Any] = {
            "loss": loss.detach().float(),
            "sample_size": size,
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        for weighted in self.objectives:
            objective = weighted.objective
            found = losses.get(objective.name)
            # a tensor in any case: fairseq reduces tensors and numbers apart, and ranks must agree
            logs[f"sum_{objective.name}"] = (found.sum if found else torch.zeros_like(loss)).detach().float()
            logs[f"count_{objective.name}"] = found.count if found else 0
            if objective.token_level:
                logs["sum_token"] = logs.get("sum_token", 0.0) + logs[f"sum_{objective.name}"]
                logs["count_token"] = logs.get("count_token", 0) + logs[f"count_{objective.name}"]
            if objective.stream == "mono" and objective.token_level and not self.training:
                logs.update(self._language_logs(found))
        return logs

    def _language_logs(self, found: Loss | None) -> dict[str, Any]:
        names = self.task.languages
        sums, counts = torch.zeros(len(names) + 1), torch.zeros(len(names) + 1)
        if found is not None and found.terms is not None and found.terms[1] is not None:
            terms, languages = found.terms[0].float().cpu(), found.terms[1].cpu()
            sums.index_add_(0, languages, terms)
            counts.index_add_(0, languages, torch.ones_like(terms))
        logs: dict[str, Any] = {}
        for i, name in enumerate(names, start=1):
            logs[f"sum_language_{name}"], logs[f"count_language_{name}"] = float(sums[i]), float(counts[i])
        return logs

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    def validation_metrics(self, streams: Sequence[Any]) -> list[str]:
        """What :meth:`reduce_metrics` will log of these streams (of ``data.streams``), counts apart."""
        kinds = {s.kind for s in streams}
        measured = [w.objective for w in self.objectives if w.objective.stream is None or w.objective.stream in kinds]
        names = ["loss"]
        if any(objective.token_level for objective in measured):
            names += ["token_loss", "ppl"]
        for objective in measured:
            names += figures(objective.name)
            if objective.stream == "mono" and objective.token_level:
                names += [name for s in streams if s.kind == "mono" for name in figures(f"language_{s.language}")]
        return names

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log each objective's mean, count and perplexity; means are over all terms, not over batches."""
        total = summed(logging_outputs)
        size = total["sample_size"]
        metrics.log_scalar("loss", total["loss"] / (size or 1.0) / BITS, size, round=3)
        if total.get("count_token"):
            metrics.log_scalar(
                "token_loss", total["sum_token"] / total["count_token"] / BITS, total["count_token"], round=3
            )
            metrics.log_derived("ppl", lambda meters: perplexity(meters["token_loss"].avg))
        for key in total:
            name = key.removeprefix("count_")
            if key == name or name == "token" or not total[key]:
                continue
            mean, count = total[f"sum_{name}"] / total[key], total[key]
            title, *ppl = figures(name)
            if not ppl:
                metrics.log_scalar(title, -mean, count, round=4)
                continue
            metrics.log_scalar(title, mean / BITS, count, round=3)
            metrics.log_derived(ppl[0], lambda meters, title=title: perplexity(meters[title].avg))
            if not name.startswith("language_"):
                metrics.log_scalar(f"{name}_count", count, round=0)


def figures(name: str) -> list[str]:
    """Under which names an objective's mean is logged, or that of ``language_XX``: a loss and its perplexity.

    A mean cosine has no perplexity.
    """
    if name == "align":
        return ["align_cosine"]
    if name.startswith("language_"):
        language = name.removeprefix("language_")
        return [f"loss_{language}", f"ppl_{language}"]
    return [f"{name}_loss", f"{name}_ppl"]


def perplexity(bits: float | None) -> float:
    """2 ** bits, capped so that an untrained model prints a number; 0 where nothing was measured yet."""
    if bits is None:
        return 0.0
    return round(2.0 ** min(bits, 60.0), 2)


@register_criterion("mlm", dataclass=ObjectivesConfig)
class MLMCriterion(XAlignCriterion):
    """MLM on every language."""

    preset = "mlm"


@register_criterion("tlm", dataclass=ObjectivesConfig)
class TLMCriterion(XAlignCriterion):
    """TLM alone, on bitext."""

    preset = "tlm"


@register_criterion("xlm", dataclass=ObjectivesConfig)
class XLMCriterion(XAlignCriterion):
    """XLM: MLM and TLM, mixed by data, with language embeddings (ALIGN-MLM, Appendix G.3)."""

    preset = "mlm,tlm"
    needs_language_embeddings = True


@register_criterion("dict_mlm", dataclass=DictionaryMLMConfig)
class DictMLMCriterion(XAlignCriterion):
    """DICT-MLM, with language embeddings (ALIGN-MLM, Appendix G.4)."""

    preset = "dict"
    needs_language_embeddings = True


@register_criterion("align_mlm", dataclass=AlignConfig)
class AlignMLMCriterion(XAlignCriterion):
    """ALIGN-MLM: MLM + alpha * ALIGN."""

    preset = "mlm,align:{align_weight}"
