"""Task ``align_mlm``: pre-training on monolingual text, bitext and dictionaries.

ALIGN-MLM (Tang et al. 2022) and what it is compared with; the objective is the criterion's.
"""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np
import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from fairseq.tasks import register_task

from fairseq_xalign.constants import PAD
from fairseq_xalign.criterions.xalign import XAlignCriterion  # registers all: fairseq imports tasks and models only
from fairseq_xalign.data.collate import CollateOptions, Collater, unit_names
from fairseq_xalign.data.dictionary import Dictionary, distinct_pairs
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.manifest import stream_title
from fairseq_xalign.data.mixture import stream_probabilities
from fairseq_xalign.data.streams import BREAK_MODES, PACKING_MODES, BitextStream, MonoStream
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.alignment import alignment_score
from fairseq_xalign.evaluate.metrics.word_pairs import Pairs, derived_pairs, dictionary_pairs, mean_rows
from fairseq_xalign.objectives.align import DictionaryTensors
from fairseq_xalign.objectives.masking import MaskingOptions, Translations
from fairseq_xalign.objectives.objective import Context
from fairseq_xalign.objectives.random import name_key, permutation_sample
from fairseq_xalign.options import at_least, name_list, pair_name
from fairseq_xalign.tasks.base import StreamDataset, TrainingConfig, TrainingTask
from fairseq_xalign.tasks.pretraining_text import length_note, masking_vocabulary, unigram_counts

logger = logging.getLogger(__name__)


@dataclass
class AlignMLMConfig(TrainingConfig):
    """Streams, sampling and masking of pre-training."""

    languages: Optional[str] = field(
        default=None, metadata={"help": "train on these languages of the folder, comma-separated (default: all)"}
    )
    tokens_per_sample: int = field(
        default=512, metadata={"help": "longest sequence in tokens, <s> included (ALIGN-MLM, Appendix G.3: 512)"}
    )
    sample_break_mode: ChoiceEnum(BREAK_MODES) = field(  # type: ignore[valid-type]
        default="none",
        metadata={"help": "none: blocks of running text (MLM); complete: consecutive whole sentences that fit, longer "
                  "ones left out (Appendix G.3, G.4: XLM, DICT-MLM); eos: one sentence"},
    )  # fmt: skip
    mask_prob: float = field(default=0.15, metadata={"help": "share of tokens selected (papers: 0.15; WEAM 0.3)"})
    leave_unmasked_prob: float = field(default=0.1, metadata={"help": "share of the selected that stay"})
    random_token_prob: float = field(default=0.1, metadata={"help": "share of the selected replaced at random"})
    random_token_lang: ChoiceEnum(("any", "same", "l1")) = field(  # type: ignore[valid-type]
        default="any",
        metadata={"help": "random replacements come from either half of a doubled vocabulary, the same half, or the "
                  "natural one (the released code of ALIGN-MLM)"},
    )  # fmt: skip
    random_token_pool: ChoiceEnum(("regular", "all")) = field(  # type: ignore[valid-type]
        default="regular", metadata={"help": "ordinary pieces only, or every id (fairseq, transformers)"}
    )
    sampling_temperature: float = field(
        default=1.0, metadata={"help": "T in p ~ n^(1/T) over languages (ALIGN-MLM: 1; MMTE: 5)"}
    )
    sampling_weights: Optional[str] = field(
        default=None, metadata={"help": "languages' shares by hand instead, as en:2,de:1"}
    )
    stream_weights: Optional[str] = field(
        default=None, metadata={"help": "shares of mono and bitext, as mono:3,bitext:1 (default: all end together)"}
    )
    window_size: int = field(default=4096, metadata={"help": "draws that are sorted by length together"})
    tlm_packing: ChoiceEnum(PACKING_MODES) = field(  # type: ignore[valid-type]
        default="halves",
        metadata={"help": "halves: many pairs a sequence, originals first (Appendix G.3); pairs: one (XLM, PPA)"},
    )
    tlm_positions: ChoiceEnum(("reset", "continue")) = field(  # type: ignore[valid-type]
        default="reset",
        metadata={"help": "positions start again in the second half (XLM, released code) or run on (PPA)"},
    )
    tlm_shuffle_order: bool = field(
        default=False, metadata={"help": "a coin decides which side comes first (default: always the source)"}
    )
    unigram_bias: bool = field(
        default=False, metadata={"help": "start the LM head's bias at log unigram frequencies (helps short runs)"}
    )
    alignment_queries: int = field(
        default=2048, metadata={"help": "words whose nearest neighbour is looked up at validation (0: none)"}
    )


