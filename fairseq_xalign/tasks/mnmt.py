"""Task ``mnmt``: one model for any set of translation directions.

MMTE (Siddhant et al. 2020, "Evaluating the Cross-Lingual Effectiveness of Massively Multilingual Neural Machine
Translation"). ``tasks/translating.py`` has what ``fairseq-generate`` and ``fairseq-interactive`` need.
"""

import logging
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
from fairseq.logging import metrics
from fairseq.tasks import register_task

from fairseq_xalign.criterions.mnmt import MnmtCriterion  # registers it: fairseq imports tasks and models only
from fairseq_xalign.data.collate import CollateOptions, unit_names
from fairseq_xalign.data.collate_translation import TranslationCollater
from fairseq_xalign.data.directions import (
    DIRECTION,
    Direction,
    DirectionStream,
    Limits,
    available_directions,
    choose_directions,
    direction_key,
    read_direction,
)
from fairseq_xalign.data.mixture import stream_probabilities
from fairseq_xalign.data.sampling import Shares, TemperatureSchedule
from fairseq_xalign.data.shards import open_folder
from fairseq_xalign.data.streams import Stream
from fairseq_xalign.data.translation_streams import direction_streams, encoder_streams
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.masking import Vocabulary
from fairseq_xalign.objectives.translation import NONE, SOURCE
from fairseq_xalign.objectives.view import (
    BITEXT,
    DEFAULTS,
    Settings,
    View,
    check_views,
    given_settings,
    name_views,
    resolve_settings,
)
from fairseq_xalign.options import at_least, pair_name, positive
from fairseq_xalign.tasks.base import StreamDataset
from fairseq_xalign.tasks.mnmt_options import MnmtConfig
from fairseq_xalign.tasks.translating import Translating
from fairseq_xalign.tasks.validation_scores import Search, score_names, validation_scores
from fairseq_xalign.tokenizer.vocabulary import symbols_sha256

logger = logging.getLogger(__name__)
LONGEST = 1024
"""The default of ``--max-source-positions`` and ``--max-target-positions``: fairseq's."""


