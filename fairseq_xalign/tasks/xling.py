"""Tasks ``xling_tagging``, ``xling_classification``, ...: fine-tune on some languages, validate on others.

``fairseq-train LABELLED --task xling_tagging --finetune-from-model CKPT``: the tokenizer, vocabulary and
encoder come from the checkpoint, the labels from the folder (``xalign-preprocess benchmark``). There is one
task for each kind in ``labelled/registry.py``, with the options of its head; pairs of texts are trained by
``xling_classification``.
"""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np
from fairseq.logging import metrics
from fairseq.tasks import register_task

from fairseq_xalign.constants import SPLITS
from fairseq_xalign.criterions.sums import summed
from fairseq_xalign.criterions.xalign import config_of
from fairseq_xalign.criterions.xling import XlingCriterion  # registers it too: fairseq imports tasks and models only
from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.labelled.batches import LabelledCollater, LabelledStream
from fairseq_xalign.labelled.code_switching import TOGETHER, switched
from fairseq_xalign.labelled.few_shot import FewShot
from fairseq_xalign.labelled.folder import LabelledFolder, english_among
from fairseq_xalign.labelled.kind import Kind
from fairseq_xalign.labelled.registry import KINDS, task_of
from fairseq_xalign.labelled.validated import Validated
from fairseq_xalign.options import at_least, name_list, share
from fairseq_xalign.tasks.base import StreamDataset, TrainingConfig, TrainingTask
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

logger = logging.getLogger(__name__)
MAX_LENGTH = 128
"""Subwords of a sequence, unless a user or the labelled folder says otherwise."""
WINDOW = 4096
"""Examples that are sorted by length together."""
ALL = "all"
"""What stands for every language in an option that takes a list of them."""


@dataclass
class XlingConfig(TrainingConfig):
    """Options of fine-tuning that every kind of labelled task has."""

    train_languages: Optional[str] = field(
        default=None, metadata={"help": "languages to train on, separated by commas, or all for one model of every "
                                "language that --train-subset has (MMTE, Table 9); by default English (en, eng_Latn, "
                                "en-US, ...) if it has it, otherwise all"}
    )  # fmt: skip
    valid_languages: Optional[str] = field(
        default=None, metadata={"help": "languages to validate on, separated by commas, or all (default: those of "
                                "--train-languages; a checkpoint that was chosen on other languages is not zero-shot)"}
    )  # fmt: skip
    few_shot_languages: Optional[str] = field(
        default=None, metadata={"help": "languages of which a few training examples are added to --train-languages, "
                                "separated by commas, or all for every other language of --train-subset (MMTE, "
                                "Table 8); by default none"}
    )  # fmt: skip
    few_shot_examples: int = field(
        default=10, metadata={"help": "number of examples per language of --few-shot-languages (MMTE, Table 8: 10)"}
    )
    few_shot_upsample: int = field(
        default=1000, metadata={"help": "number of examples per language of --few-shot-languages after each has been "
                                "repeated equally often (MMTE, Table 8: 1000)"}
    )  # fmt: skip
    few_shot_seed: int = field(
        default=1, metadata={"help": "seed by which the examples of --few-shot-languages are drawn; it is apart from "
                             "--seed, so that runs that differ in that one have the same examples (default: 1)"}
    )  # fmt: skip
    code_switch: Optional[str] = field(
        default=None, metadata={"help": "language, such as en, whose texts replace one of the two texts of each "
                                "training example in another language: (q_en, c_xx) and (q_xx, c_en) in one batch "
                                "instead of (q_xx, c_xx), where both have the same id (PPA, section 2.3); --batch-size "
                                "counts the two as one; by default none"}
    )  # fmt: skip
    max_length: Optional[int] = field(
        default=None, metadata={"help": "longest sequence in subwords (default: 128, as in ALIGN-MLM, Table 11, and in "
                                "XTREME; for documents, such as those of benchmark mldoc, 200 and the symbols around "
                                "them, as in MMTE, section 3.2)"}
    )  # fmt: skip
    head_dropout: float = field(
        default=0.1, metadata={"help": "fraction of the head's input that is dropped in training"}
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "train the head alone: the encoder keeps its weights and has no dropout (the "
                                 "feature-based approach of MMTE, Table 7); by default everything is trained"}
    )  # fmt: skip


