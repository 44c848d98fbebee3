"""Extractive questions and answers: SQuAD v1.1 JSON, one document per file, held in memory.

Contexts and questions are changed sentence by sentence and the answers move along: the new answer
is the stretch of the new context that the answer's words now cover. What cannot be kept is counted:
an answer that begins or ends inside a word is widened to that word; one whose words no longer
stand together (it crosses sentences, or the order is random) is dropped, and with its last answer
the question. In a script without spaces between words a "word" is a clause, and little is left to move.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats import squad
from fairseq_xalign.data.formats.squad import Document, write
from preprocess.readers.words import Arrangement, Change, Counts, Passage, SpacedText

__all__ = ["SENTENCE_BY_SENTENCE", "AnswerMover", "Document", "derive", "read", "write"]

SENTENCE_BY_SENTENCE = True


def read(path: str | Path) -> Iterator[Document]:
    """Yield the one document of a file."""
    yield squad.read(path)


def derive(example: Document, change: Change, counts: Counts) -> Document:
    """The document with every context, question and answer changed; other keys of SQuAD are kept."""
    articles = []
    for number, article in enumerate(example.content["data"]):
        paragraphs = [
            _derive_paragraph(paragraph, ("context", number, index), change, counts)
            for index, paragraph in enumerate(article["paragraphs"])
        ]
        articles.append({**article, "paragraphs": paragraphs})
    return Document(example.line, example.path, {**example.content, "data": articles})


def _derive_paragraph(
    paragraph: dict[str, Any], place: tuple[int | str, ...], change: Change, counts: Counts
) -> dict[str, Any]:
    spaced = SpacedText(paragraph["context"])
    arrangement = change.arrange(Passage(spaced.words, place))
    counts["words"] += len(spaced.words)
    answers = AnswerMover(paragraph["context"], spaced, arrangement, counts)
    questions = []
    for question in paragraph["qas"]:
        counts["questions"] += 1
        moved = [found for answer in question["answers"] if (found := answers.move(answer))]
        if question["answers"] and not moved:
            counts["questions dropped"] += 1
            continue
        asked = SpacedText(question["question"])
        counts["words"] += len(asked.words)
        # The id, not the number, is the question's place: numbers change when questions are dropped.
        words = change.arrange(Passage(asked.words, ("question", str(question["id"])))).words
        questions.append({"id": question["id"], "question": asked.with_words(words), "answers": moved})
    return {"context": answers.context, "qas": questions}


class AnswerMover:
    """Finds the words of answers in a context's new order."""

    def __init__(self, context: str, spaced: SpacedText, arrangement: Arrangement, counts: Counts) -> None:
        self.old_context, self.counts, self.arrangement = context, counts, arrangement
        self.context = spaced.with_words(arrangement.words)
        self.old_starts = spaced.starts(spaced.words)
        self.old_ends = [start + len(word) for start, word in zip(self.old_starts, spaced.words)]
        self.new_starts = spaced.starts(arrangement.words)
        self.new_ends = [start + len(word) for start, word in zip(self.new_starts, arrangement.words)]
        self.new_indices = arrangement.new_indices()

    def move(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """The answer in the new context, or None (counted) where there is none."""
        self.counts["answers"] += 1
        start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
        if start < 0 or self.old_context[start:end] != answer["text"]:
            self.counts["answers dropped: not at their place in the context"] += 1
            return None
        covered = [k for k, (a, b) in enumerate(zip(self.old_starts, self.old_ends)) if a < end and b > start]
        if not covered:
            self.counts["answers dropped: without words"] += 1
            return None
        new = sorted(self.new_indices[k] for k in covered)
        if new[-1] - new[0] + 1 != len(new):
            self.counts["answers dropped: words no longer together"] += 1
            return None
        self._count_widened(answer["text"], start, end, covered)
        mark = self.arrangement.marks_after[new[-1]]
        first, last = self.new_starts[new[0]], self.new_ends[new[-1]]
        if last - mark > self.new_starts[new[-1]]:  # a final mark of the sentence that is no word of the answer's
            last -= mark
        return {"text": self.context[first:last], "answer_start": first}

    def _count_widened(self, text: str, start: int, end: int, covered: list[int]) -> None:
        start += len(text) - len(text.lstrip())
        end -= len(text) - len(text.rstrip())
        last = covered[-1]
        mark = self.arrangement.marks_before[last]
        if start != self.old_starts[covered[0]] or end not in (self.old_ends[last], self.old_ends[last] - mark):
            self.counts["answers widened to whole words"] += 1
        elif mark and end == self.old_ends[last] and end - mark > self.old_starts[last]:
            self.counts["answers that lost a final mark"] += 1
