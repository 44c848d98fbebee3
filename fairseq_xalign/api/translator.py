"""A translation model from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.api import texts as given
from fairseq_xalign.api.arguments import check_number, check_path, check_string, check_whole, if_given
from fairseq_xalign.api.texts import Progress, Texts
from fairseq_xalign.errors import UserError, unknown_language
from fairseq_xalign.models.checkpoint import read_translator
from fairseq_xalign.models.generate import BATCH_TOKENS, check_target, targets_of, translate
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


class Translator:
    """A translation model with its tokenizer, opened by :func:`load_translator`.

    Attributes:
        model: the model itself, a torch module in evaluation mode.
        tokenizer: text to ids and back.
        languages: those of the model.
        directions: names of the directions that it was trained on, ``en-de``.
    """

    def __init__(self, model: TranslationModel, tokenizer: Tokenizer, task_state: dict[str, Any], where: str) -> None:
        self.model, self.tokenizer, self._where = model, tokenizer, where
        self.languages: list[str] = list(task_state.get("languages") or ())
        self.directions: list[str] = list(task_state.get("directions") or ())
        self._targets = targets_of(task_state)

    def __repr__(self) -> str:
        return f"Translator({self._where!r}, into {', '.join(self._targets) or 'any language'}, on {self.device})"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.encoder.embed_tokens.weight.device

    def to(self, device: str | torch.device | None) -> Translator:
        """Move it to a device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU."""
        self.model.to(given.device_named(device))
        return self

    def translate(
        self,
        texts: Texts,
        target: str | None = None,
        source: str | None = None,
        *,
        beam: int = 4,
        lenpen: float = 1.0,
        max_len_a: float = 0.0,
        max_len_b: int = 200,
        batch_size: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        device: str | torch.device | None = None,
        progress: Progress = None,
    ) -> str | list[str]:
        """Translate one text, or several.

        The search is that of ``xalign-evaluate bleu`` and, but for its limit of length, of fairseq.

        Args:
            texts: a text, or several; an empty one stays empty. One that is too long is cut off, and a warning says how
                many are.
            target: the language to translate into; None if the model was trained on one alone.
            source: the language of the texts. Our models do not need to be told; an unknown one is refused.
            beam: how many hypotheses are kept.
            lenpen: scores are divided by length to this power; larger values favour longer translations.
            max_len_a, max_len_b: a translation has at most ``max_len_a * source pieces + max_len_b`` pieces.
            batch_size: texts per batch at most.
            batch_tokens: source pieces per batch at most, counted once for each hypothesis of the beam.
            device: where to compute from now on; None: where it is.
            progress: whether to show a progress bar (None: for 1,000 texts and more, at a terminal), or a function that
                is told, now and then, how many more are done.

        Returns:
            a string for one text, a list of strings, in order, for several.

        Raises:
            UserError: an unknown language, texts that are no strings, a setting out of range.
        """
        lines, alone = given.several(texts)
        given.check_batch_size(batch_size, batch_tokens)
        check_whole(1, beam=beam, max_len_b=max_len_b)
        check_number(0, max_len_a=max_len_a, lenpen=lenpen)
        if_given(check_string, target=target, source=source)
        if target is None:
            if len(self._targets) != 1:
                raise UserError("target is missing", remedy=f"Choose one of {', '.join(self._targets)}")
            target = self._targets[0]
        check_target(target, self.model, self.tokenizer, self._targets, f"target {target}")
        if source is not None and self.languages and source not in self.languages:
            raise unknown_language(source, self.languages, option="source")
        if device is not None:
            self.to(device)
        with given.progress("translating", len(lines), progress) as advance:
            found = translate(
                self.model,
                self.tokenizer,
                lines,
                source,
                target,
                beam=beam,
                lenpen=lenpen,
                max_len_a=max_len_a,
                max_len_b=max_len_b,
                batch_tokens=batch_tokens,
                batch_size=batch_size,
                report=given.warn_truncated,
                advance=advance,
            )
        return found[0] if alone else found


def load_translator(path: str | Path, device: str | torch.device | None = None) -> Translator:
    """Open a translation model.

    Args:
        path: a checkpoint that was trained with ``--task mnmt``: a ``.pt`` file or its folder.
        device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU.

    Raises:
        UserError: a checkpoint that does not translate, or an unknown device.
    """
    check_path(path)
    where = given.device_named(device)
    model, tokenizer, task_state = read_translator(path)
    return Translator(model.to(where), tokenizer, task_state, str(path))
