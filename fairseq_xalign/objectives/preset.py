"""The papers' criterions as objects: their objectives with weights, and the settings that their papers name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.align import Align, AlignWeight
from fairseq_xalign.objectives.combined import MIXTURE
from fairseq_xalign.objectives.dict_mlm import DictionaryMLM
from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.moco import Moco, PPAWeights
from fairseq_xalign.objectives.objective import NoOptions, Objective, Weighted
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.tpp import TranslationPairs
from fairseq_xalign.objectives.weam import ExchangeWeight, WordExchange
from fairseq_xalign.options import at_least, flag


@dataclass(frozen=True)
class Preset:
    """A paper's criterion.

    Attributes:
        description: what it is, and where it comes from.
        class_name: name of its criterion class, which checkpoints record.
        objectives: each objective with its weight: a number, or the name of the option of ``Options`` that holds it.
        settings: fields of ``view.Settings`` that the paper sets; other fields keep their defaults, and an option
            that is given by hand wins.
        language_embeddings: True where the paper's model has language embeddings (a model without them is refused),
            False where it has none (``--language-embeddings`` is refused), None where the paper leaves it open.
        mix: how its objectives are mixed (``combined.MIXES``).
        Options: options of its own, beside those of its objectives.
        drops_zero: an objective of weight 0 is left out, with all that it owns.
    """

    description: str
    class_name: str
    objectives: tuple[tuple[type[Objective], float | str], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    language_embeddings: bool | None = None
    mix: str = MIXTURE
    Options: type[Any] = NoOptions
    drops_zero: bool = False

    def build(self, values: Mapping[str, Any]) -> list[Weighted]:
        """Its objectives, with options and weights taken from ``values`` by name."""
        named = [weight for _, weight in self.objectives if isinstance(weight, str)]
        at_least(0, **{name: float(values[name]) for name in named})
        weights = [float(values[weight] if isinstance(weight, str) else weight) for _, weight in self.objectives]
        if not any(weights):
            given = ", ".join(map(flag, named))
            raise UserError(f"{given} are all 0: nothing is trained", remedy="Give one of them more than 0")
        return [
            Weighted(kind.from_values(values), weight)
            for (kind, _), weight in zip(self.objectives, weights)
            if weight or not self.drops_zero
        ]


PRESETS: dict[str, Preset] = {
    "mlm": Preset("MLM on every language", "MLMCriterion", ((MaskedLM, 1.0),)),
    "tlm": Preset("TLM alone, on bitext", "TLMCriterion", ((TranslationLM, 1.0),)),
    "xlm": Preset(
        "XLM: MLM and TLM, with language embeddings (Conneau and Lample 2019; ALIGN-MLM, Appendix G.3)",
        "XLMCriterion",
        ((MaskedLM, 1.0), (TranslationLM, 1.0)),
        language_embeddings=True,
    ),
    "dict_mlm": Preset(
        "DICT-MLM, with language embeddings (Chaudhary et al. 2020; ALIGN-MLM, Appendix G.4)",
        "DictMLMCriterion",
        ((DictionaryMLM, 1.0),),
        language_embeddings=True,
    ),
    "align_mlm": Preset(
        "ALIGN-MLM: MLM + alpha * ALIGN, without language embeddings (Tang et al. 2022, section 3 and Appendix G)",
        "AlignMLMCriterion",
        ((MaskedLM, 1.0), (Align, "align_weight")),
        language_embeddings=False,
        Options=AlignWeight,
    ),
    "ppa": Preset(
        "PPA: momentum contrast and TLM, one pair per sequence in random order (Pan et al. 2021, section 2)",
        "PPACriterion",
        ((Moco, "moco_weight"), (TranslationLM, "tlm_weight")),
        {
            "tlm_packing": "pairs",
            "tlm_positions": "continue",
            "tlm_shuffle_order": True,
            "tlm_segments": "zero",
        },
        language_embeddings=False,
        Options=PPAWeights,
        drops_zero=True,
    ),
    "tpp": Preset(
        "TPP: telling pairs of translations from others (Mishra and Haghighi 2021, section 2)",
        "TPPCriterion",
        ((TranslationPairs, 1.0),),
    ),
    "weam": Preset(
        "WEAM: TLM with 30 % of the tokens hidden, and cross-lingual prediction (Yang et al. 2021, section 2)",
        "WEAMCriterion",
        ((TranslationLM, 1.0), (WordExchange, "weam_weight")),
        {"mask_prob": 0.3, "tlm_packing": "pairs", "tlm_positions": "continue"},
        language_embeddings=False,
        Options=ExchangeWeight,
    ),
}
"""The criterions by name."""
