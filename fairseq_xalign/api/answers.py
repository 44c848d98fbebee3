"""Models that answer questions, from Python: spans of a context with their places and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import torch

from fairseq_xalign.api import texts as given
from fairseq_xalign.api.arguments import check_string, check_whole, if_given
from fairseq_xalign.api.labels import BATCH_TOKENS, CHUNK, FineTuned, fine_tuned
from fairseq_xalign.api.texts import Progress
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.kind import Row
from fairseq_xalign.labelled.span_windows import POOL, Answer
from fairseq_xalign.models.sentences import language_number


class QuestionAnswerer(FineTuned):
    """Answers questions about texts, opened by :func:`load_qa`.

    Attributes:
        languages: those that its encoder was trained on.
    """

    def to(self, device: str | torch.device | None) -> QuestionAnswerer:
        """Move it to a device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU."""
        self._to(device)
        return self

    @overload
    def answer(self, question: str, context: str, *, n_best: None = None, max_answer_length: int | None = None,
               device: str | torch.device | None = None, language: str | None = None,
               progress: Progress = None) -> Answer | None: ...  # fmt: skip

    @overload
    def answer(self, question: str, context: str, *, n_best: int, max_answer_length: int | None = None,
               device: str | torch.device | None = None, language: str | None = None,
               progress: Progress = None) -> list[Answer]: ...  # fmt: skip

    @overload
    def answer(self, question: list[str], context: list[str], *, n_best: None = None,
               max_answer_length: int | None = None, device: str | torch.device | None = None,
               language: str | None = None, progress: Progress = None) -> list[Answer | None]: ...  # fmt: skip

    @overload
    def answer(self, question: list[str], context: list[str], *, n_best: int,
               max_answer_length: int | None = None, device: str | torch.device | None = None,
               language: str | None = None, progress: Progress = None) -> list[list[Answer]]: ...  # fmt: skip

    def answer(
        self,
        question: str | list[str],
        context: str | list[str],
        *,
        n_best: int | None = None,
        max_answer_length: int | None = None,
        device: str | torch.device | None = None,
        language: str | None = None,
        progress: Progress = None,
    ) -> Answer | list[Answer] | list[Answer | None] | list[list[Answer]] | None:
        """The answer to each question in its context, of any length: a long one is read in overlapping windows.

        Args:
            question: a question, or several.
            context: the text that it is about; for several questions, one for each of them.
            n_best: list so many answers, best first (20 at most); None for the best one alone.
            max_answer_length: longest answer in subwords (default: that of training).
            device: where to compute from now on; None: where it is.
            language: of the texts, for models with language embeddings; others do not need it.
            progress: as in :meth:`Tagger.predict`.

        Returns:
            For one question :class:`Answer` (None where its context is empty), or with ``n_best`` a list of them; for
            several questions, a list of that.

        Raises:
            UserError: as many questions as contexts are needed; ``n_best`` or a language out of range.
        """
        questions, alone = given.several(question, "question")
        contexts, one_context = given.several(context, "context")
        if alone != one_context or len(questions) != len(contexts):
            raise UserError(
                f"{len(questions)} questions and {len(contexts)} contexts", remedy="Give each question its context"
            )
        if_given(check_whole, 1, n_best=n_best, max_answer_length=max_answer_length)
        if_given(check_string, language=language)
        if n_best is not None and n_best > POOL:
            raise UserError(f"n_best={n_best}: there are {POOL} answers at most", remedy=f"Choose 1 to {POOL}")
        language_number(language, self.languages, self._labeller.encoder.config.n_languages, "language")
        if device is not None:
            self._to(device)
        rows: list[Row] = [{"question": q, "context": c, "answers": None} for q, c in zip(questions, contexts)]
        found = self._answers(rows, language, max_answer_length, progress)
        results = [answers[:n_best] if n_best else next(iter(answers), None) for answers in found]
        return results[0] if alone else results  # type: ignore[return-value]

    def _answers(
        self, rows: Sequence[Row], language: str | None, longest: int | None, shown: Progress
    ) -> list[list[Answer]]:
        labeller = replace(self._labeller, kind=self._labeller.kind.configured({"max_answer_length": longest}))
        found: list[list[Answer]] = []
        with given.progress("answering", len(rows), shown) as advance:
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                encoded = labeller.encode(chunk, language or "")
                for what, number in encoded.notes.items():
                    given.warn_truncated(f"{number} {what}")
                found += labeller.predict(encoded, len(chunk), BATCH_TOKENS)
                advance(len(chunk))
        return found


def load_qa(path: str | Path, device: str | torch.device | None = None) -> QuestionAnswerer:
    """Open a checkpoint that was fine-tuned with ``--task xling_qa``.

    Args:
        path: a ``.pt`` file or its folder.
        device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU.

    Raises:
        UserError: a checkpoint of another task, or an unknown device.
    """
    where = given.device_named(device)
    return QuestionAnswerer(fine_tuned(path, "qa").to(where), str(path))
