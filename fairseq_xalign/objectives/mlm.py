"""Masked language modelling on text of one language, and what all objectives about hidden tokens share.

L = - sum over hidden positions of log p(token | what is left): BERT (Devlin et al. 2019); ALIGN-MLM (Tang et al.
2022), section 3.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fairseq_xalign.objectives.objective import Context, Loss, Objective, Reading
from fairseq_xalign.objectives.view import MONO, Settings, View


class HiddenTokens(Objective):
    """Base of objectives whose terms are hidden tokens of a stream."""

    token_level: ClassVar[bool] = True
    hidden_only: ClassVar[bool] = True

    def view(self, settings: Settings) -> View:
        assert self.stream is not None
        return View.of(self.stream, settings)

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        assert reading is not None
        terms = reading.token_losses()
        return Loss(terms.sum(), len(terms), (terms.detach(), reading.batch.target_languages))


class MaskedLM(HiddenTokens):
    """MLM on monolingual text."""

    name = "mlm"
    stream = MONO
