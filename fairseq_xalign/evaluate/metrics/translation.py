"""Scores of translations: BLEU and chrF as sacrebleu computes them, and what these two do not show.

BLEU (Papineni et al. 2002) and chrF (Popović 2015) come from sacrebleu (Post 2018), each with the signature that makes
it comparable. Beside them stand the share of repetitive outputs, the share of outputs that copy their source, and the
ratio of lengths; the share of outputs in a wrong language is in :mod:`fairseq_xalign.evaluate.metrics.identification`.
All shares are in per cent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate.metrics.identification import base_language
from fairseq_xalign.evaluate.metrics.labels import signature

CHARACTERS = frozenset({"zh", "ja", "wuu", "yue", "th", "lo", "km", "my", "bo", "dz"})
"""Languages that do not separate words by spaces: here a token is one character."""
TOKENIZERS = ("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab", "flores200")
"""Tokenizers of sacrebleu for BLEU; the two of MeCab need a package more, flores200 a model file."""
LONGEST_REPEATED, TIMES = 4, 4
"""An output is repetitive if one to four tokens stand in it at least four times in a row."""
FLORES_MODEL = "flores200_sacrebleu_tokenizer_spm.model"


def bleu_tokenizer(language: str) -> str:
    """The tokenizer that BLEU uses for a target language: sacrebleu's own choice wherever it needs no download.

    ``zh`` for Chinese; MeCab's for Japanese (``ja-mecab``) and Korean (``ko-mecab``) where it is installed, else
    ``char`` for Japanese; ``char`` for other languages without spaces between words; ``13a`` for all others.
    """
    base = base_language(language)
    if base in ("zh", "yue", "wuu"):
        return "zh"
    if base == "ja" and find_spec("MeCab"):
        return "ja-mecab"
    if base == "ko" and find_spec("mecab_ko"):
        return "ko-mecab"
    return "char" if base in CHARACTERS else "13a"


@dataclass(frozen=True)
class CorpusScore:
    """A figure in per cent and the signature that says how it was computed."""

    score: float
    signature: str
    length_ratio: float = 1.0
    """Tokens of the outputs per token of the references (BLEU alone)."""


def corpus_bleu(
    hypotheses: Sequence[str], references: Sequence[str], language: str, tokenizer: str | None = None
) -> CorpusScore:
    """Corpus BLEU with one reference per line, case-sensitive, sacrebleu's default smoothing.

    Args:
        hypotheses, references: lines of equal number, detokenized.
        language: the target language, which chooses the tokenizer.
        tokenizer: another tokenizer, one of ``TOKENIZERS``.

    Raises:
        UserError: an unknown tokenizer, or one that is not installed.
        ValueError: unequal numbers of lines, or none.
    """
    _check(hypotheses, references)
    metric = _bleu(tokenizer or bleu_tokenizer(language))
    found = metric.corpus_score(list(hypotheses), [list(references)])
    return CorpusScore(found.score, f"BLEU|{metric.get_signature()}", found.sys_len / max(1, found.ref_len))


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> CorpusScore:
    """Corpus chrF: F2 of character n-grams up to 6, without words (sacrebleu's default); arguments as for BLEU."""
    _check(hypotheses, references)
    metric = _chrf()
    found = metric.corpus_score(list(hypotheses), [list(references)])
    return CorpusScore(found.score, f"chrF|{metric.get_signature()}")


@cache
def _bleu(tokenizer: str):
    from sacrebleu.metrics import BLEU

    if tokenizer not in TOKENIZERS:
        raise unknown_name("tokenizer of BLEU", tokenizer, TOKENIZERS)
    package = {"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}.get(tokenizer)
    if package and not find_spec(package):
        raise UserError(
            f"--tokenizer {tokenizer} needs the package {package}",
            remedy=f'Install it with pip install "sacrebleu[{tokenizer[:2]}]", or choose char',
        )
    if tokenizer == "flores200":
        _check_flores()
    return BLEU(tokenize=tokenizer)


def _check_flores() -> None:
    """Refuse flores200 where its model is missing: sacrebleu would download it in the middle of a run."""
    from sacrebleu.utils import SACREBLEU_DIR

    file = os.path.join(SACREBLEU_DIR, "models", FLORES_MODEL)
    if not os.path.exists(file):
        raise UserError(
            "--tokenizer flores200: its model has not been downloaded",
            file,
            remedy="Download it once with sacrebleu (sacrebleu REF -i HYP -tok flores200), or choose another tokenizer",
        )


@cache
def _chrf():
    from sacrebleu.metrics import CHRF

    return CHRF()


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references) or not references:
        raise ValueError(f"{len(hypotheses)} translations for {len(references)} references")


def tokens(text: str, language: str) -> list[str]:
    """What repetition counts: words separated by white space, or characters where words are not separated."""
    return [c for c in text if not c.isspace()] if base_language(language) in CHARACTERS else text.split()


def is_repetitive(items: Sequence[str], longest: int = LONGEST_REPEATED, times: int = TIMES) -> bool:
    """Whether some run of 1 to ``longest`` items stands at least ``times`` times in a row.

    >>> is_repetitive("and so and so and so and so on".split()), is_repetitive("no no no yes".split())
    (True, False)
    """
    for length in range(1, longest + 1):
        same = 0  # how many items in a row equal the item one period before
        for place in range(length, len(items)):
            same = same + 1 if items[place] == items[place - length] else 0
            if same == length * (times - 1):
                return True
    return False


def repetition_rate(lines: Sequence[str], language: str) -> CorpusScore:
    """The share of outputs in which a phrase of 1 to 4 tokens stands at least four times in a row.

    Such outputs are what Raunak et al. (2021, "The Curious Case of Hallucinations in Neural Machine Translation",
    section 2) call oscillatory hallucinations. Holtzman et al. (2020, "The Curious Case of Neural Text Degeneration")
    count texts that end in a phrase that is repeated three times; here the place does not matter, and four times are
    needed because ordinary text repeats a word three times now and then.
    """
    if not lines:
        raise ValueError("no translation to look at")
    count = sum(is_repetitive(tokens(line, language)) for line in lines)
    per = "characters" if base_language(language) in CHARACTERS else "words"
    name = signature("repetition", n=len(lines), phrase=f"1-{LONGEST_REPEATED}", of=per, times=TIMES)
    return CorpusScore(100 * count / len(lines), name)


def copy_rate(lines: Sequence[str], sources: Sequence[str]) -> CorpusScore:
    """The share of outputs that are equal to their source, white space aside; of sources that are not empty."""
    if len(lines) != len(sources):
        raise ValueError(f"{len(lines)} translations of {len(sources)} sources")
    pairs = [(line.split(), source.split()) for line, source in zip(lines, sources) if source.split()]
    copied = sum(line == source for line, source in pairs)
    return CorpusScore(100 * copied / max(1, len(pairs)), signature("copies", n=len(pairs)))