@register_task("mnmt", dataclass=MnmtConfig)
class MnmtTask(Translating):
    """Multilingual translation on the bitext of a data folder.

    Attributes:
        directions: those of this run, (source, target); batches number them in this order.
        target_token: where ``<2xx>`` stands, one of ``TARGET_TOKENS``.
        start_decoder: the decoder's fields in the checkpoint that training starts from, or None.
    """

    criterion_class = MnmtCriterion

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(1, window_size=cfg.window_size, eval_bleu_beam=cfg.eval_bleu_beam)
        at_least(2, max_source_positions=cfg.max_source_positions, max_target_positions=cfg.max_target_positions)
        at_least(0, eval_bleu_sentences=cfg.eval_bleu_sentences)
        positive(sampling_temperature=cfg.sampling_temperature)
        self.schedule = self._temperature_schedule()
        self.start_decoder: dict[str, Any] | None = self._decoder_of_start()
        self.folder = open_folder(cfg.data)
        self.tokenizer = self.folder.tokenizer
        self._check_symbols()
        self.check_vocabulary(cfg.data)
        self.languages = list(self.start["languages"]) if self.start else []
        self.languages += [name for name in self.folder.languages if name not in self.languages]
        self.directions = self._chosen_directions()
        self.target_token = self._chosen_target_token()
        self._check_tags()
        self.settings: Settings = DEFAULTS
        self.views: dict[str, View] = {}
        self.decoder_config: Any = None
        self._scores: dict[str, dict[str, float]] = {}  # of the validation sets that were translated, by split
        self._validated = ""

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "MnmtTask":
        return cls(cfg)

    # -- checks before anything is built ---------------------------------------------------------

    def _temperature_schedule(self) -> TemperatureSchedule | None:
        text, weights = self.cfg.sampling_temperature_schedule, self.cfg.sampling_weights
        if text and weights:
            raise UserError(
                "--sampling-temperature-schedule and --sampling-weights exclude each other",
                remedy="Leave one of them out",
            )
        return TemperatureSchedule.parse(text, "--sampling-temperature-schedule") if text else None

    def _decoder_of_start(self) -> dict[str, Any] | None:
        if self.start is None:
            return None
        if "decoder" not in self.start:
            raise UserError(
                "it has an encoder alone, which cannot translate", self.start["path"],
                remedy="Start from a checkpoint of --task mnmt, or leave it out",
            )  # fmt: skip
        return self.start["decoder"]

    def _check_symbols(self) -> None:
        """Refuse a folder whose text was binarized with another vocabulary than the one that lies there."""
        found = self.folder.manifest["vocabulary"]
        if found["sha256"] != symbols_sha256(self.tokenizer.symbols()):
            raise UserError(
                f"its text was binarized with {found['size']} symbols, which are not the {len(self.tokenizer)} of the "
                "tokenizer that lies beside it", self.cfg.data,
                remedy="Copy the subword folder into it that it was binarized with",
            )  # fmt: skip

    def _chosen_directions(self) -> list[Direction]:
        source, target = self.cfg.source_lang, self.cfg.target_lang
        if (source is None) != (target is None):
            raise UserError(
                "a direction has a source and a target language", remedy="Give both --source-lang and --target-lang"
            )
        split = self.cfg.train_subset
        asked = [read_direction(f"{source}:{target}", "--source-lang and --target-lang")] if source else []
        if asked and not self.cfg.directions:
            return asked
        available = list(available_directions(self.folder.bitext(split)))
        chosen = choose_directions(self.cfg.directions, available, self.folder.languages, self.cfg.data, split)
        if any(direction not in chosen for direction in asked):
            raise UserError(
                f"--source-lang {source} --target-lang {target} is none of --directions {self.cfg.directions}",
                remedy="Give --directions for training, or both languages of one direction, and not both",
            )
        return asked or chosen

    def _chosen_target_token(self) -> str:
        asked = None if self.cfg.target_token is None else str(self.cfg.target_token)
        if self.start is None:
            return asked or SOURCE
        before: str = self.start["target_token"]
        if asked not in (None, before):
            raise UserError(
                f"--target-token {asked}: the checkpoint was trained with --target-token {before}",
                self.start["path"],
                remedy="Leave the option out, or train from the start",
            )
        return before

    def _check_tags(self) -> None:
        """Refuse directions whose target the model could not be told."""
        targets = list(dict.fromkeys(target for _, target in self.directions))
        if self.target_token != NONE:
            for target in targets:
                self._tag(target)
        elif len(targets) > 1:
            raise UserError(
                f"--target-token none with {len(targets)} target languages ({', '.join(targets)}): the model could not "
                "know into which one to translate",
                remedy="Use --target-token source, or --directions with one target language",
            )

    def _tag(self, language: str) -> int:
        """The id of ``<2language>``."""
        if self.folder.fairseq_mode and self.tokenizer.language_id(language) is None:
            raise UserError(
                f"made by fairseq-preprocess, with a vocabulary without <2{language}>", self.cfg.data,
                remedy=f"Add the tokens with `xalign-preprocess check --write-manifest {self.cfg.data}`, or use "
                "--target-token none for one target language",
            )  # fmt: skip
        return self.tokenizer.language_token(language)

    def _check_directions_of_start(self) -> None:
        """Refuse to resume on other directions: the place in the data would be another one."""
        start, now = self.start, [pair_name(direction) for direction in self.directions]
        if start is None or start["criterion_name"] is None or self.cfg.reset_dataloader:
            return
        if start["directions"] != now:
            raise UserError(
                f"it was trained on the directions {', '.join(start['directions'])}, this run has {', '.join(now)}",
                start["path"],
                remedy="Resume with its --directions, or start from its weights with --finetune-from-model and another "
                "--save-dir",
            )

    # -- objectives on the encoder --------------------------------------------------------------

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        criterion = super().build_criterion(cfg, from_checkpoint)
        self.settings = resolve_settings({}, given_settings(self.cfg))[0]
        chosen = [(w, w.objective.view(self.settings)) for w in criterion.objectives]
        self.views = name_views((w.objective.name, view) for w, view in chosen if view is not None)
        name_of = {view: name for name, view in self.views.items()}
        criterion.objectives = [w if view is None else replace(w, batch=name_of[view]) for w, view in chosen]
        check_views(self.views.values())
        return criterion

    @property
    def kinds(self) -> list[str]:
        """The kinds of text that objectives on the encoder read."""
        return sorted({view.stream for view in self.views.values()})

    # -- data ----------------------------------------------------------------------------------

    @cached_property
    def direction_keys(self) -> list[str]:
        """What the figures of each direction are called by."""
        return [direction_key(direction) for direction in self.directions]

    def direction_key(self, stream: Stream) -> str:
        """What the figures of a stream's direction are called by."""
        assert isinstance(stream, DirectionStream)
        return direction_key(stream.languages)

    def limits(self, budget: int | None) -> Limits:
        """Which pairs are left out where a batch holds ``budget`` tokens."""
        positions = [config.max_positions if config.positions == "learned" else None
                     for config in (self.encoder_config, self.decoder_config)]  # fmt: skip
        chosen = (self.cfg.max_source_positions, self.cfg.max_target_positions)
        longest = []
        for option, asked, there in zip(("--max-source-positions", "--max-target-positions"), chosen, positions):
            if asked is not None and there is not None and asked > there:
                raise UserError(
                    f"{option} {asked} exceeds the model's {there} positions",
                    remedy="Lower it, or train a model with more --max-positions",
                )
            longest.append(asked if asked is not None else min(LONGEST, there or LONGEST))
        batch = ""
        if budget is not None and self.views:
            reading = [w.objective.name for w in self.criterion.objectives if w.batch in self.views]
            size, kinds = self.cfg.tokens_per_sample, len(self.kinds)
            batch = f"--max-tokens {budget} less --tokens-per-sample {size}{f' times {kinds}' if kinds > 1 else ''}"
            batch += f" for {' and '.join(f'--{name}-weight' for name in reading)}"
            budget = max(budget - size * kinds, 1)  # a batch holds one of each kind
        return Limits(longest[0], longest[1], budget, batch)

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        if split in self.datasets:
            return
        if "epoch" not in kwargs:  # training and validation pass it; fairseq-generate does not
            self.datasets[split] = self.sentences(split)
            return
        training = split == self.cfg.train_subset
        if training:
            self._check_directions_of_start()
        limits = self.limits(self.cfg.max_tokens if training else self.cfg.max_tokens_valid)
        pairs = direction_streams(self.folder, split, self.directions, limits, self.target_token != NONE, training)
        further = encoder_streams(
            self.folder, split, self.kinds, self.directions, self.settings, self.cfg.tokens_per_sample, training
        )
        self.datasets[split] = StreamDataset([*pairs, *further], split)

    def collater_for(self, streams: list[Any], split: str) -> TranslationCollater:
        cfg = self.cfg
        options = CollateOptions(
            views=self.views,
            vocabulary=Vocabulary.of(self.tokenizer, str(cfg.random_token_lang), str(cfg.random_token_pool)),
            languages=self.language_numbers,
            split=split,
            folder=cfg.data,
        )
        ours = [stream.languages if stream.kind == DIRECTION else None for stream in streams]
        tags = [self._tag(d[1]) if d and self.target_token != NONE else None for d in ours]
        numbers = [self.directions.index(d) if d else None for d in ours]
        return TranslationCollater(streams, options, tags, self.target_token, numbers)

    def shares(self, streams: list[Any]) -> Shares:
        cfg, schedule = self.cfg, self.schedule

        def at(temperature: float) -> np.ndarray:
            # The text of TLM has the names of directions too: weights are those of directions alone.
            return stream_probabilities(streams, temperature, cfg.sampling_weights, cfg.stream_weights, [DIRECTION])

        if schedule is None:
            return at(cfg.sampling_temperature)
        size = self.window(streams)
        return lambda window: at(schedule.at(window * size))

    def window(self, streams: list[Any]) -> int:
        return min(self.cfg.window_size, sum(map(len, streams)))

    @property
    def every_kind(self) -> bool:
        return bool(self.views)

    def order_settings(self) -> dict[str, Any]:
        limits = self.limits(self.cfg.max_tokens)
        languages = [language for direction in self.directions for language in direction]
        settings: dict[str, Any] = {
            "--max-source-positions": limits.source,
            "--max-target-positions": limits.target,
            "--target-token": self.target_token,
            "the text": self.folder.checksum([BITEXT, *self.kinds], self.cfg.train_subset, languages),
        }
        if self.schedule is not None:
            settings["--sampling-temperature-schedule"] = asdict(self.schedule)
        if self.views:
            settings["--tokens-per-sample"] = self.cfg.tokens_per_sample
            settings["--sample-break-mode"] = self.settings.sample_break_mode
            settings["--tlm-packing"] = self.settings.tlm_packing
        return settings

    def unit_names(self, sample: dict[str, Any]) -> list[str]:
        """The sentences of a batch, for messages."""
        return unit_names(self.datasets[sample["split"]].streams, sample["units"])

    # -- model, checkpoint and figures ------------------------------------------------------------

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        if not hasattr(model, "decoder"):
            raise UserError(
                f"--arch {cfg._name} is an encoder alone, which cannot translate",
                remedy="Choose --arch mmte_tiny, mmte_base or mmte_big",
            )
        self.decoder_config = model.decoder.config
        model.target_token = self.target_token
        return model

    def checkpoint_fields(self) -> dict[str, Any]:
        # With MLM or TLM the encoder was shown <s> x </s> too.
        return {
            "decoder": asdict(self.decoder_config),
            "target_token": self.target_token,
            "directions": [pair_name(direction) for direction in self.directions],
            "input": "s" if self.views else "eos",
        }

    def max_positions(self) -> tuple[int, int]:
        limits = self.limits(None)
        assert limits.source is not None and limits.target is not None
        return limits.source, limits.target

    def begin_epoch(self, epoch: int, model: Any) -> None:
        super().begin_epoch(epoch, model)
        if self._iterating is not None:
            for i, stream in enumerate(self._iterating.planner.streams):
                if stream.kind == DIRECTION:
                    metrics.log_derived(f"share_{self.direction_key(stream)}", lambda meters, i=i: self._share(i))

    def _share(self, stream: int) -> float:
        """What share of the pairs that were drawn so far is of one direction, in per cent."""
        kinds = np.array([s.kind == DIRECTION for s in self._iterating.planner.streams])
        drawn = self._iterating.drawn()
        return round(100.0 * float(drawn[stream]) / max(float(drawn[kinds].sum()), 1.0), 2)

    # -- validation -----------------------------------------------------------------------------

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        self._scores = {}

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        split = self._validated = sample["split"]
        if self.cfg.eval_bleu and split not in self._scores:
            model.eval()
            collater = self.collater_for(self.datasets[split].streams, split)
            search = Search(self.cfg.eval_bleu_sentences, self.cfg.eval_bleu_beam, self.cfg.max_tokens_valid or 4096)
            with self._precision(model):
                self._scores[split] = validation_scores(model, self.tokenizer, collater, search)
        return super().valid_step(sample, model, criterion)

    def validation_metrics(self, streams: list[Any]) -> list[str]:
        return super().validation_metrics(streams) + (score_names(streams) if self.cfg.eval_bleu else [])

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        if not criterion.training:
            for name, score in self._scores.get(self._validated, {}).items():
                metrics.log_scalar(name, score, round=2)
