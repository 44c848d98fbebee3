"""The objectives by name. A new one: a class in a file of this folder, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_xalign.objectives.align import DictionaryTensors, alignment_loss
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.objective import Context, Loss, Objective


class MaskedLM(Objective):
    """MLM on monolingual text (ALIGN-MLM, section 3)."""

    name, stream, masking, token_level = "mlm", "mono", "mask", True


class TranslationLM(Objective):
    """TLM on pairs of translations (XLM; ALIGN-MLM, Appendix G.3)."""

    name, stream, masking, token_level = "tlm", "bitext", "mask", True


class DictionaryMLM(Objective):
    """MLM on text code-switched by a dictionary (DICT-MLM; ALIGN-MLM, Appendix G.4)."""

    name, stream, masking, token_level, needs_dictionary = "dict", "mono", "dictionary", True, True


class Align(Objective):
    """Cosine of dictionary entries' word embeddings (ALIGN-MLM, section 3); a mean over entries."""

    name, needs_dictionary = "align", True

    def loss(self, encoder: Any, batches: Mapping[str, PackedBatch], context: Context) -> Loss:
        assert isinstance(context.dictionary, DictionaryTensors)
        entries = context.dictionary.sample(context.dictionary_sample, context.key)
        mean = alignment_loss(encoder.embed_tokens.weight, entries)
        return Loss(mean * len(entries), len(entries))


OBJECTIVES: dict[str, type[Objective]] = {o.name: o for o in (MaskedLM, TranslationLM, DictionaryMLM, Align)}
