"""Exact match and F1 of answers, with the normalisation of MLQA by the language of the answer.

Lewis et al., "MLQA: Evaluating Cross-lingual Extractive Question Answering", ACL 2020, and its official script
``mlqa_evaluation_v1.py``, whose definitions hold for en, es, de, vi, ar, hi and zh: lower case, no punctuation (every
character that Unicode calls so), no articles, tokens separated by white space, Chinese characters one by one. The best
gold answer counts, and no answer scores 0. Two empty answers match exactly and have an F1 of 0, as there.

Other languages have no official definition. Here they have no articles and white space, and the scripts that write no
spaces (Han, kana, Thai, Lao, Khmer, Burmese) one token per character in ja, zh's kin and theirs; signatures say which.
"""

from __future__ import annotations

import functools
import re
import string
import sys
import unicodedata
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_xalign.evaluate.metrics.labels import Metric, Pair, ratio

ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
}
"""What is replaced by a space, by language. The first half of Arabic's never matches; it stands in the definition."""
OFFICIAL = ("en", "es", "de", "vi", "ar", "hi", "zh")
"""The languages that MLQA defines."""
HAN = "\u4e00-\u9fa5"
SINGLY = {
    "zh": HAN,
    "yue": HAN,
    "wuu": HAN,
    "ja": HAN + "\u3005\u3007\u3040-\u309f\u30a0-\u30ff\u31f0-\u31ff",
    "th": "\u0e00-\u0e7f",
    "lo": "\u0e80-\u0eff",
    "my": "\u1000-\u109f",
    "km": "\u1780-\u17ff",
}
"""Characters that are tokens by themselves, by language, as a range of a regular expression."""


@dataclass(frozen=True)
class Reference:
    """The right answers to a question.

    Attributes:
        texts: any of them will do.
        language: of the context, and so of the answers: ``de``, ``zh-TW``, ``de-en`` (MLQA's context in German with a
            question in English).
    """

    texts: tuple[str, ...]
    language: str


LETTERS_OF_THREE = {
    "eng": "en", "spa": "es", "vie": "vi", "deu": "de", "ger": "de", "ara": "ar", "arb": "ar", "hin": "hi",
    "zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "tha": "th", "lao": "lo", "mya": "my", "bur": "my", "khm": "km",
}  # fmt: skip
"""ISO 639-3 and 639-2 codes, as FLORES-200 and Tatoeba have them, of the languages above."""


def answer_language(name: str) -> str:
    """The code by which answers are normalised: ``zh`` of ``zh-TW``, ``de`` of ``de-en`` (the context comes first).

    >>> answer_language("zho_Hans"), answer_language("eng")
    ('zh', 'en')
    """
    code = re.split(r"[-_]", name, maxsplit=1)[0].lower()
    return LETTERS_OF_THREE.get(code, code)


@functools.cache
def _punctuation() -> frozenset[str]:
    named = (chr(i) for i in range(sys.maxunicode) if unicodedata.category(chr(i)).startswith("P"))
    return frozenset(named) | frozenset(string.punctuation)


def normalized(text: str, language: str) -> list[str]:
    """The tokens of an answer that are compared.

    Args:
        language: a code, as :func:`answer_language` gives it.

    >>> normalized("The Eiffel-Tower!", "en"), normalized("Intel 8086处理器", "zh")
    (['eiffeltower'], ['intel', '8086', '处', '理', '器'])
    """
    marks = _punctuation()
    text = "".join(character for character in text.lower() if character not in marks)
    if language in ARTICLES:
        text = re.sub(ARTICLES[language], " ", text)
    if language in SINGLY:
        text = re.sub(f"([{SINGLY[language]}])", r" \1 ", text)
    return text.split()


def token_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two bags of tokens; 0 where they share none, and so where both are empty."""
    same = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * same / (len(predicted) + len(gold)) if same else 0.0


class _AnswerMetric(Metric):
    """The best score over the gold answers of each question, and its mean over questions."""

    per = "question"

    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """The score of each question, and 1, float64 [I, 2]."""
        return np.array([(self._best(gold, predicted), 1.0) for gold, predicted in pairs]).reshape(-1, 2)

    def score(self, totals: np.ndarray) -> np.ndarray:
        """The mean in per cent."""
        return 100 * ratio(totals[..., 0], totals[..., 1])

    def signature(self, items: int, **fields: object) -> str:
        """Names the normalisation too."""
        code = answer_language(str(fields.get("lang", "")))
        official = "mlqa" if code in OFFICIAL else "mlqa-like"
        articles = code if code in ARTICLES else "none"
        tokens = "characters" if code in SINGLY else "words"
        return super().signature(items, norm=official, articles=articles, tokens=tokens, **fields)

    def _best(self, gold: Reference, predicted: str | None) -> float:
        if predicted is None:
            return 0.0
        code = answer_language(gold.language)
        guess = normalized(predicted, code)
        return max((self.compare(guess, normalized(text, code)) for text in _distinct(gold.texts)), default=0.0)

    @staticmethod
    @abstractmethod
    def compare(predicted: Sequence[str], gold: Sequence[str]) -> float:
        """The score of one pair of answers, between 0 and 1."""


class AnswerF1(_AnswerMetric):
    """Mean F1 of the tokens of answers."""

    name = "f1"

    @staticmethod
    def compare(predicted: Sequence[str], gold: Sequence[str]) -> float:
        """F1 of two answers."""
        return token_f1(predicted, gold)


class ExactMatch(_AnswerMetric):
    """Share of answers that equal a gold answer once both are normalised."""

    name = "exact_match"

    @staticmethod
    def compare(predicted: Sequence[str], gold: Sequence[str]) -> float:
        """1 for equal answers."""
        return float(list(predicted) == list(gold))


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
