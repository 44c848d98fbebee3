"""Fine-tuned models from Python: tags of words and labels of texts, each with its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_xalign.api import texts as given
from fairseq_xalign.api.arguments import check_path, check_string, if_given
from fairseq_xalign.api.texts import Pairs, Progress, Texts
from fairseq_xalign.api.words import Sentences, word_lists
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.kind import Row
from fairseq_xalign.labelled.labeller import Labeller, load_labeller
from fairseq_xalign.models.sentences import language_number

BATCH_TOKENS = 8192
CHUNK = 10_000
"""Texts that are sorted by length together."""


@dataclass(frozen=True)
class Tagged:
    """The words of a sentence with their tags.

    Attributes:
        words: its n words.
        tags: the most probable tag of each; with a CRF, the most probable tags together.
        probabilities: of every tag, in the order of ``Tagger.labels``, float32 [n, labels].
    """

    words: list[str]
    tags: list[str]
    probabilities: np.ndarray


@dataclass(frozen=True)
class Classified:
    """The label of a text.

    Attributes:
        label: the most probable one.
        probability: its probability.
        probabilities: of every label, in the order of ``Classifier.labels``, float32 [labels].
    """

    label: str
    probability: float
    probabilities: np.ndarray


class FineTuned:
    """A fine-tuned model; its subclasses say what goes in and what comes out."""

    def __init__(self, labeller: Labeller, where: str) -> None:
        self._labeller, self._where = labeller, where
        self.labels: list[str] = labeller.labels
        self.languages: list[str] = labeller.languages

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r}, {len(self.labels)} labels, on {self.device})"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._labeller.encoder.embed_tokens.weight.device

    @property
    def max_tokens(self) -> int:
        """Longest input in pieces, with the special tokens around it."""
        return self._labeller.max_length

    def _to(self, device: str | torch.device | None) -> None:
        self._labeller.to(given.device_named(device))

    def _probabilities(
        self,
        rows: Sequence[Row],
        language: str | None,
        batch_size: int | None,
        device: str | torch.device | None,
        shown: Progress,
    ) -> list[tuple[list[str], np.ndarray]]:
        """For each row the labels of its units, and their probabilities, float32 [units, labels]."""
        given.check_batch_size(batch_size)
        if_given(check_string, language=language)
        language_number(language, self.languages, self._labeller.encoder.config.n_languages, "language")
        if device is not None:
            self._to(device)
        found: list[tuple[list[str], np.ndarray]] = []
        cut = 0
        with given.progress("predicting", len(rows), shown) as advance:
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                encoded = self._labeller.encode(chunk, language or "")
                cut += encoded.cut
                limits: dict[str, Any] = {"batch_size": batch_size, "advance": advance}
                found += self._labeller.probabilities(encoded, len(chunk), BATCH_TOKENS, **limits)
        if cut:
            noun = self._labeller.kind.cut_noun
            given.warn_truncated(f"{noun} cut to {self.max_tokens} subwords: {cut:,}")
        return found


class Tagger(FineTuned):
    """Tags words, opened by :func:`load_tagger`.

    Attributes:
        labels: all tags, in the order of probabilities.
        languages: those that its encoder was trained on.
    """

    def to(self, device: str | torch.device | None) -> Tagger:
        """Move it to a device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU."""
        self._to(device)
        return self

    def predict(
        self,
        sentences: Sentences,
        *,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        language: str | None = None,
        progress: Progress = None,
    ) -> Tagged | list[Tagged]:
        """The tags of the words of each sentence.

        A sentence that is longer than the model reads is tagged part by part, as ``xalign-evaluate predict`` does; of a
        single word that is too long only the beginning is read, and a warning says how many.

        Args:
            sentences: a sentence, whose words are separated by white space; or a list, of which each element is such a
                sentence or the list of its words.
            batch_size: sentences per batch at most.
            device: where to compute from now on; None: where it is.
            language: of the sentences, for models with language embeddings; others do not need it.
            progress: whether to show a progress bar (None: for 1,000 sentences and more, at a terminal), or a function
                that is told, now and then, how many more are done.

        Returns:
            :class:`Tagged` for one sentence, a list of them for several.
        """
        lists, alone = word_lists(sentences)
        rows: list[Row] = [{"tokens": words, "tags": [None] * len(words)} for words in lists]
        found = self._probabilities(rows, language, batch_size, device, progress)
        results = [Tagged(words, tags, scores) for words, (tags, scores) in zip(lists, found)]
        return results[0] if alone else results


class Classifier(FineTuned):
    """Labels texts, or pairs of texts, opened by :func:`load_classifier`.

    Attributes:
        labels: all labels, in the order of probabilities.
        languages: those that its encoder was trained on.
    """

    def to(self, device: str | torch.device | None) -> Classifier:
        """Move it to a device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU."""
        self._to(device)
        return self

    def predict(
        self,
        texts: Texts | Pairs,
        *,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        language: str | None = None,
        progress: Progress = None,
    ) -> Classified | list[Classified]:
        """The label of each text. Texts that are too long are cut off, and a warning says how many.

        Args:
            texts: a text, or several; for a model of pairs (entailment, paraphrase) a tuple of two texts, or a list of
                such tuples.
            batch_size, device, language, progress: as in :meth:`Tagger.predict`.

        Returns:
            :class:`Classified` for one text or pair, a list of them for several.
        """
        rows: list[Row]
        if self._labeller.kind.name == "pairs":
            pairs, alone = given.several_pairs(texts)
            rows = [{"text": first, "text_pair": second, "label": None} for first, second in pairs]
        else:
            lines, alone = given.several(texts)
            rows = [self._labeller.kind.text_row(line) for line in lines]
        results = []
        for _, scores in self._probabilities(rows, language, batch_size, device, progress):
            best = int(scores[0].argmax())
            results.append(Classified(self.labels[best], float(scores[0, best]), scores[0]))
        return results[0] if alone else results


LOADERS = {"xling_tagging": "load_tagger", "xling_classification": "load_classifier", "xling_qa": "load_qa"}
"""The function that opens a model, by the task that trained it."""


def fine_tuned(path: str | Path, kind: str) -> Labeller:
    """The model of a checkpoint, which must be of this kind; UserError with the function to use otherwise."""
    check_path(path)
    labeller = load_labeller(path)
    if labeller.kind.training_task != f"xling_{kind}":
        found = labeller.kind.name
        other = LOADERS.get(labeller.kind.training_task, "xalign-evaluate predict")
        raise UserError(f"this checkpoint was fine-tuned for {found}", path, remedy=f"Use {other}, or one of {kind}")
    return labeller


def load_tagger(path: str | Path, device: str | torch.device | None = None) -> Tagger:
    """Open a checkpoint that was fine-tuned with ``--task xling_tagging``.

    Args:
        path: a ``.pt`` file or its folder.
        device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU.

    Raises:
        UserError: a checkpoint of another task, or an unknown device.
    """
    where = given.device_named(device)
    return Tagger(fine_tuned(path, "tagging").to(where), str(path))


def load_classifier(path: str | Path, device: str | torch.device | None = None) -> Classifier:
    """Open a checkpoint that was fine-tuned with ``--task xling_classification``.

    Args:
        path: a ``.pt`` file or its folder.
        device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU.

    Raises:
        UserError: a checkpoint of another task, or an unknown device.
    """
    where = given.device_named(device)
    return Classifier(fine_tuned(path, "classification").to(where), str(path))