class XlingTask(TrainingTask):
    """Fine-tuning on a labelled folder of one kind."""

    kind: Kind
    criterion_class = XlingCriterion
    compiles = False  # most fine-tunings end before the compiler's minute is won back

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        if cfg.max_length is not None:
            at_least(3, max_length=cfg.max_length)  # <s>, a subword, </s>
        share(head_dropout=cfg.head_dropout)
        self.kind.check_options(cfg)
        self.folder = LabelledFolder.open(cfg.data)
        if self.folder.kind.training_task == self.kind.training_task:
            self.kind = self.folder.kind
        if self.folder.kind is not self.kind:
            raise UserError(
                f"its task is {self.folder.kind.name}, not {self.kind.name}", cfg.data,
                remedy=f"Use --task {self.folder.kind.training_task}",
            )  # fmt: skip
        self.kind = self.kind.configured(self.kind.head_settings(cfg))
        self.few_shot = FewShot(cfg.few_shot_examples, cfg.few_shot_upsample, cfg.few_shot_seed)
        self.drawn: dict[str, list[str]] = {}
        self._check_languages(cfg.train_subset)
        self._check_few_shot()
        self._check_code_switch()
        if self.start is None:
            raise UserError("fine-tuning needs an encoder to start from", remedy="Add --finetune-from-model CKPT")
        if self.start.get("labels", self.folder.labels) != self.folder.labels:
            raise UserError(
                f"its labels are {self.folder.labels}, the checkpoint's {self.start['labels']}", cfg.data,
                remedy="Fine-tune from the pre-trained checkpoint instead",
            )  # fmt: skip
        self._check_start(self.start)
        self.tokenizer = Tokenizer.from_state(self.start["tokenizer"])
        self.languages = list(self.start["languages"])
        self.frame = self.kind.frame(self.start, cfg)
        trained = self._chosen(cfg.train_subset) + self._few_shot_languages()
        self._reported = list(dict.fromkeys(trained + self._chosen("valid")))

    def _check_start(self, start: dict[str, Any]) -> None:
        """Refuse a checkpoint with another head, and to resume with other trained parameters."""
        head = self.kind.head_settings(self.cfg).get("head", "linear")
        other = start.get("head", "linear")
        if "labels" in start and start["task"] == self.kind.name and other != head:
            raise UserError(
                f"--head {head}: the checkpoint's head is {other}", start["path"],
                remedy=f"Give --head {other}, or start from the pre-trained checkpoint",
            )  # fmt: skip
        crf = start.get("crf", False)
        if "labels" in start and start["task"] == self.kind.name and crf != getattr(self.cfg, "crf", False):
            raise UserError(
                f"the checkpoint's head is {'a' if crf else 'no'} CRF", start["path"],
                remedy=f"{'Give' if crf else 'Leave out'} --crf, or start from the pre-trained checkpoint",
            )  # fmt: skip
        frozen = start.get("freeze_encoder", False)
        if start["criterion_name"] and "labels" in start and frozen != self.cfg.freeze_encoder:
            raise UserError(
                f"it was trained {'with' if frozen else 'without'} --freeze-encoder", start["path"],
                remedy="Resume as it began, choose another --save-dir, or add --reset-optimizer",
            )  # fmt: skip

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "XlingTask":
        return cls(cfg)

    def head_settings(self) -> dict[str, Any]:
        """What rebuilds the head from a checkpoint."""
        common = {"task": self.kind.name, "labels": self.folder.labels, "head_dropout": self.cfg.head_dropout,
                  "input": self.frame.name, **self.kind.frame_settings(self.frame)}  # fmt: skip
        return {**common, **self.kind.head_settings(self.cfg)}

    def checkpoint_fields(self) -> dict[str, Any]:
        few = {"few_shot": {**vars(self.few_shot), "ids": self.drawn}} if self.drawn else {}
        return {**self.head_settings(), "labelled": self.folder.name, "max_length": self._longest(),
                "freeze_encoder": self.cfg.freeze_encoder, "train_languages": self._chosen(self.cfg.train_subset),
                **few}  # fmt: skip

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        model.heads[self.kind.name] = self.kind.build_head(self.encoder_config.width, self.head_settings())
        model.new_rows = self.kind.new_rows(self.start or {}, self.frame)
        if self.cfg.freeze_encoder:
            model.freeze_encoder()
        for name, parameter in model.encoder.named_parameters():
            if name.startswith("lm_"):
                parameter.requires_grad_(False)  # the LM head stays as it was, for further pre-training
        return model

    def _chosen(self, split: str) -> list[str]:
        """The languages of a split: those asked for, otherwise English, otherwise every one it has."""
        asked = self.cfg.train_languages
        if split != self.cfg.train_subset and self.cfg.valid_languages:
            asked = self.cfg.valid_languages
        if asked:
            names = name_list(asked)
            return self.folder.languages(split) if names == [ALL] else names
        available = self.folder.languages(self.cfg.train_subset)
        return english_among(available) or available

    def _few_shot_languages(self) -> list[str]:
        """The languages that only a few examples are trained on."""
        names = name_list(self.cfg.few_shot_languages or "")
        if names == [ALL]:
            trained = self._chosen(self.cfg.train_subset)
            return [name for name in self.folder.languages(self.cfg.train_subset) if name not in trained]
        return names

    def _check_few_shot(self) -> None:
        """Refuse few-shot languages without training examples, or with all of theirs trained on anyway."""
        names, subset = self._few_shot_languages(), self.cfg.train_subset
        if not self.cfg.few_shot_languages:
            return
        self.few_shot.check()
        there = self.folder.languages(subset)
        missing = next((name for name in names if name not in there), None)
        twice = next((name for name in names if name in self._chosen(subset)), None)
        option = f"--few-shot-languages {self.cfg.few_shot_languages}"
        if subset in SPLITS[1:]:
            raise UserError(
                f"{option}: --train-subset {subset} is not for training",
                remedy="Draw the examples from train: a model must not see what it is tested on",
            )
        if missing is not None or not names:
            problem = f"no {subset} examples in {missing!r}" if missing else "there is no further language"
            raise UserError(f"{option}: {problem}", self.cfg.data, remedy=f"The folder has {self.folder.contents()}")
        if twice is not None:
            raise UserError(
                f"{option}: all examples in {twice!r} are trained on",
                remedy=f"Leave {twice} out, or name other languages with --train-languages",
            )

    def _check_code_switch(self) -> None:
        """Refuse to switch with a language without training examples, or where nothing else is trained on."""
        language, subset = self.cfg.code_switch, self.cfg.train_subset
        if not language:
            return
        there = self.folder.languages(subset)
        if language not in there:
            raise UserError(f"--code-switch {language}: no {subset} examples in {language!r}", self.cfg.data,
                            remedy=f"The folder has {self.folder.contents()}")  # fmt: skip
        if self._chosen(subset) == [language]:
            raise UserError(
                f"--code-switch {language}: only {language} is trained on, and there is nothing to switch",
                remedy="Name the languages to train on with --train-languages",
            )

    def _check_languages(self, split: str) -> None:
        """Refuse a split that does not have a chosen language, naming the option that chose it."""
        training = split == self.cfg.train_subset
        option = "--train-languages" if training else "--valid-languages"
        asked = self.cfg.train_languages if training else self.cfg.valid_languages
        chosen, there = self._chosen(split), self.folder.languages(split)
        missing = next((language for language in chosen if language not in there), None)
        if chosen and missing is None:
            return
        problem = f"no {split} examples" + (f" in {missing!r}" if missing else "")
        has = f"what the folder has: {self.folder.contents()}"
        remedy = f"Choose {option if chosen else '--train-subset'} from {has}"
        if not training and not asked:
            problem += ", a language to train on: every such language is validated on too"
            made = f"Add {split}.{missing or 'XX'} to the files that `xalign-preprocess benchmark` makes the folder of"
            remedy = f"{made}, choose --valid-languages from {has}, or train with --disable-validation"
        raise UserError(f"{option} {asked}: {problem}" if asked else problem, self.cfg.data, remedy=remedy)

    def reported_languages(self) -> list[str]:
        """Every language that scores are logged for, the same on all ranks."""
        return self._reported

    @cached_property
    def validated(self) -> Validated:
        """What validation scores besides accuracy."""
        return Validated(self.kind, task_of(self.kind, self.folder.name), self.folder.labels, self._chosen("valid"))

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Add the scores of whole rows: sums over the batches of validation, and what follows from them."""
        super().reduce_metrics(logging_outputs, criterion)
        validated = self.validated
        sums = summed(logging_outputs) if logging_outputs and not criterion.training and validated.metrics else {}
        kept = {key: value for key, value in sums.items() if key in validated.sum_names()}
        for key, value in kept.items():
            metrics.log_scalar_sum(f"_{key}", value)  # fairseq does not print a name that begins with _

        def score_of(name: str) -> Any:
            def score(meters: Any) -> float:
                found = {key: float(meters[f"_{key}"].sum) for key in kept}
                return round(validated.scores(found)[name], 2)

            return score

        for name in validated.names() if kept else ():
            metrics.log_derived(name, score_of(name))

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        if split in self.datasets:
            return
        self._check_languages(split)
        few = self._few_shot_languages() if split == self.cfg.train_subset else []
        streams = [self._stream(split, language, language in few) for language in [*self._chosen(split), *few]]
        self.datasets[split] = StreamDataset(streams, split)

    def _stream(self, split: str, language: str, few: bool) -> LabelledStream:
        """The examples of one language; ``few``: only a few of them, repeated."""
        switching = self.cfg.code_switch and not few and split == self.cfg.train_subset
        needed = [language, self.cfg.code_switch] if switching else [language]
        unknown = next((name for name in needed if name not in self.languages), None)
        if self.encoder_config.n_languages and unknown is not None:
            raise UserError(
                f"the encoder has language embeddings for {', '.join(self.languages)}, not for {unknown!r}",
                self.cfg.data,
                remedy="Name the files by the languages of pre-training",
            )
        rows = list(self.folder.rows(split, language, known_labels=True))
        total = len(rows)
        together = 1
        if switching and language != self.cfg.code_switch:
            rows, together = self._switched(rows, split, language), TOGETHER
        if few:
            rows = self.few_shot.draw(rows, language, str(self.folder.path / f"{split}.{language}.jsonl"))
            self.drawn[language] = [row["id"] for row in rows]
        encoded = self.kind.learnable(
            self.kind.encode_framed(self.tokenizer, rows, self.folder.labels, language, self._longest(), self.frame)
        )
        note = f", {self.kind.cut_noun} cut: {encoded.cut:,}" if encoded.cut else ""
        note += "".join(f", {what}: {count:,}" for what, count in encoded.notes.items())
        if not encoded.examples:
            raise UserError(
                f"no {split} example in {language}: {f'of {len(rows)} rows{note}' if rows else 'its file is empty'}",
                self.cfg.data,
                remedy="Make the folder again with xalign-preprocess benchmark, or choose other languages",
            )
        sizes = f"{counted(len(rows), 'row')} in {counted(len(encoded.examples), 'sequence')}"
        logger.info(f"{split} {language}: {sizes}{note}")
        if few:
            encoded = self.few_shot.repeated(encoded)
            logger.info(
                f"{split} {language}: few-shot, {len(rows)} of {total:,} rows, drawn with seed {self.few_shot.seed} "
                f"and repeated to {self.few_shot.upsample:,}"
            )
        scored = split != self.cfg.train_subset and bool(self.validated.metrics)
        return LabelledStream(encoded, self._longest(), self.frame, together, rows if scored else None)

    def _switched(self, rows: list[Any], split: str, language: str) -> list[Any]:
        """Two rows for each, with one text in the language of ``--code-switch``; what has no partner is logged."""
        other = str(self.cfg.code_switch)
        others = self.folder.rows(split, other, known_labels=True)
        made, left_out = switched(self.kind, rows, others, (language, other))
        for reason, count in left_out.items():
            logger.info(f"{split} {language}: {counted(count, 'row')} left out: {other} {reason}")
        if not made:
            raise UserError(
                f"--code-switch {other}: no example in {language} has the id and the answer of one in {other}",
                self.folder.path / f"{split}.{language}.jsonl",
                remedy="Translations need the ids of the originals",
            )
        return made

    def _longest(self) -> int:
        """The longest sequence in subwords: ``--max-length``, or less where the encoder has fewer positions."""
        config = self.encoder_config
        longest = self._asked_length()
        return min(longest, config.max_positions) if config.positions == "learned" else longest

    def _asked_length(self) -> int:
        """``--max-length``, or its default."""
        if self.cfg.max_length is not None:
            return int(self.cfg.max_length)
        return MAX_LENGTH if self.folder.pieces is None else self.folder.pieces + self.frame.extra

    def collater_for(self, streams: list[Any], split: str) -> LabelledCollater:
        return LabelledCollater(streams, self.kind, self.language_numbers, self.reported_languages(), self.frame)

    def shares(self, streams: list[Any]) -> np.ndarray:
        return temperature_probabilities([len(s) for s in streams], 1.0)

    def window(self, streams: list[Any]) -> int:
        return min(WINDOW, sum(len(s) for s in streams))

    def order_settings(self) -> dict[str, Any]:
        few = {"--few-shot-languages": self.drawn} if self.drawn else {}
        switched_with = {"--code-switch": self.cfg.code_switch} if self.cfg.code_switch else {}
        return {"--max-length": self._asked_length(), **self.kind.order_settings(self.cfg), **few, **switched_with}

    def max_positions(self) -> int:
        return self._asked_length()


def config_class(kind: Kind) -> type[XlingConfig]:
    """The options of ``--task xling_KIND``: those of fine-tuning, and those of the kind's head."""
    made = config_of(f"Xling{kind.name.title()}Config", [kind.Options], XlingConfig)
    made.__doc__ = f"Options of xling_{kind.name}."
    return made


for _kind in (kind for kind in KINDS.values() if not kind.trained_by):
    _name = f"Xling{_kind.name.title()}Task"
    _task = type(_name, (XlingTask,), {"kind": _kind, "__doc__": _kind.described, "__module__": __name__})
    globals()[_name] = register_task(f"xling_{_kind.name}", dataclass=config_class(_kind))(_task)
