"""Which language a translation is in, and the share of translations that are in another one than was asked for.

Languages are identified by py3langid, a naive Bayes classifier over byte n-grams (Lui and Baldwin 2012, langid.py),
restricted to the languages of the test set as far as it knows them: without this restriction, short sentences are
often taken for a language that no one translates into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from fairseq_xalign.evaluate.metrics.labels import signature

CONFIDENCE = 0.5
"""A language is accepted where the classifier gives it at least this probability, among those it may choose from."""
NO_LANGUAGE = "zxx"
"""The classifier's label for what is no language: numbers, markup, punctuation."""

ISO_639_1 = dict(
    pair.split(":")
    for pair in (
        "afr:af amh:am ara:ar arb:ar arg:an asm:as aze:az azj:az bak:ba bel:be ben:bn bos:bs bre:br bul:bg cat:ca "
        "ces:cs cym:cy dan:da deu:de dzo:dz ekk:et ell:el eng:en epo:eo est:et eus:eu fao:fo fas:fa fin:fi fra:fr "
        "fry:fy gla:gd gle:ga glg:gl guj:gu hat:ht hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id isl:is "
        "ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khk:mn khm:km kin:rw kir:ky kmr:ku kor:ko kur:ku lao:lo lat:la "
        "lav:lv lin:ln lit:lt ltz:lb lug:lg lvs:lv mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn msa:ms mya:my nep:ne "
        "nld:nl nno:nn nob:no nor:no npi:ne oci:oc ori:or orm:om ory:or pan:pa pes:fa plt:mg pol:pl por:pt pus:ps "
        "que:qu ron:ro rus:ru san:sa sin:si slk:sk slv:sl sme:se sna:sn som:so sot:st spa:es sqi:sq als:sq srp:sr "
        "swa:sw swe:sv swh:sw tam:ta tat:tt tel:te tgk:tg tgl:tl fil:tl tha:th tuk:tk tur:tr uig:ug ukr:uk urd:ur "
        "uzb:uz uzn:uz vie:vi wln:wa xho:xh yor:yo zho:zh cmn:zh zsm:ms zul:zu prs:fa nb:no iw:he in:id ji:yi"
    ).split()
)
"""Codes of ISO 639-3 and older or narrower codes, and the code by which the classifier knows the language."""


def base_language(code: str) -> str:
    """The language of a code without script and region, by its two-letter code where it has one.

    >>> [base_language(code) for code in ("zh-TW", "pt_BR", "zho-Hant", "sr-Latn", "yue")]
    ['zh', 'pt', 'zh', 'sr', 'yue']
    """
    base = code.replace("_", "-").split("-")[0].lower()
    return ISO_639_1.get(base, base)


@dataclass(frozen=True)
class Identified:
    """What a classifier says of some lines: shares of all of them, in per cent.

    Attributes:
        off_target: lines in another language than the one asked for.
        unknown: lines whose language cannot be told: too short, no letters, or several languages equally likely.
        signature: how both were determined.
    """

    off_target: float
    unknown: float
    signature: str


class Identifier:
    """Tells the languages of a test set apart.

    Args:
        languages: codes of the test set; those that the classifier does not know are left out.

    Raises:
        ModuleNotFoundError: py3langid is not installed.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        labels, classify = _classifier()
        self.candidates = sorted({base_language(code) for code in languages} & labels)
        self._classify = classify

    def knows(self, language: str) -> bool:
        """Whether translations into ``language`` can be told from those into another language of the test set."""
        return base_language(language) in self.candidates and len(self.candidates) > 1

    def language(self, text: str) -> str | None:
        """The language of a text by its two- or three-letter code, or None if it cannot be told."""
        if not any(letter.isalpha() for letter in text):
            return None
        found, probability = self._classify(tuple(self.candidates), text)
        return found if found != NO_LANGUAGE and probability >= CONFIDENCE else None

    def off_target(self, lines: Sequence[str], language: str) -> Identified | None:
        """How many lines are in another language than ``language``; None if the classifier does not know it.

        Raises:
            ValueError: there are no lines.
        """
        if not lines:
            raise ValueError("no translation to identify")
        if not self.knows(language):
            return None
        found = [self.language(line) for line in lines]
        unknown = sum(name is None for name in found)
        wrong = sum(name is not None and name != base_language(language) for name in found)
        fields = {"n": len(lines), "among": "+".join(self.candidates), "least": CONFIDENCE, "py3langid": _version()}
        return Identified(100 * wrong / len(lines), 100 * unknown / len(lines), signature("off_target", **fields))


@cache
def _classifier() -> tuple[frozenset[str], Callable[[tuple[str, ...], str], tuple[str, float]]]:
    """The classifier's labels, and a function (languages to choose from, text) -> (language, probability)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    labels = frozenset(map(str, model.nb_classes))
    extra = {NO_LANGUAGE} & labels
    current: list[tuple[str, ...]] = []

    def classify(languages: tuple[str, ...], text: str) -> tuple[str, float]:
        if current != [languages]:
            model.set_languages([*languages, *extra])
            current[:] = [languages]
        found, probability = model.classify(text)
        return str(found), float(probability)

    return labels, classify


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("py3langid")
    except PackageNotFoundError:  # on the path without its metadata
        return "unknown"
