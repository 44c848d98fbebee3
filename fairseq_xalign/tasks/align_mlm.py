"""Task ``align_mlm``: pre-training on monolingual text, bitext and dictionaries.

ALIGN-MLM (Tang et al. 2022) and what it is compared with; the objective is the criterion's.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from fairseq.logging import metrics
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import register_task

from fairseq_xalign.constants import SPLITS
from fairseq_xalign.criterions.xalign import XAlignCriterion  # registers all: fairseq imports tasks and models only
from fairseq_xalign.data.collate import CollateOptions, Collater, unit_names
from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.data.manifest import stream_title
from fairseq_xalign.data.mixture import stream_probabilities
from fairseq_xalign.data.sampling import Shares, shares_in
from fairseq_xalign.data.shards import open_folder
from fairseq_xalign.data.streams import BitextStream, MonoStream, unigram_counts
from fairseq_xalign.data.windows import draws_per_window
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.word_pairs import Pairs
from fairseq_xalign.objectives.align import DictionaryTensors
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.combined import MIXTURE, counts_apart
from fairseq_xalign.objectives.masking import Vocabulary
from fairseq_xalign.objectives.objective import LINKS, Context, Objective, Resources
from fairseq_xalign.objectives.random import name_key
from fairseq_xalign.objectives.view import (
    DEFAULTS,
    Settings,
    View,
    check_views,
    given_settings,
    name_views,
    resolve_settings,
)
from fairseq_xalign.optimizers.master_weights import master_weights
from fairseq_xalign.options import at_least, flag
from fairseq_xalign.tasks import pretraining_checks as checks
from fairseq_xalign.tasks.alignment import measured_alignment, scored_pairs
from fairseq_xalign.tasks.base import StreamDataset, TrainingTask
from fairseq_xalign.tasks.owned import OwnedModules, last_batches
from fairseq_xalign.tasks.pretraining_options import AlignMLMConfig
from fairseq_xalign.tasks.resources import DICTIONARY, FolderResources
from fairseq_xalign.tokenizer.framing import frame_of

logger = logging.getLogger(__name__)


@register_task("align_mlm", dataclass=AlignMLMConfig)
class AlignMLMTask(TrainingTask):
    """Pre-training of an encoder on a data folder."""

    criterion_class = XAlignCriterion
    trains_lm_head = True

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(1, window_size=cfg.window_size)
        at_least(0, alignment_queries=cfg.alignment_queries)
        self.folder = open_folder(cfg.data)
        self.tokenizer = self.folder.tokenizer
        self.check_vocabulary(cfg.data)
        if self.start and not frame_of(self.start).begin:
            logger.info(f"{self.start['path']} reads {frame_of(self.start).shown}; masked texts have a <s> again")
        self.languages = list(self.start["languages"]) if self.start else []
        self.trained = checks.chosen_languages(cfg.languages, self.folder.languages, cfg.data)
        new = self.trained if self.start else self.folder.languages
        self.languages += [name for name in new if name not in self.languages]
        self.dictionaries = {
            pair: Dictionary.load(path, self.tokenizer)
            for pair, path in self.folder.dictionaries().items()
            if set(pair) <= set(self.trained)
        }
        self.settings = DEFAULTS
        self.views: dict[str, View] = {}
        self.asked_language_embeddings = False
        self._model: Any = None
        self._turn, self._dummy = 0, False
        self._owned: OwnedModules | None = None
        self._entries: dict[torch.device, DictionaryTensors] = {}
        self._alignment: float | None = None

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "AlignMLMTask":
        return cls(cfg)

    # -- objectives ----------------------------------------------------------------------------

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        criterion = super().build_criterion(cfg, from_checkpoint)
        checks.check_reads_text(self.objectives)
        self.settings = self._resolve_settings(cfg._name)
        self.views = self._assign_views()
        check_views(self.views.values())
        self._check_resources()
        wanted = criterion.preset.language_embeddings if criterion.preset else None
        has, asked = bool(self.encoder_config.n_languages), self.asked_language_embeddings
        checks.check_language_embeddings(cfg._name, wanted, has, asked, criterion.objectives)
        self._owned = OwnedModules(self.objectives, self._model, self.start) if self._model is not None else None
        return criterion

    @property
    def objectives(self) -> list[Objective]:
        """The criterion's objectives, in listed order."""
        return [w.objective for w in self.criterion.objectives]

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of streams that objectives read, in alphabetical order."""
        return sorted({objective.stream for objective in self.objectives if objective.stream})

    def _resolve_settings(self, criterion_name: str) -> Settings:
        """The settings of the run; says in the log which of the criterion's were replaced by hand."""
        settings, replaced = resolve_settings(self.criterion.settings, given_settings(self.cfg))
        usual = self.criterion.preset.mix if self.criterion.preset else MIXTURE
        if self.criterion.mix != usual:
            replaced["objective_mix"] = (usual, self.criterion.mix)
        if replaced:
            said = "; ".join(f"{flag(name)} {new} instead of {old}" for name, (old, new) in replaced.items())
            logger.info(f"options given by hand override those of --criterion {criterion_name}: {said}")
        return settings

    def _assign_views(self) -> dict[str, View]:
        """Name the different views of the objectives, and tell each objective which batch is its own."""
        chosen = [(w, w.objective.view(self.settings)) for w in self.criterion.objectives]
        views = name_views((w.objective.name, view) for w, view in chosen if view is not None)
        name_of = {view: name for name, view in views.items()}
        self.criterion.objectives = [w if view is None else replace(w, batch=name_of[view]) for w, view in chosen]
        return views

    def _check_resources(self) -> None:
        if self._needed & DICTIONARY:
            found = self.folder.require("dictionary")
            checks.check_dictionaries(found, self.dictionaries, self.trained, self.cfg.data)
        for objective in self.objectives:
            if objective.needs & {"pairs", "known_pairs"}:
                self.folder.require("bitext", self.cfg.train_subset)
            objective.check(self.resources)

    def begin_epoch(self, epoch: int, model: Any) -> None:
        super().begin_epoch(epoch, model)
        if self._owned is not None and not self._owned.begun:
            model.train()
            with torch.no_grad(), self._precision(model):
                self._owned.begin(model.encoder, self.cfg.seed, lambda objective: partial(self._last, objective))

    def _last(self, objective: Objective, sequences: int) -> Iterator[tuple[tuple[int, int], PackedBatch]]:
        """Batches of an objective's view, on the model's device (``tasks.owned.last_batches``)."""
        name = next(w.batch for w in self.criterion.objectives if w.objective is objective)
        device = self._model.encoder.embed_tokens.weight.device
        for number, batch in last_batches(self._iterating, name, sequences, self.cfg.seed):
            yield number, batch.to(device)

    def before_update(self) -> None:
        """Called by the criterion ahead of the micro-batches of an update."""
        if self._owned is not None:
            self._owned.before_update()

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        scaler = optimizer.scaler if isinstance(optimizer, AMPOptimizer) else None
        scale = scaler.get_scale() if scaler else 0.0
        super().optimizer_step(optimizer, model, update_num)
        # --amp leaves out an overflowing step and lowers the scale
        if self._owned is not None and (scaler is None or scaler.get_scale() >= scale):
            self._owned.after_step(self._model.encoder, master_weights(optimizer))

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int, ignore_grad: bool = False
    ) -> Any:
        self._turn, self._dummy = update_num, ignore_grad
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    @cached_property
    def _needed(self) -> set[str]:
        """Which of :class:`Resources` the objectives use."""
        return {name for objective in self.objectives for name in objective.needs}

    @cached_property
    def resources(self) -> Resources:
        """What the objectives need of the folder beside batches."""
        languages = {name: self.language_numbers[name] for name in self.trained}
        found = FolderResources(self.folder, self.tokenizer, self.cfg.train_subset, self.dictionaries, languages)
        return found.resources(self.cfg.data, self._needed)

    def objective_context(self, device: torch.device, sample: dict[str, Any], training: bool) -> Context:
        """What objectives need beside the batch, on its device."""
        entries = None
        if self.resources.entries is not None:
            if device not in self._entries:
                self._entries[device] = self.resources.entries.to(device)
            entries = self._entries[device]
        number = tuple(sample["number"])
        key = name_key(self.cfg.seed, "entries", *number)
        marks = {"fingerprints": self.resources.fingerprints, "known_pairs": self.resources.known_pairs}
        return Context(entries, key, training, self._turn, number, self._dummy and training, **marks)

    # -- data ----------------------------------------------------------------------------------

    def _streams(self, split: str) -> list[MonoStream | BitextStream]:
        streams: list[MonoStream | BitextStream] = []
        cfg, settings, kinds = self.cfg, self.settings, self.kinds
        if self.encoder_config.positions == "learned" and cfg.tokens_per_sample > self.encoder_config.max_positions:
            raise UserError(
                f"--tokens-per-sample {cfg.tokens_per_sample} exceeds the model's {self.encoder_config.max_positions} "
                "positions",
                remedy="Lower it, or train a model with more --max-positions",
            )
        if "mono" in kinds:
            mono = self.folder.require("mono", split)
            counted = self.folder.lengths("mono", split)
            streams += [
                MonoStream(name, mono[name], cfg.tokens_per_sample, settings.sample_break_mode, counted.get(name))
                for name in self.trained
                if name in mono
            ]
        if "bitext" in kinds:
            training = split == cfg.train_subset
            bitext = self.folder.require("bitext", split) if training else self.folder.bitext(split)
            counted = self.folder.lengths("bitext", split)
            streams += [
                BitextStream(pair[0], pair[1], files, cfg.tokens_per_sample, self._packing, counted.get(pair),
                             self._links(pair, split))
                for pair, files in bitext.items()
                if set(pair) <= set(self.trained)
            ]  # fmt: skip
        streams = [s for s in streams if len(s)]
        if not streams:
            there = [stream_title(s) for s in self.folder.manifest["streams"] if s["kind"] != "dictionary"]
            raise UserError(
                f"nothing to read for split {split!r} in languages {', '.join(self.trained)}", cfg.data,
                remedy=f"It has {', '.join(there) or 'no text'}: {self._how_to_add(split)}choose other objectives, "
                "--languages, "
                + ("--train-subset" if split == cfg.train_subset else "--valid-subset or --disable-validation"),
            )  # fmt: skip
        return streams

    def _links(self, pair: tuple[str, str], split: str) -> Any:
        """The links of a bitext, where an objective reads them; raises UserError if it has none."""
        if LINKS not in self._needed:
            return None
        links = self.folder.links(split)
        checks.check_links(pair, split, links, self.objectives, self.cfg.data)
        checks.check_linked(pair, split, links[pair], self.objectives, self.cfg.data)
        return links[pair]

    def _how_to_add(self, split: str) -> str:
        """The part of a remedy that adds text, where that is possible."""
        possible = split in SPLITS and self.folder.can_grow
        return f"add text with `xalign-preprocess binarize --split {split}`, or " if possible else ""

    @property
    def _packing(self) -> str:
        """How pairs are planned: packed where any view wants them so (others take them one by one)."""
        read = [view for view in self.views.values() if view.stream == "bitext"]
        if not read:
            return self.settings.tlm_packing
        return "halves" if any(view.sides == "joined" and view.packing == "halves" for view in read) else "pairs"

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        if split in self.datasets:
            return
        streams = self._streams(split)
        for stream in streams:
            logger.info(f"{split} {stream.name}: {len(stream)} units{stream.length_note(self.cfg.data)}")
        if split == self.cfg.train_subset:
            checks.check_pairs(self.objectives, self.resources, streams)
        self.datasets[split] = StreamDataset(streams, split)

    def collater_for(self, streams: list[Any], split: str) -> Collater:
        cfg = self.cfg
        options = CollateOptions(
            views=self.views,
            vocabulary=Vocabulary.of(self.tokenizer, str(cfg.random_token_lang), str(cfg.random_token_pool)),
            languages=self.language_numbers,
            resource=self.resources.translations,
            split=split,
            folder=cfg.data,
            links=LINKS in self._needed,
            texts="fingerprints" in self._needed,
        )
        return Collater(streams, options)

    def shares(self, streams: list[Any]) -> np.ndarray:
        cfg = self.cfg
        return stream_probabilities(streams, cfg.sampling_temperature, cfg.sampling_weights, cfg.stream_weights)

    repeats_apart = True

    @property
    def asked_window(self) -> int:  # type: ignore[override]
        return int(self.cfg.window_size)

    def window(self, streams: list[Any]) -> int:
        return draws_per_window(self.cfg.window_size, [len(s) for s in streams], self.shares(streams))

    @property
    def every_kind(self) -> bool:
        """In a mixture too where an objective counts pairs, and not hidden tokens: see ``combined.counts_apart``."""
        return self.criterion.mix != MIXTURE or counts_apart(self.criterion.objectives)

    def check_batch_size(self, batch_size: int | None, streams: list[Any], shares: Shares) -> None:
        drawn: dict[str, float] = {}
        for stream, share in zip(streams, shares_in(shares, 0), strict=True):
            drawn[stream.kind] = drawn.get(stream.kind, 0.0) + float(share)
        checks.check_batch_size(self.objectives, batch_size, drawn)

    def order_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "--tokens-per-sample": self.cfg.tokens_per_sample,
            "--sample-break-mode": self.settings.sample_break_mode,
            "--tlm-packing": self._packing,
            "the text": self.folder.checksum(self.kinds, self.cfg.train_subset, self.trained),
        }
        if LINKS in self._needed:
            settings["word links"] = self.folder.checksum(self.kinds, self.cfg.train_subset, self.trained, links=True)
        if self._needed & DICTIONARY:
            settings["dictionaries"] = sorted(d.sha256 for d in self.dictionaries.values())
        if self.criterion.mix != MIXTURE:
            settings["--objective-mix"] = self.criterion.mix
        elif self.every_kind and len(self.kinds) > 1:
            settings["kinds of text in a batch"] = "all"
        return settings

    # -- model and validation ------------------------------------------------------------------

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = self._model = super().build_model(cfg, from_checkpoint)
        model.unclaimed = {}
        self.asked_language_embeddings = bool(getattr(cfg, "language_embeddings", False))
        fresh = (self.start or {}).get("foreign", {}).get("fresh", [])
        if self.cfg.unigram_bias and (self.start is None or "lm_bias" in fresh):
            texts = self.folder.require("mono", self.cfg.train_subset).items()
            ours = [(f"mono/{name}", tokens) for name, tokens in texts if name in self.trained]
            counts = unigram_counts(ours, len(self.tokenizer), self.cfg.data)
            model.encoder.initialize_output_bias(torch.from_numpy(counts))
            model.own_start = frozenset({"encoder.lm_bias"} if fresh else ())
        return model

    def checkpoint_fields(self) -> dict[str, Any]:
        remembered = {objective.name: objective.remembered() for objective in self.objectives if objective.memory}
        return {"remembered": remembered} if remembered else {}

    def max_positions(self) -> int:
        return self.cfg.tokens_per_sample

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        embeddings = model.encoder.embed_tokens.weight.detach().float()
        self._alignment = measured_alignment(embeddings, self._scored_pairs, self.cfg.alignment_queries)

    @cached_property
    def _scored_pairs(self) -> list[Pairs]:
        return scored_pairs(self.tokenizer, self.dictionaries.values())

    def validation_metrics(self, streams: list[Any]) -> list[str]:
        aligned = self.cfg.alignment_queries and any(len(pairs.source) for pairs in self._scored_pairs)
        return super().validation_metrics(streams) + (["alignment"] if aligned else [])

    def unit_names(self, sample: dict[str, Any]) -> list[str]:
        """The sentences of a batch, for messages."""
        return unit_names(self.datasets[sample["split"]].streams, sample["units"])

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        if not criterion.training and self._alignment is not None:
            metrics.log_scalar("alignment", self._alignment, round=2)
