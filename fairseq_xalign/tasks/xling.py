"""Tasks ``xling_tagging`` and ``xling_classification``: fine-tune on some languages, watch others.

``fairseq-train LABELLED --task xling_tagging --finetune-from-model CKPT``: tokenizer, vocabulary and
encoder come from the checkpoint, labels from the folder (``xalign-preprocess benchmark``).
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task

from fairseq_xalign.criterions.xling import XlingCriterion  # registers it too: fairseq imports tasks and models only
from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.folder import ENCODERS, LabelledCollater, LabelledFolder, LabelledStream
from fairseq_xalign.labelled.labeller import build_head
from fairseq_xalign.models.heads import POOLINGS
from fairseq_xalign.options import at_least, name_list, share
from fairseq_xalign.tasks.base import StreamDataset, TrainingConfig, TrainingTask
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

logger = logging.getLogger(__name__)
WINDOW = 4096


@dataclass
class XlingTaggingConfig(TrainingConfig):
    """Fine-tuning on labelled examples."""

    train_languages: Optional[str] = field(
        default=None, metadata={"help": "languages to train on, comma-separated (default: en if --train-subset has "
                                "it, else all it has)"}
    )  # fmt: skip
    valid_languages: Optional[str] = field(
        default=None, metadata={"help": "languages to validate on (default: those trained on; zero-shot selection "
                                "on others is not zero-shot)"}
    )  # fmt: skip
    max_length: int = field(
        default=128, metadata={"help": "longest sequence in subwords (ALIGN-MLM, Table 11; XTREME: 128)"}
    )
    head_dropout: float = field(default=0.1, metadata={"help": "dropout in the head"})


@dataclass
class XlingClassificationConfig(XlingTaggingConfig):
    """Fine-tuning on labelled texts."""

    pooling: ChoiceEnum(POOLINGS) = field(  # type: ignore[valid-type]
        default="cls", metadata={"help": "what stands for the text: its first token, the mean or the maximum"}
    )
    head_hidden: int = field(default=0, metadata={"help": "width of a hidden tanh layer in the head (0: none)"})


@register_task("xling_tagging", dataclass=XlingTaggingConfig)
class XlingTaggingTask(TrainingTask):
    """Tags of words, read from their first subwords."""

    head_name = "tagging"
    criterion_class = XlingCriterion

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(3, max_length=cfg.max_length)  # <s>, a subword, </s>
        share(head_dropout=cfg.head_dropout)
        self.folder = LabelledFolder.open(cfg.data)
        if self.folder.task != self.head_name:
            raise UserError(
                f"its task is {self.folder.task}, not {self.head_name}", cfg.data,
                remedy=f"Use --task xling_{self.folder.task}",
            )  # fmt: skip
        self._check_languages(cfg.train_subset)
        if self.start is None:
            raise UserError("fine-tuning needs an encoder to start from", remedy="Add --finetune-from-model CKPT")
        if self.start.get("labels", self.folder.labels) != self.folder.labels:
            raise UserError(
                f"its labels are {self.folder.labels}, the checkpoint's {self.start['labels']}", cfg.data,
                remedy="Fine-tune from the pre-trained checkpoint instead",
            )  # fmt: skip
        self.tokenizer = Tokenizer.from_state(self.start["tokenizer"])
        self.languages = list(self.start["languages"])
        self._reported = list(dict.fromkeys(self._chosen(cfg.train_subset) + self._chosen("valid")))

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "XlingTaggingTask":
        return cls(cfg)

    def head_settings(self) -> dict[str, Any]:
        """What rebuilds the head from a checkpoint."""
        return {"task": self.head_name, "labels": self.folder.labels, "head_dropout": self.cfg.head_dropout}

    def checkpoint_fields(self) -> dict[str, Any]:
        return {**self.head_settings(), "labelled": self.folder.name, "max_length": self._longest(),
                "train_languages": self._chosen(self.cfg.train_subset)}  # fmt: skip

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        model.heads[self.head_name] = build_head(self.encoder_config.width, self.head_settings())
        for name, parameter in model.encoder.named_parameters():
            if name.startswith("lm_"):
                parameter.requires_grad_(False)  # the LM head stays as it was, for further pre-training
        return model

    def _chosen(self, split: str) -> list[str]:
        """Languages of a split: as asked, else English, else all there are."""
        asked = self.cfg.train_languages
        if split != self.cfg.train_subset and self.cfg.valid_languages:
            asked = self.cfg.valid_languages
        if asked:
            return name_list(asked)
        available = self.folder.languages(self.cfg.train_subset)
        return ["en"] if "en" in available else available

    def _check_languages(self, split: str) -> None:
        """Refuse a split that lacks a chosen language, naming the option that chose it."""
        training = split == self.cfg.train_subset
        option = "--train-languages" if training else "--valid-languages"
        asked = self.cfg.train_languages if training else self.cfg.valid_languages
        chosen, there = self._chosen(split), self.folder.languages(split)
        missing = next((language for language in chosen if language not in there), None)
        if chosen and missing is None:
            return
        problem = f"no {split} examples" + (f" in {missing!r}" if missing else "")
        if not training and not asked:
            problem += ", a language to train on: what is trained on is validated on"
        remedy = f"Choose {option if chosen else '--train-subset'} from what the folder has: {self.folder.contents()}"
        raise UserError(f"{option} {asked}: {problem}" if asked else problem, self.cfg.data, remedy=remedy)

    def reported_languages(self) -> list[str]:
        """Every language that scores are logged for: the same on all ranks."""
        return self._reported

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        if split in self.datasets:
            return
        self._check_languages(split)
        streams = []
        for language in self._chosen(split):
            if self.encoder_config.n_languages and language not in self.languages:
                raise UserError(
                    f"the encoder has language embeddings for {', '.join(self.languages)}, not for {language!r}",
                    self.cfg.data,
                    remedy="Name the files by the languages of pre-training",
                )
            rows = list(self.folder.rows(split, language, known_labels=True))
            encoded = ENCODERS[self.head_name](self.tokenizer, rows, self.folder.labels, language, self._longest())
            if not encoded.examples:
                raise UserError(
                    f"no {split} example in {language}: its file is empty",
                    self.cfg.data,
                    remedy="Make the folder again with xalign-preprocess benchmark, or choose other languages",
                )
            note = f", {encoded.cut} {'words' if self.head_name == 'tagging' else 'texts'} cut" if encoded.cut else ""
            logger.info(f"{split} {language}: {len(rows)} rows in {len(encoded.examples)} sequences{note}")
            streams.append(LabelledStream(encoded, self._longest()))
        self.datasets[split] = StreamDataset(streams, split)

    def _longest(self) -> int:
        """The limit in subwords: ``--max-length``, or fewer where the encoder has fewer positions."""
        config = self.encoder_config
        return min(self.cfg.max_length, config.max_positions) if config.positions == "learned" else self.cfg.max_length

    def collater_for(self, streams: list[Any], split: str) -> LabelledCollater:
        return LabelledCollater(streams, self.head_name, self.language_numbers, self.reported_languages())

    def shares(self, streams: list[Any]) -> np.ndarray:
        return temperature_probabilities([len(s) for s in streams], 1.0)

    def window(self, streams: list[Any]) -> int:
        return min(WINDOW, sum(len(s) for s in streams))

    def order_settings(self) -> dict[str, Any]:
        return {"--max-length": self.cfg.max_length}

    def max_positions(self) -> int:
        return self.cfg.max_length


@register_task("xling_classification", dataclass=XlingClassificationConfig)
class XlingClassificationTask(XlingTaggingTask):
    """One label of a text."""

    head_name = "classification"

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(0, head_hidden=cfg.head_hidden)

    def head_settings(self) -> dict[str, Any]:
        return {**super().head_settings(), "pooling": str(self.cfg.pooling), "head_hidden": self.cfg.head_hidden}
