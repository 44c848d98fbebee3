"""What an objective is: what it reads, needs, owns and logs, and how a list of objectives is written."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.view import Settings, View


def option(default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    """A field of an objective's options: it becomes ``--its-name`` of every criterion that has the objective."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class NoOptions:
    """The options of an objective that has none."""


@dataclass(frozen=True)
class Figure:
    """A mean that an objective logs as ``{objective}_{suffix}``.

    Attributes:
        suffix: its name.
        likelihood: the terms are -log p in nats: logged in bits, with a perplexity beside it.
        factor: what the mean is multiplied by before it is logged (-1: the loss is the negative figure).
    """

    suffix: str
    likelihood: bool = False
    factor: float = 1.0


LOSS = Figure("loss", likelihood=True)
"""A loss in nats per term, and its perplexity."""


@dataclass
class Loss:
    """An objective's value on one batch: the mean is ``sum / count``.

    Attributes:
        sum: summed loss, a scalar tensor.
        count: number of terms.
        terms: the single terms [N] and each one's language [N], where the objective is about tokens.
        others: (sum, count) of each further figure of the objective, by suffix.
    """

    sum: Tensor
    count: int
    terms: tuple[Tensor, Tensor | None] | None = None
    others: dict[str, tuple[Tensor, int]] = field(default_factory=dict)


NO_MASTERS: Mapping[Tensor, Tensor] = MappingProxyType({})
"""Where the optimizer trains the weights of the model themselves."""
LINKS = "links"
"""In an objective's ``needs``: batches of pairs bring the links of their words (``PackedBatch.links``)."""


@dataclass(frozen=True)
class Resources:
    """What a data folder offers beside text; objectives say in ``needs`` which of it they use.

    Attributes:
        where: the data folder, for messages.
        entries: all entries of its dictionaries (``align.DictionaryTensors``), for ``needs = {"entries"}``.
        translations: single tokens and their translations (``dict_mlm.Translations``), for
            ``needs = {"translations"}``.
        pairs: pairs of the training bitext, for ``needs = {"pairs"}``.
        fingerprints: what tells equal texts (``fingerprint.Fingerprints``), for ``needs = {"fingerprints"}``.
        known_pairs: the pairs of the training bitext (``fingerprint.KnownPairs``), for ``needs = {"known_pairs"}``.
    """

    where: str
    entries: Any = None
    translations: Any = None
    pairs: int | None = None
    fingerprints: Any = None
    known_pairs: Any = None


@dataclass(frozen=True)
class Context:
    """What an objective may need beside a batch.

    Attributes:
        entries: dictionary entries (``align.DictionaryTensors``) on the batch's device, or None.
        key: names this batch's draws.
        training: False in validation, where nothing that an objective owns may change.
        turn: number of the update, from 0 (``--objective-mix alternate`` chooses by it).
        number: the window and the batch in it: where this batch stands in the order of all workers' batches.
        dummy: whether the batch is one that a worker without data was given, and counts for nothing.
        modules: what objectives own, by their names.
        fingerprints: what tells equal texts (``fingerprint.Fingerprints``), or None.
        known_pairs: the pairs of the training bitext (``fingerprint.KnownPairs``), or None.
    """

    entries: Any = None
    key: int = 0
    training: bool = True
    turn: int = 0
    number: tuple[int, int] = (0, 0)
    dummy: bool = False
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    fingerprints: Any = None
    known_pairs: Any = None


class Draw(Protocol):
    """Training batches of an objective's view that come last in the first pass over the text."""

    def __call__(self, sequences: int) -> Iterator[tuple[tuple[int, int], PackedBatch]]:
        """This worker's share of batches that hold at least so many units, each with its number in their order."""
        ...


class Reading(Protocol):
    """A batch in an objective's view, and what the encoder made of it (computed when first asked for, then shared)."""

    batch: PackedBatch

    def features(self, layer: int | None = None) -> Tensor:
        """The encoder's output at every token, [T, D]; or that of a ``layer`` (0: the embeddings), in a pass of its
        own."""
        ...

    def token_losses(self) -> Tensor:
        """-log p(target) at every hidden token, nats, [N]."""
        ...


