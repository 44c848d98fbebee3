"""The options of ``--task mnmt``: the directions, how they are sampled, and what validation translates."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum
from omegaconf import II

from fairseq_xalign.objectives.translation import TARGET_TOKENS
from fairseq_xalign.tasks.pretraining_options import HiddenTextConfig


@dataclass
class MnmtConfig(HiddenTextConfig):
    """Directions, their sampling, limits of length, and translation during validation.

    ``--max-tokens`` counts what a pair costs: source and target tokens, with ``<2xx>`` and ``</s>``, without padding.
    """

    directions: Optional[str] = field(
        default=None,
        metadata={"help": "translation directions, separated by commas, for instance en-de,de-en; any stands for every "
                  "language, as in en-any,any-en (default: all, which is both directions of every pair of texts)"},
    )  # fmt: skip
    source_lang: Optional[str] = field(
        default=None,
        metadata={"help": "source language of a single direction (default: those of --directions)",
                  "argparse_alias": "-s"},
    )  # fmt: skip
    target_lang: Optional[str] = field(
        default=None,
        metadata={"help": "target language of a single direction (default: those of --directions)",
                  "argparse_alias": "-t"},
    )  # fmt: skip
    target_token: Optional[ChoiceEnum(TARGET_TOKENS)] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "where the target language is named: source (the default; MMTE, section 2.2) puts <2xx> in "
                  "front of the source; separate encodes <2xx> apart from the source, and the decoder attends to both "
                  "(MMTE, Table 11); none names it nowhere, for models with one target language (default when "
                  "resuming: as in the checkpoint)"},
    )  # fmt: skip
    sampling_temperature: float = field(
        default=5.0,
        metadata={"help": "temperature T in p ~ n^(1/T), where n is the number of sentence pairs of a direction; 5 by "
                  "default (MMTE, section 2.2)"},
    )  # fmt: skip
    sampling_temperature_schedule: Optional[str] = field(
        default=None,
        metadata={"help": "temperatures and the number of sentence pairs drawn so far at which each is reached, for "
                  "instance 1:0,5:2000000; between them T changes linearly, once per --window-size draws (default: "
                  "--sampling-temperature throughout)"},
    )  # fmt: skip
    sampling_weights: Optional[str] = field(
        default=None,
        metadata={"help": "sampling weights of directions, for instance en-de:2,de-en:1, instead of a temperature; "
                  "directions that it does not name have weight 1, and text of --mlm-weight and --tlm-weight keeps the "
                  "temperature"},
    )  # fmt: skip
    max_source_positions: Optional[int] = field(
        default=None,
        metadata={"help": "longest source in tokens, <2xx> and </s> included; pairs with a longer one are left out and "
                  "counted (default: 1024, or as many positions as the model has)"},
    )  # fmt: skip
    max_target_positions: Optional[int] = field(
        default=None,
        metadata={"help": "longest target in tokens, </s> included; pairs with a longer one are left out and counted "
                  "(default: 1024, or as many positions as the model has)"},
    )  # fmt: skip
    eval_bleu: bool = field(
        default=False,
        metadata={"help": "translate at every validation and report BLEU and chrF of each direction, and their means "
                  "bleu and chrf, for instance for --best-checkpoint-metric bleu --maximize-best-checkpoint-metric; "
                  "also the share of repetitive outputs (repetition) and of outputs in a wrong language (off_target)"},
    )  # fmt: skip
    eval_bleu_sentences: int = field(
        default=200,
        metadata={"help": "number of sentences that --eval-bleu translates per direction, the first of each; 200 by "
                  "default, 0 takes all"},
    )  # fmt: skip
    eval_bleu_beam: int = field(default=1, metadata={"help": "beam size of --eval-bleu; 1 (greedy) by default"})
    max_tokens_valid: Optional[int] = II("dataset.max_tokens_valid")
