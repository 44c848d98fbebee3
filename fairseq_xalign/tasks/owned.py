"""What objectives own, in a run: given to the model, begun once, told of every update, refused where it is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_xalign.data.collate import Collater
from fairseq_xalign.data.iterator import BatchIterator
from fairseq_xalign.data.windows import Place, Planner
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.objective import NO_MASTERS, Draw, Objective
from fairseq_xalign.objectives.random import name_key

BEFORE_THE_FIRST = -1
"""Number of the window that is planned for what happens before the first update."""


class OwnedModules:
    """The modules of a list of objectives.

    Attributes:
        found: each objective that owns a module, with it.
        begun: whether what they remember is there: from the start in a resumed run.
    """

    def __init__(self, objectives: Sequence[Objective], model: Any, start: dict[str, Any] | None) -> None:
        """Make the modules, as parts of ``model``.

        Args:
            start: what the run starts from (:func:`tasks.resume.start_checkpoint`), or None.

        Raises:
            UserError: the run is resumed from a checkpoint without what an objective remembers, where it was
                remembered under other options, or with other weights of objectives, which its optimizer knows by
                their place alone.
        """
        self.begun = bool(start and start["resumed"])
        loaded, model.unclaimed = model.unclaimed or {}, None
        self.found: list[tuple[Objective, nn.Module]] = []
        for objective in objectives:
            module = objective.module(model.encoder)
            if module is None:
                continue
            model.objectives[objective.name] = module
            self.found.append((objective, module))
            beginning = f"objectives.{objective.name}."
            if saved := {key.removeprefix(beginning): v for key, v in loaded.items() if key.startswith(beginning)}:
                module.load_state_dict(saved)
            if not objective.memory:
                continue
            if start and self.begun and not any(key.startswith(beginning) for key in start["own"]):
                raise UserError(
                    f"it holds nothing of {objective.name}, which cannot be made up for when a run is resumed",
                    start["path"],
                    remedy="Begin a new run from its weights: --finetune-from-model and another --save-dir",
                )
            if start and self.begun:
                _check_remembered(objective, start)
            if not self.begun:
                names = (name for name in module.state_dict() if name.startswith(objective.memory))
                model.own_start |= {beginning + name for name in names}
        if start and self.begun and not start["optimizer_reset"]:
            self._check_weights(start)

    def _check_weights(self, start: dict[str, Any]) -> None:
        ours = {f"objectives.{objective.name}.{key}" for objective, module in self.found for key in module.state_dict()}
        different = min(ours ^ start["own"], default=None)
        if different is not None:
            where = "this run, not in the checkpoint" if different in ours else "the checkpoint, not in this run"
            raise UserError(
                f"objective {different.split('.')[1]!r} has other weights: {different} is in {where}",
                start["path"],
                remedy="Resume with the objectives and options that it was trained with; or add --reset-optimizer, or "
                "begin a new run from its weights: --finetune-from-model and another --save-dir",
            )

    def begin(self, encoder: Any, seed: int, draw: Callable[[Objective], Draw]) -> None:
        """Let every objective begin, once, before the first update of a new run."""
        if not self.begun:
            for objective, module in self.found:
                objective.begin(module, encoder, name_key(seed, "begin", objective.name), draw(objective))
        self.begun = True

    def before_update(self) -> None:
        for objective, module in self.found:
            objective.before_update(module)

    def after_step(self, encoder: Any, masters: Mapping[Tensor, Tensor] = NO_MASTERS) -> None:
        for objective, module in self.found:
            objective.after_step(module, encoder, masters)


def _check_remembered(objective: Objective, start: dict[str, Any]) -> None:
    """Refuse other options than those under which a resumed run remembered what it did."""
    before = start.get("remembered", {}).get(objective.name, {})
    for option, value in objective.remembered().items():
        if option in before and before[option] != value:
            raise UserError(
                f"{option} {value}: what {objective.name} remembers there was made with {option} {before[option]}",
                start["path"],
                remedy=f"Resume with {option} {before[option]}, or begin a new run from its weights: "
                "--finetune-from-model and another --save-dir",
            )


def last_batches(
    iterator: BatchIterator, name: str, sequences: int, seed: int
) -> Iterator[tuple[tuple[int, int], PackedBatch]]:
    """A rank's share of batches with the units that come last in the first pass over a stream.

    All units but the last are seen in training before they come: a queue that is filled with them holds no key of the
    pairs of the first updates. Dropout is seeded by the number of each batch.

    Args:
        iterator: of training.
        name: of the view.
        sequences: how many units the batches of all ranks hold together, at least.
        seed: of dropout.
    """
    planner, collater = iterator.planner, iterator.collater
    assert isinstance(collater, Collater)
    view = collater.options.views[name]
    numbers = [i for i, stream in enumerate(planner.streams) if stream.kind == view.stream]
    streams = [planner.streams[i] for i in numbers]
    shares = planner.probabilities[numbers] / planner.probabilities[numbers].sum()
    lengths = np.array([len(s) for s in streams])
    drawn = np.maximum(lengths - np.ceil(shares * sequences).astype(np.int64), 0).tolist()
    own = Planner(streams, shares, min(planner.window, sequences), planner.budget, planner.seed)
    collate = Collater(streams, replace(collater.options, views={name: view}))
    place, left, batch_number = Place(BEFORE_THE_FIRST, 0, drawn, [0.0] * len(streams)), sequences, 0
    while left > 0:
        window = own.plan(place)
        for batch, chosen in enumerate(window.batches):
            if left <= 0:
                break
            left -= int((window.sequences[chosen + 1] - window.sequences[chosen]).sum())
            if batch_number % iterator.world == iterator.rank:
                torch.manual_seed(name_key(seed, "dropout", place.window, batch))
                yield (place.window, batch), PackedBatch.from_dict(collate(window, batch)["streams"][name])
            batch_number += 1
        place = window.following
