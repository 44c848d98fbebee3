"""Translation language modelling: MLM on a text and its translation in one sequence.

XLM (Conneau and Lample 2019), section 3.3; ALIGN-MLM (Tang et al. 2022), Appendix G.3. How pairs are laid out
(``--tlm-packing``, ``--tlm-positions``, ``--tlm-shuffle-order``) differs between papers and is part of the view.
"""

from __future__ import annotations

from fairseq_xalign.objectives.mlm import HiddenTokens
from fairseq_xalign.objectives.view import BITEXT


class TranslationLM(HiddenTokens):
    """TLM on pairs of translations."""

    name = "tlm"
    stream = BITEXT
