"""The options of ``--task align_mlm``, and those that it shares with translation: what text is read, and how."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum

from fairseq_xalign.data.streams import BREAK_MODES, PACKING_MODES
from fairseq_xalign.tasks.base import TrainingConfig


@dataclass
class HiddenTextConfig(TrainingConfig):
    """How text is prepared for objectives that predict hidden tokens, and how streams share the draws.

    Options whose default is None and that ``objectives.view.Settings`` has too are the criterion's to choose.
    """

    tokens_per_sample: int = field(
        default=512,
        metadata={"help": "longest sequence in tokens, <s> included; 512 by default (ALIGN-MLM, Appendix G.3)"},
    )
    sample_break_mode: Optional[ChoiceEnum(BREAK_MODES)] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "how monolingual text becomes sequences: none (the default, MLM) cuts running text into "
                  "blocks; complete takes consecutive whole sentences that fit and leaves longer ones out (ALIGN-MLM, "
                  "Appendices G.3 and G.4: XLM, DICT-MLM); eos takes one sentence"},
    )  # fmt: skip
    mask_prob: Optional[float] = field(
        default=None,
        metadata={"help": "fraction of the tokens that are selected for prediction; 0.15 by default (BERT; ALIGN-MLM, "
                  "Appendix G.2)"},
    )  # fmt: skip
    leave_unmasked_prob: Optional[float] = field(
        default=None, metadata={"help": "fraction of the selected tokens left as they are; 0.1 by default (BERT)"}
    )
    random_token_prob: Optional[float] = field(
        default=None,
        metadata={"help": "fraction of the selected tokens replaced by a random token; 0.1 by default (BERT)"},
    )
    random_token_lang: ChoiceEnum(("any", "same", "l1")) = field(  # type: ignore[valid-type]
        default="any",
        metadata={"help": "where random replacements come from in a doubled vocabulary: from either half (any, the "
                  "default), from the half of the text (same), or from the natural half (l1, ALIGN-MLM's released "
                  "code)"},
    )  # fmt: skip
    random_token_pool: ChoiceEnum(("regular", "all")) = field(  # type: ignore[valid-type]
        default="regular",
        metadata={"help": "what random replacements are drawn from: ordinary pieces only (regular, the default), or "
                  "every id (all: fairseq, transformers)"},
    )  # fmt: skip
    tlm_packing: Optional[ChoiceEnum(PACKING_MODES)] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "how pairs of translations become sequences: halves (the default; ALIGN-MLM, Appendix G.3) "
                  "packs many pairs into a sequence, all originals first; pairs puts one pair into each (XLM, PPA)"},
    )  # fmt: skip
    tlm_positions: Optional[ChoiceEnum(("reset", "continue"))] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "whether positions start again in the second half of a pair (reset, the default: XLM and "
                  "ALIGN-MLM's released code) or run on (continue: PPA, WEAM)"},
    )  # fmt: skip
    tlm_shuffle_order: bool = field(
        default=False,
        metadata={"help": "let a coin decide which side of a pair comes first (default: always the source)"},
    )
    tlm_sides: Optional[ChoiceEnum(("joined", "apart"))] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "whether TLM reads both sides of a pair in one sequence (joined, the default) or each in its "
                  "own (apart), which makes it MLM on the sides of pairs (PPA, Table 5)"},
    )  # fmt: skip
    tlm_segments: Optional[ChoiceEnum(("pair", "zero"))] = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "segment of the second side of a pair, for encoders that have segments: 1 (pair, the "
                  "default: BERT) or 0, as the first (zero)"},
    )  # fmt: skip
    stream_weights: Optional[str] = field(
        default=None,
        metadata={"help": "sampling weights of the kinds of text, all of which it must name, for instance "
                  "mono:3,bitext:1, and in translation also direction (default: in proportion to their sizes, so that "
                  "all of them end a pass together)"},
    )  # fmt: skip
    window_size: int = field(
        default=4096,
        metadata={
            "help": "number of sequences that are sorted by length together; 4096 by default, and fewer where a pass "
            "over the text has fewer"
        },
    )


@dataclass
class AlignMLMConfig(HiddenTextConfig):
    """Languages, sampling and figures of pre-training."""

    languages: Optional[str] = field(
        default=None, metadata={"help": "languages of the folder to train on, separated by commas (default: all)"}
    )
    sampling_temperature: float = field(
        default=1.0,
        metadata={"help": "temperature T in p ~ n^(1/T) over languages; 1 by default (ALIGN-MLM; MMTE, section 2.2, "
                  "has 5)"},
    )  # fmt: skip
    sampling_weights: Optional[str] = field(
        default=None,
        metadata={"help": "sampling weights of languages, for instance en:2,de:1, and of pairs (en-de:3), instead of a "
                  "temperature; those of the same kind of text that it does not name have weight 1"},
    )  # fmt: skip
    unigram_bias: bool = field(
        default=False,
        metadata={"help": "start the bias of the LM head at the logarithm of unigram frequencies, which helps short "
                  "runs"},
    )  # fmt: skip
    alignment_queries: int = field(
        default=2048,
        metadata={"help": "number of words whose nearest neighbour is looked up at validation; 2048 by default, 0 "
                  "turns this off"},
    )  # fmt: skip