@register_task("align_mlm", dataclass=AlignMLMConfig)
class AlignMLMTask(TrainingTask):
    """Pre-training of an encoder on a data folder."""

    criterion_class = XAlignCriterion

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        at_least(1, window_size=cfg.window_size)
        at_least(0, alignment_queries=cfg.alignment_queries)
        self.folder = DataFolder.open(cfg.data)
        self.tokenizer = self.folder.tokenizer
        self.check_vocabulary(cfg.data)
        self.languages = list(self.start["languages"]) if self.start else []
        self.trained = self._chosen_languages()
        new = self.trained if self.start else self.folder.languages
        self.languages += [name for name in new if name not in self.languages]
        self.dictionaries = {
            pair: Dictionary.load(path, self.tokenizer)
            for pair, path in self.folder.dictionaries().items()
            if set(pair) <= set(self.trained)
        }
        self._entries: dict[torch.device, DictionaryTensors] = {}
        self._alignment: float | None = None

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "AlignMLMTask":
        return cls(cfg)

    def _chosen_languages(self) -> list[str]:
        if not self.cfg.languages:
            return list(self.folder.languages)
        chosen = name_list(self.cfg.languages)
        for name in chosen:
            if name not in self.folder.languages:
                raise UserError(
                    f"--languages names {name!r}, which is not in the folder",
                    self.cfg.data,
                    remedy=f"It has {', '.join(self.folder.languages)}",
                )
        return chosen

    # -- objectives ----------------------------------------------------------------------------

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        super().build_criterion(cfg, from_checkpoint)
        names = [w.objective.name for w in self.criterion.objectives]
        if not any(w.objective.stream for w in self.criterion.objectives):
            raise UserError(
                f"--objectives {','.join(names)} reads no text, and an epoch is a pass over text",
                remedy=f"Add one that does, as --objectives mlm,{','.join(names)}",
            )
        if not self.cfg.mask_prob and any(w.objective.masking for w in self.criterion.objectives):
            raise UserError("--mask-prob 0 hides nothing: nothing is learned", remedy="Choose more than 0, at most 1")
        if any(w.objective.needs_dictionary for w in self.criterion.objectives):
            found = self.folder.require("dictionary")
            if not self.dictionaries:
                raise UserError(
                    f"no dictionary between the languages trained on ({', '.join(self.trained)})", self.cfg.data,
                    remedy=f"It has {', '.join(map(pair_name, found))}: change --languages, or make one with "
                    "`xalign-preprocess dictionary` and add it with `xalign-preprocess binarize --dictionary`",
                )  # fmt: skip
        if "align" in names and not len(self._all_entries):
            raise UserError(
                "every entry of the dictionaries is the same piece on both sides: nothing to align", self.cfg.data,
                remedy="Make one whose sides differ with `xalign-preprocess dictionary`, or leave align out",
            )  # fmt: skip
        if "dict" in names and not len(self._translations.values):
            raise UserError(
                "DICT-MLM needs dictionary entries of one piece a side, there is none", self.cfg.data,
                remedy="Make one with `xalign-preprocess dictionary --pieces first`, or a larger vocabulary",
            )  # fmt: skip
        if self.criterion.needs_language_embeddings and not self.encoder_config.n_languages:
            raise UserError(
                f"--criterion {cfg._name} has language embeddings in its paper, this model has none",
                remedy=f"Add --language-embeddings, or use --criterion xalign --objectives {','.join(names)}",
            )
        return self.criterion

    def objective_context(self, device: torch.device, sample: dict[str, Any], dictionary_sample: int) -> Context:
        """What objectives need beside the batch, on its device."""
        entries = None
        if any(w.objective.needs_dictionary and w.objective.stream is None for w in self.criterion.objectives):
            if device not in self._entries:
                self._entries[device] = self._all_entries.to(device)
            entries = self._entries[device]
        return Context(entries, dictionary_sample, name_key(self.cfg.seed, "entries", *sample["number"]))

    @cached_property
    def _all_entries(self) -> DictionaryTensors:
        source, target = distinct_pairs(self.dictionaries.values())
        repeated = sum(len(d) + d.duplicates for d in self.dictionaries.values()) - len(source)
        if repeated:
            logger.info(f"dictionaries: {len(source)} pairs, {repeated} more are repetitions and left out")
        return DictionaryTensors.build(source, target, PAD)

    @cached_property
    def _translations(self) -> Translations:
        triples = []
        for (source, target), dictionary in self.dictionaries.items():
            s, t = self.language_numbers[source], self.language_numbers[target]
            for a, b in zip(dictionary.source, dictionary.target):
                if len(a) == len(b) == 1 and a != b:
                    triples += [(a[0], b[0], t), (b[0], a[0], s)]
        return Translations.build(triples, len(self.tokenizer))

    # -- data ----------------------------------------------------------------------------------

    def _streams(self, split: str) -> list[MonoStream | BitextStream]:
        kinds = {w.objective.stream for w in self.criterion.objectives if w.objective.stream}
        streams: list[MonoStream | BitextStream] = []
        cfg = self.cfg
        if self.encoder_config.positions == "learned" and cfg.tokens_per_sample > self.encoder_config.max_positions:
            raise UserError(
                f"--tokens-per-sample {cfg.tokens_per_sample} exceeds the model's {self.encoder_config.max_positions} "
                "positions",
                remedy="Lower it, or train a model with more --max-positions",
            )
        if "mono" in kinds:
            mono = self.folder.require("mono", split)
            streams += [
                MonoStream(name, mono[name], cfg.tokens_per_sample, str(cfg.sample_break_mode))
                for name in self.trained
                if name in mono
            ]
        if "bitext" in kinds:
            training = split == cfg.train_subset
            bitext = self.folder.require("bitext", split) if training else self.folder.bitext(split)
            streams += [
                BitextStream(pair[0], pair[1], files, cfg.tokens_per_sample, str(cfg.tlm_packing))
                for pair, files in bitext.items()
                if set(pair) <= set(self.trained)
            ]
        streams = [s for s in streams if len(s)]
        if not streams:
            there = [stream_title(s) for s in self.folder.manifest["streams"] if s["kind"] != "dictionary"]
            raise UserError(
                f"nothing to read for split {split!r} in languages {', '.join(self.trained)}", cfg.data,
                remedy=f"It has {', '.join(there) or 'no text'}: add text with `xalign-preprocess binarize --split "
                f"{split}`, or choose other objectives, --languages, "
                + ("--train-subset" if split == cfg.train_subset else "--valid-subset or --disable-validation"),
            )  # fmt: skip
        return streams

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        if split in self.datasets:
            return
        streams = self._streams(split)
        for stream in streams:
            logger.info(f"{split} {stream.name}: {len(stream)} units{length_note(stream, self.cfg)}")
        self.datasets[split] = StreamDataset(streams, split)

    def collater_for(self, streams: list[Any], split: str) -> Collater:
        cfg, criterion = self.cfg, self.criterion
        masking = {w.objective.stream: w.objective.masking for w in criterion.objectives if w.objective.stream}
        options = CollateOptions(
            masking=masking,
            rates=MaskingOptions(cfg.mask_prob, cfg.leave_unmasked_prob, cfg.random_token_prob),
            vocabulary=masking_vocabulary(self.tokenizer, str(cfg.random_token_lang), str(cfg.random_token_pool)),
            languages=self.language_numbers,
            translations=self._translations if "dictionary" in masking.values() else None,
            dictionary=criterion.dictionary_options,
            reset_positions=str(cfg.tlm_positions) == "reset",
            shuffle_order=cfg.tlm_shuffle_order,
            split=split,
            folder=cfg.data,
        )
        return Collater(streams, options)

    def shares(self, streams: list[Any]) -> np.ndarray:
        cfg = self.cfg
        return stream_probabilities(streams, cfg.sampling_temperature, cfg.sampling_weights, cfg.stream_weights)

    def window(self, streams: list[Any]) -> int:
        return self.cfg.window_size

    def order_settings(self) -> dict[str, Any]:
        cfg, objectives = self.cfg, [w.objective for w in self.criterion.objectives]
        kinds = sorted({objective.stream for objective in objectives if objective.stream})
        settings = {
            "--tokens-per-sample": cfg.tokens_per_sample,
            "--sample-break-mode": str(cfg.sample_break_mode),
            "--tlm-packing": str(cfg.tlm_packing),
            "the text": self.folder.checksum(kinds, cfg.train_subset, self.trained),
        }
        if any(objective.needs_dictionary for objective in objectives):
            settings["dictionaries"] = sorted(d.sha256 for d in self.dictionaries.values())
        return settings

    # -- model and validation ------------------------------------------------------------------

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        if self.cfg.unigram_bias and self.start is None:
            texts = self.folder.require("mono", self.cfg.train_subset).items()
            ours = [(f"mono/{name}", tokens) for name, tokens in texts if name in self.trained]
            model.encoder.initialize_output_bias(unigram_counts(ours, len(self.tokenizer), self.cfg.data))
        return model

    def max_positions(self) -> int:
        return self.cfg.tokens_per_sample

    def begin_valid_epoch(self, epoch: int, model: Any) -> None:
        self._alignment = self._measure_alignment(model.encoder.embed_tokens.weight.detach().float())

    def _measure_alignment(self, embeddings: torch.Tensor) -> float | None:
        """Nearest-neighbour alignment (ALIGN-MLM, section 5) of up to ``--alignment-queries`` words, in percent.

        As ``xalign-evaluate align`` has it, of a random choice of the words where there are more.
        """
        wanted = self.cfg.alignment_queries
        if wanted <= 0:
            return None
        words = right = 0.0
        for pairs in self._scored_pairs:
            count = min(wanted, len(pairs.source))
            chosen = permutation_sample(len(pairs.source), count, name_key("alignment"))
            source = mean_rows(embeddings, [pairs.source[i] for i in chosen.tolist()])
            score = alignment_score(source, mean_rows(embeddings, pairs.target), pairs.gold[chosen])
            words, right = words + count, right + score * count
        return right / words if words else None

    @cached_property
    def _scored_pairs(self) -> list[Pairs]:
        """Natural pieces and their copies; without a doubled vocabulary the words of the dictionaries."""
        if len(self.tokenizer.derived_ids):
            shared = self.tokenizer.derived is not None and len(self.tokenizer.derived["kept"]) == self.tokenizer.pieces
            return [] if shared else [derived_pairs(self.tokenizer)]
        return [dictionary_pairs(d.source, d.target, self.tokenizer) for d in self.dictionaries.values()]

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
