"""The dependency tree of a passage: who depends on whom, and which nodes stand together."""

from __future__ import annotations

from collections.abc import Sequence

from fairseq_xalign.data.formats.conllu import DEPREL, HEAD, ID, UPOS
from fairseq_xalign.errors import UserError

ROOT = -1


class Tree:
    """Heads, tags and relations of the words of a passage, which may hold several sentences.

    Args:
        heads: the index of each word's head, :data:`ROOT` for a root.
        tags, relations: of each word.

    Attributes:
        dependents: the words below each word, in their order; ``roots`` are those below none.
        ranges: for each word, the range from the first to the last of it and of all words below it.
        together: for each word whether that range holds nothing else; if not, dependencies cross there.
    """

    def __init__(self, heads: Sequence[int], tags: Sequence[str], relations: Sequence[str]) -> None:
        self.heads, self.tags, self.relations = list(heads), list(tags), list(relations)
        self.dependents: list[list[int]] = [[] for _ in self.heads]
        self.roots: list[int] = []
        for index, head in enumerate(self.heads):
            (self.roots if head == ROOT else self.dependents[head]).append(index)
        self.ranges, self.together = self._extents()

    @property
    def projective(self) -> bool:
        """Whether no dependencies cross."""
        return all(self.together)

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[str]]) -> Tree:
        """The tree of the rows of a CoNLL-U sentence.

        Raises:
            UserError: for a word without a head, or heads that go round in a circle.
        """
        places = {"0": ROOT} | {row[ID]: index for index, row in enumerate(rows)}
        heads = []
        for row in rows:
            if row[HEAD] not in places:
                raise UserError(
                    f"word {row[ID]} has no head, and syn needs a parsed sentence",
                    remedy="Give a treebank with heads and relations, or parse the text with --format text",
                )
            heads.append(places[row[HEAD]])
        if _circle(heads):
            raise UserError(
                "the heads of the words go round in a circle",
                remedy="Correct the seventh column: every word must lead to the root, whose head is 0",
            )
        return cls(heads, [row[UPOS] for row in rows], [row[DEPREL] for row in rows])

    def bottom_up(self) -> list[int]:
        """All words, each after those below it."""
        order = list(self.roots)
        for index in order:
            order.extend(self.dependents[index])
        return order[::-1]

    def _extents(self) -> tuple[list[range], list[bool]]:
        count = len(self.heads)
        first, last, sizes = list(range(count)), list(range(count)), [1] * count
        for index in self.bottom_up():
            head = self.heads[index]
            if head != ROOT:
                first[head], last[head] = min(first[head], first[index]), max(last[head], last[index])
                sizes[head] += sizes[index]
        ranges = [range(start, stop + 1) for start, stop in zip(first, last)]
        return ranges, [len(span) == size for span, size in zip(ranges, sizes)]


def _circle(heads: list[int]) -> bool:
    """Whether some word never leads to a root."""
    safe = [head == ROOT for head in heads]
    for index in range(len(heads)):
        path: list[int] = []
        while not safe[index] and len(path) <= len(heads):
            path.append(index)
            index = heads[index]
        if not safe[index]:
            return True
        for step in path:
            safe[step] = True
    return False
