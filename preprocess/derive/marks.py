"""Where sentences end: final marks, detached from their words so that they can stay in place.

Inversion goes sentence by sentence, and the final full stop stays last (ALIGN-MLM, Tang et al. 2022, Appendix F).
In running text the mark is attached to its word (``end.``) together with closing quotes and
brackets (``end."``); the whole run is taken, so that what is left never ends in a mark and the
cut can be found again after the words have moved. There is no list of abbreviations: a cut must be a
function of the words alone, else the way back could differ from the way there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from preprocess.readers.words import Passage

PERIODS = ".…‥．"
ALL_FINAL = PERIODS + "!?！？‼⁇⁈⁉"
SPLITS = {"all-final": ALL_FINAL, "period": PERIODS, "none": ALL_FINAL}
"""How sentences are found, and the marks that end one: those of ASCII and what Unicode's compatibility
normalisation (most tokenizers') turns into them. ``none``: the passage is one sentence."""
CLOSING = "\"'”’»)]}"


@dataclass(frozen=True)
class Marked:
    """A passage's words as cores and final marks: ``words[i] == cores[i] + marks[i]``.

    In labelled tokens only a token of nothing but marks is one (its core is empty), and none
    inside a labelled span is.
    """

    cores: list[str]
    marks: list[str]

    @classmethod
    def of(cls, passage: Passage, split: str) -> Marked:
        """Cut the words of a passage."""
        final = SPLITS[split]
        cores, marks = [], []
        for index, word in enumerate(passage.words):
            core, mark = cut(word, final)
            in_span = passage.spans is not None and passage.spans[index] >= 0
            if in_span or (core and not passage.attached):
                core, mark = word, ""
            cores.append(core)
            marks.append(mark)
        return cls(cores, marks)

    def sentences(self, split: str) -> Iterator[range]:
        """The positions of each sentence: up to and with the word that has a final mark."""
        if split == "none":
            yield range(len(self.cores))
            return
        start = 0
        for index, mark in enumerate(self.marks):
            if mark:
                yield range(start, index + 1)
                start = index + 1
        if start < len(self.cores):
            yield range(start, len(self.cores))

    def rearranged(self, order: list[int], staying: set[int]) -> list[str]:
        """The words in the order given, the marks at the positions ``staying`` left where they are."""
        words = []
        for new, old in enumerate(order):
            word = self.cores[old] + ("" if old in staying else self.marks[old])
            words.append(word + self.marks[new] if new in staying else word)
        return words

    def lengths(self, staying: set[int]) -> list[int]:
        """For each position, the length of the mark that stays there."""
        return [len(mark) if index in staying else 0 for index, mark in enumerate(self.marks)]


def cut(word: str, final: str) -> tuple[str, str]:
    """Cut the run of final marks and closing quotes off the end of a word.

    >>> cut('stop."', ".!?"), cut("why?!", ".!?"), cut("...", ".!?"), cut("(so)", ".!?")
    (('stop', '."'), ('why', '?!'), ('', '...'), ('(so)', ''))
    """
    tail = len(word.rstrip(final + CLOSING))
    while tail < len(word) and word[tail] not in final:
        tail += 1
    return word[:tail], word[tail:]
