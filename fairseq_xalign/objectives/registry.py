"""The objectives by name. A new one is a file of this folder and a line here."""

from __future__ import annotations

from fairseq_xalign.objectives.align import Align
from fairseq_xalign.objectives.dict_mlm import DictionaryMLM
from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.moco import Moco
from fairseq_xalign.objectives.objective import Objective
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.tpp import TranslationPairs
from fairseq_xalign.objectives.weam import WordExchange
from fairseq_xalign.objectives.wordalign import WordAlignment

LISTED = (MaskedLM, TranslationLM, DictionaryMLM, Align, Moco, TranslationPairs, WordExchange, WordAlignment)
OBJECTIVES: dict[str, type[Objective]] = {o.name: o for o in LISTED}