class Objective(ABC):
    """A loss over a batch of streams.

    Class attributes:
        name: as written in ``--objectives``.
        Options: its options, a frozen dataclass whose fields are made by :func:`option`.
        stream: ``mono`` or ``bitext``, or None where it needs no text.
        token_level: its terms are hidden tokens; with ``--objective-mix mixture`` all such objectives of a list share
            one denominator.
        hidden_only: it reads nothing of the encoder's output but the losses of hidden tokens, so that other tokens need
            not go through all of the last layer.
        needs: which of :class:`Resources` it uses, and :data:`LINKS`.
        memory: beginnings of names in its module: what a new run makes itself, whatever the checkpoint that it starts
            from holds, and without which no run can be resumed.
        figure: what its mean is logged as; ``further_figures``: what ``Loss.others`` is logged as.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[Any]] = NoOptions
    stream: ClassVar[str | None] = None
    token_level: ClassVar[bool] = False
    hidden_only: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    memory: ClassVar[tuple[str, ...]] = ()
    figure: ClassVar[Figure] = LOSS
    further_figures: ClassVar[tuple[Figure, ...]] = ()

    def __init__(self, options: Any = None) -> None:
        self.options = options if options is not None else self.Options()

    def remembered(self) -> dict[str, Any]:
        """The options that what :attr:`memory` names was made with and that a resumed run must keep: {flag: value}."""
        return {}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Objective:
        """The objective with its options taken from ``values`` by name; what is missing there stays default."""
        return cls(cls.Options(**{f.name: values[f.name] for f in fields(cls.Options) if f.name in values}))

    def view(self, settings: Settings) -> View | None:
        """How it reads its stream under a run's settings; None where it reads no text."""
        return View.of(self.stream, settings, hides=False) if self.stream else None

    def check(self, resources: Resources) -> None:
        """Raise UserError where what it needs is empty."""

    @property
    def smallest_batch(self) -> int:
        """How many texts or pairs a batch needs for the loss to mean anything."""
        return 1

    def module(self, encoder: Any) -> nn.Module | None:
        """A new module with the parameters and buffers that it owns: trained, saved and resumed with the model."""
        return None

    def begin(self, module: nn.Module, encoder: Any, seed: int, batches: Draw) -> None:
        """Called once, before the first update of a new run, where it owns a module; never in a resumed run.

        Args:
            seed: for random numbers.
            batches: gives batches of its view.
        """

    def before_update(self, module: nn.Module) -> None:
        """Called before the micro-batches of every update, also of one that is tried again, where it owns a module."""

    def after_step(self, module: nn.Module, encoder: Any, masters: Mapping[Tensor, Tensor] = NO_MASTERS) -> None:
        """Called after every successful optimizer step where it owns a module.

        Args:
            masters: the float32 weights of which parameters are copies in half precision (``--fp16``, ``--bf16``).
        """

    @abstractmethod
    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        """Its value on one batch; ``reading`` is None where it reads no text."""


@dataclass(frozen=True)
class Weighted:
    """An objective with its weight in the sum, and the name of the batch that it reads."""

    objective: Objective
    weight: float = 1.0
    batch: str | None = None

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and math.isfinite(self.weight)):
            raise wrong_weight(self.objective.name, str(self.weight))
        if self.batch is None:
            object.__setattr__(self, "batch", self.objective.stream)


def wrong_weight(name: str, text: str) -> UserError:
    """The error for a weight that is no number of at least 0."""
    return UserError(
        f"the weight of objective {name!r} must be a number of at least 0, not {text!r}", remedy=f"Write {name}:1"
    )


def parse_objectives(
    text: str, known: Mapping[str, type[Objective]], values: Mapping[str, Any] | None = None
) -> list[Weighted]:
    """Read ``name[:weight],...``, for instance ``mlm,align:10``.

    Args:
        known: the objectives by name.
        values: options of objectives, by name.

    Raises:
        UserError: for an unknown or repeated name, a weight that is not a number of at least 0, or weights that are
            all 0.
    """
    chosen: list[Weighted] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight_text = item.partition(":")
        if name not in known:
            raise unknown_name("objective", name, sorted(known))
        try:
            weight = float(weight_text or 1.0)
        except ValueError:
            raise wrong_weight(name, weight_text) from None
        if name in (w.objective.name for w in chosen):
            raise UserError(f"--objectives names {name!r} twice", remedy="Name it once, with the sum of the weights")
        chosen.append(Weighted(known[name].from_values(values or {}), weight))
    if not chosen:
        raise UserError("--objectives is empty", remedy=f"Known: {', '.join(sorted(known))}")
    if not any(w.weight for w in chosen):
        raise UserError(f"--objectives {text}: every weight is 0", remedy="Give one objective more than 0")
    return chosen
