"""Criterions of pre-training: ``xalign`` with any objectives, and the papers' under their own names.

Their options are those of their objectives (``fairseq_xalign.objectives``): nothing here names an objective.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from enum import Enum
from typing import Any, Optional, get_type_hints

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor

from fairseq_xalign.criterions.checked import CheckedCriterion
from fairseq_xalign.criterions.sums import NATS_PER_BIT, perplexity, summed
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.combined import MIXES, MIXTURE, combined_loss
from fairseq_xalign.objectives.objective import LOSS, Figure, Loss, Objective, Weighted, parse_objectives
from fairseq_xalign.objectives.preset import PRESETS, Preset
from fairseq_xalign.objectives.registry import OBJECTIVES


@dataclass
class ObjectivesConfig(FairseqDataclass):
    """What every criterion of pre-training has."""

    objective_mix: Optional[ChoiceEnum(MIXES)] = field(  # type: ignore[valid-type]
        default=None,
        metadata={
            "help": "how several objectives are mixed: mixture (the default) takes the hidden tokens of all of them as "
            "one data set (ALIGN-MLM's released code); sum adds the means of the objectives, as the formulas of "
            "ALIGN-MLM, section 3, are printed; alternate trains one objective per update, in turn (XLM's released "
            "code). With sum and alternate every batch holds its share of every kind of text, as long as a window has "
            "as many sequences of each kind as batches (--stream-weights gives a scarce kind more)"
        },
    )


def config_of(name: str, options: Iterable[type[Any]], base: type[FairseqDataclass] = ObjectivesConfig) -> type[Any]:
    """Make the fairseq configuration ``name``: that of ``base``, and the fields of dataclasses of options."""
    found: dict[str, Any] = {}
    for kind in options:
        hints = get_type_hints(kind)
        for f in fields(kind):
            choices = f.metadata.get("choices")
            chosen = field(default=f.default, metadata={"help": f.metadata["help"]})
            found[f.name] = (f.name, ChoiceEnum(choices) if choices else hints[f.name], chosen)
    return make_dataclass(name, found.values(), bases=(base,), namespace={"__module__": base.__module__})


@dataclass
class ListConfig(ObjectivesConfig):
    """What ``--criterion xalign`` has beside the options of every objective."""

    objectives: str = field(
        default="mlm",
        metadata={
            "help": f"the objectives and their weights, name[:weight],... (1 by default), with names from "
            f"{', '.join(sorted(OBJECTIVES))}; for instance mlm,tlm,align:10"
        },
    )


XAlignConfig = config_of("XAlignConfig", (kind.Options for kind in OBJECTIVES.values()), ListConfig)


@register_criterion("xalign", dataclass=XAlignConfig)
class XAlignCriterion(CheckedCriterion):
    """A weighted sum of objectives; see ``objectives.combined``.

    Attributes:
        preset: the paper's criterion that this is, or None: what ``--objectives`` says.
        objectives: the objectives with their weights and, once the task has named them, the batches that they read.
        mix: how they are mixed.
    """

    preset: Preset | None = None

    def __init__(self, cfg: Any, task: Any) -> None:
        super().__init__(task)
        values = {name: str(value) if isinstance(value, Enum) else value for name, value in dict(cfg).items()}
        if self.preset:
            self.objectives: list[Weighted] = self.preset.build(values)
        else:
            self.objectives = parse_objectives(values["objectives"], OBJECTIVES, values)
            refuse_options_of_others(self.objectives, values)
        self.mix: str = values.get("objective_mix") or (self.preset.mix if self.preset else MIXTURE)

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "XAlignCriterion":
        return cls(cfg, task)

    def train(self, mode: bool = True) -> "XAlignCriterion":
        """As every module; fairseq's trainer calls this once ahead of the micro-batches of an update."""
        if mode:
            self.task.before_update()
        super().train(mode)
        return self

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the text that the criterion brings (fields of ``objectives.view.Settings``)."""
        return self.preset.settings if self.preset else {}

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Return the loss (summed), the sample size and what to log."""
        batches = {name: PackedBatch.from_dict(values) for name, values in sample["streams"].items()}
        device = next(iter(batches.values())).tokens.device
        context = self.task.objective_context(device, sample, self.training)

        def compute(inner: Any) -> tuple[Tensor, int, dict[str, Loss]]:
            owned = replace(context, modules=dict(inner.objectives.items()))
            return combined_loss(self.objectives, inner.encoder, batches, owned, self.mix)

        loss, size, losses = model(compute)
        parts = {name: (found.sum, found.count) for name, found in losses.items()}
        self.expect_finite(loss, parts, lambda: self.task.unit_names(sample))
        return loss, size, self._logs(loss, size, losses, sample)

    def _logs(self, loss: Tensor, size: int, losses: dict[str, Loss], sample: dict[str, Any]) -> dict[str, Any]:
        """The same keys for every batch and rank, so that fairseq can sum them; values are sums."""
        logs: dict[str, Any] = {
            "loss": loss.detach().float(),
            "sample_size": size,
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        nothing = torch.zeros_like(loss)
        for weighted in self.objectives:
            objective = weighted.objective
            found = losses.get(objective.name)
            # a tensor in any case: fairseq reduces tensors and numbers apart, and ranks must agree
            logs[f"sum_{objective.name}"] = (found.sum if found else nothing).detach().float()
            logs[f"count_{objective.name}"] = found.count if found else 0
            for figure in objective.further_figures:
                total, count = found.others[figure.suffix] if found else (nothing, 0)
                logs[f"sum_{objective.name}/{figure.suffix}"] = total.detach().float()
                logs[f"count_{objective.name}/{figure.suffix}"] = count
            if objective.token_level:
                logs["sum_token"] = logs.get("sum_token", 0.0) + logs[f"sum_{objective.name}"]
                logs["count_token"] = logs.get("count_token", 0) + logs[f"count_{objective.name}"]
        if self.mix != MIXTURE and not self.training:
            for weighted in self.objectives:
                logs[f"weight_{weighted.objective.name}"] = weighted.weight
            logs["batches"] = 1
        for objective, prefix in [] if self.training else self._by_language():
            logs.update(self._language_logs(losses.get(objective.name), prefix))
        return logs

    def _by_language(self) -> Iterator[tuple[Objective, str]]:
        """Each objective that is logged by language, and the prefix of these figures: none for the first."""
        prefix = ""
        for weighted in self.objectives:
            if weighted.objective.stream == "mono" and weighted.objective.token_level:
                yield weighted.objective, prefix and f"{weighted.objective.name}/"
                prefix = "further"

    def _language_logs(self, found: Loss | None, prefix: str) -> dict[str, Any]:
        names = self.task.languages
        sums, counts = torch.zeros(len(names) + 1), torch.zeros(len(names) + 1)
        if found is not None and found.terms is not None and found.terms[1] is not None:
            terms, languages = found.terms[0].float().cpu(), found.terms[1].cpu()
            sums.index_add_(0, languages, terms)
            counts.index_add_(0, languages, torch.ones_like(terms))
        logs: dict[str, Any] = {}
        for i, name in enumerate(names, start=1):
            key = f"{prefix}language_{name}"
            logs[f"sum_{key}"], logs[f"count_{key}"] = float(sums[i]), float(counts[i])
        return logs

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    def validation_metrics(self, streams: Sequence[Any]) -> list[str]:
        """Return what :meth:`reduce_metrics` will log of these streams (of ``data.streams``), counts apart."""
        kinds = {s.kind for s in streams}
        measured = [w.objective for w in self.objectives if w.objective.stream is None or w.objective.stream in kinds]
        prefixes = {objective.name: prefix for objective, prefix in self._by_language()}
        keys = ["token"] if any(objective.token_level for objective in measured) else []
        for objective in measured:
            keys += [objective.name, *(f"{objective.name}/{figure.suffix}" for figure in objective.further_figures)]
            if objective.name in prefixes:
                languages = [s.language for s in streams if s.kind == "mono"]
                keys += [f"{prefixes[objective.name]}language_{language}" for language in languages]
        return ["loss", *(title for key in keys for title in titles(key))]

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log each objective's mean, count and perplexity; means are over all terms, not over batches."""
        total = summed(logging_outputs)
        size = total["sample_size"]
        weights = {key.removeprefix("weight_"): total[key] for key in total if key.startswith("weight_")}
        if weights:  # in validation a batch holds one stream: the sum of means is known at the end only
            weights = {name: weight / total["batches"] for name, weight in weights.items()}
            metrics.log_derived("loss", lambda meters: sum_of_means(meters, weights))
        else:
            metrics.log_scalar("loss", total["loss"] / (size or 1.0) / NATS_PER_BIT, size, round=3)
        counted = [key.removeprefix("count_") for key in total if key.startswith("count_")]
        # hidden tokens of all objectives first
        for name in sorted(counted, key=lambda name: name != "token"):
            count = total[f"count_{name}"]
            if not count:
                continue
            mean, figure = total[f"sum_{name}"] / count, figure_of(name)
            title, *ppl = titles(name)
            if not figure.likelihood:
                metrics.log_scalar(title, figure.factor * mean, count, round=4)
                continue
            metrics.log_scalar(title, mean / NATS_PER_BIT, count, round=3)
            metrics.log_derived(ppl[0], lambda meters, title=title: perplexity(meters[title].avg))
            if name != "token" and "language_" not in name:
                metrics.log_scalar(f"{name}_count", count, round=0)


def refuse_options_of_others(objectives: Iterable[Weighted], values: Mapping[str, Any]) -> None:
    """Refuse an option of an objective that is not trained on: it would change nothing.

    Raises:
        UserError: naming the option and the objective.
    """
    own = {option.name for weighted in objectives for option in fields(weighted.objective.Options)}
    for name, kind in OBJECTIVES.items():
        for option in fields(kind.Options):
            if option.name not in own and values.get(option.name, option.default) != option.default:
                raise UserError(
                    f"--{option.name.replace('_', '-')} is an option of the objective {name}, which --objectives does "
                    "not have",
                    remedy=f"Add {name} to --objectives, or leave the option out",
                )


def sum_of_means(meters: Mapping[str, Any], weights: Mapping[str, float]) -> float:
    """Return sum_o w_o L_o, in bits, from the logged mean of each objective that was measured."""
    loss = 0.0
    for name, weight in weights.items():
        figure, title = figure_of(name), titles(name)[0]
        if title in meters:
            unit = 1.0 if figure.likelihood else figure.factor * NATS_PER_BIT
            loss += weight * meters[title].avg / unit
    return round(loss, 3)


def known_objectives() -> dict[str, type[Objective]]:
    """Return the objectives of the registry and of the papers' criterions, by name."""
    return {kind.name: kind for criterion in PRESETS.values() for kind, _ in criterion.objectives} | OBJECTIVES


def figure_of(key: str) -> Figure:
    """Return how the mean under a key of the logs is shown: an objective, ``objective/figure``, tokens, a language."""
    name, _, rest = key.partition("/")
    kind = known_objectives().get(name)
    if kind is None or rest.startswith("language_"):
        return LOSS
    return next((f for f in kind.further_figures if f.suffix == rest), kind.figure) if rest else kind.figure


def titles(key: str) -> list[str]:
    """Return the names under which a key of the logs appears: a mean and, for a likelihood, its perplexity."""
    if key == "token":
        return ["token_loss", "ppl"]
    name, _, rest = key.rpartition("/")
    figure = figure_of(key)
    if rest.startswith("language_"):
        language, prefix = rest.removeprefix("language_"), f"{name}_" if name else ""
        return [f"{prefix}loss_{language}", f"{prefix}ppl_{language}"]
    objective = name or rest
    ppl = "ppl" if figure.suffix == LOSS.suffix else f"{figure.suffix}_ppl"
    return [f"{objective}_{figure.suffix}", *([f"{objective}_{ppl}"] if figure.likelihood else [])]


def register_preset(name: str, preset: Preset) -> type[XAlignCriterion]:
    """Make ``preset`` the criterion ``--criterion name`` of fairseq."""
    PRESETS[name] = preset
    options = [*(kind.Options for kind, _ in preset.objectives), preset.Options]
    config = config_of(preset.class_name.removesuffix("Criterion") + "Config", options)
    namespace = {"__module__": __name__, "__doc__": f"{preset.description}.", "preset": preset}
    return register_criterion(name, dataclass=config)(type(preset.class_name, (XAlignCriterion,), namespace))


PAPERS: dict[str, type[XAlignCriterion]] = {name: register_preset(name, preset) for name, preset in [*PRESETS.items()]}
"""The papers' criterions by name."""
