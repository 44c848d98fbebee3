"""Questions: each is answered by a span of its context, which the encoder reads in windows (SQuAD, MLQA, XQuAD).

The task of this kind, its files and its metrics are in ``answers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.answers import Reference
from fairseq_xalign.labelled.answers import MADE_OF, MAP, QA
from fairseq_xalign.labelled.kind import Encoded, Example, Item, Outcome, Read, Row, Task
from fairseq_xalign.labelled.span_windows import Answer, SpanExample, best_spans, most_context, ranked, windows
from fairseq_xalign.labelled.two_texts import TwoTexts
from fairseq_xalign.options import at_least
from fairseq_xalign.tokenizer.framing import Frame
from fairseq_xalign.tokenizer.spans import characters_of, pieces_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

UNKNOWN = -1
"""The label of a window in a question whose answer has no place in its context, or fits no window."""
NOT_SHOWN = "answers that no window shows whole"
QUESTION_AND_CONTEXT = "Write the question and its context with a tab between them"


@dataclass(frozen=True)
class Questions(TwoTexts):
    """A question is answered by a span of its context.

    A row is ``{"id", "question", "context", "answers": [{"text", "answer_start"}]}``.

    Attributes:
        stride, max_question_length, max_answer_length: as in :class:`Options`.
        n_best: how many answers a line of predictions lists; 1 for the best one alone.
    """

    stride: int = 128
    max_question_length: int = 64
    max_answer_length: int = 30
    n_best: int = 1

    name = "qa"
    tasks = (QA,)
    gold_key = "answers"
    described = "Fine-tuning that finds the answer to a question in a context: where it starts and where it ends."
    cut_noun = "questions"

    @dataclass
    class Options:
        """Options of windows and answers."""

        max_length: int = field(
            default=384,
            metadata={"help": "longest sequence in subwords: question and window (BERT and XTREME: 384; PPA: 386)"},
        )
        stride: int = field(
            default=128,
            metadata={"help": "subwords between the beginnings of two windows of a long context (BERT, XTREME: 128)"},
        )
        max_question_length: int = field(
            default=64, metadata={"help": "longest question in subwords; a longer one is cut (BERT, XTREME: 64)"}
        )
        max_answer_length: int = field(
            default=30, metadata={"help": "longest answer in subwords that is predicted (BERT, XTREME: 30)"}
        )

    def configured(self, settings: Mapping[str, Any]) -> Questions:
        names = {f.name for f in fields(self)}
        return replace(self, **{k: v for k, v in settings.items() if k in names and v is not None})

    # -- rows ------------------------------------------------------------------------------------

    def check_row(self, row: Row, task: Task | None = None) -> None:
        for key in ("question", "context"):
            if not isinstance(row[key], str):
                raise UserError(f'"{key}" must be a string, not {type(row[key]).__name__}', remedy=f"Correct {key!r}")
        if not row["question"].strip():
            raise UserError("an empty question", remedy="Write the question, or remove the line")
        found = row["answers"]
        if not isinstance(found, list) or not found:
            raise UserError('"answers" must be a list with at least one answer', remedy=MADE_OF)
        for answer in found:
            if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
                raise UserError('an answer must be {"text": ..., "answer_start": ...}', remedy=MADE_OF)
            start = answer.get("answer_start")
            if start is None:
                continue
            if isinstance(start, bool) or not isinstance(start, int):
                raise UserError(f'"answer_start" must be a whole number, not {start!r}', remedy=MADE_OF)
            if start < 0 or not row["context"].startswith(answer["text"], start):
                raise UserError(
                    f"the answer {answer['text'][:60]!r} does not stand at character {start} of its context",
                    remedy="Correct answer_start, or write null: the answer is then scored but not learned from",
                )

    def labels_of(self, row: Row) -> list[str]:
        return ["answer" for answer in row["answers"] if answer.get("answer_start") is not None]

    def text_row(self, text: str) -> Row:
        """A row from a line with a question and a context, which a tab separates."""
        parts = text.split("\t")
        if len(parts) != 2:
            raise UserError(f"{len(parts)} columns instead of 2", remedy=QUESTION_AND_CONTEXT)
        return {"question": parts[0], "context": parts[1], "answers": None}

    def same_answer(self, row: Row, other: Row) -> bool:
        """Answers are texts in either language: nothing can be compared."""
        return True

    def code_switched(self, row: Row, other: Row, languages: tuple[str, str]) -> list[Row]:
        """The question in either language, about the context (with its answers) in the other."""
        ours, theirs = languages
        return [
            {**row, "question": other["question"], "languages": (theirs, ours)},
            {**other, "question": row["question"], "languages": (ours, theirs)},
        ]

    # -- sequences -------------------------------------------------------------------------------

    def encode_framed(
        self,
        tokenizer: Tokenizer,
        rows: Sequence[Row],
        labels: Sequence[str],
        language: str,
        longest: int,
        frame: Frame,
    ) -> Encoded:
        """Questions with windows of their contexts, one sequence each; long questions are cut and counted."""
        result = Encoded(language)
        known: dict[str, tuple[list[int], np.ndarray]] = {}  # questions about one context follow each other
        for index, row in enumerate(rows):
            question = tokenizer.encode(row["question"])
            if len(question) > self.max_question_length:
                question = question[: self.max_question_length]
                result.notes[f"questions cut to {self.max_question_length} subwords"] += 1
            room = longest - frame.extra - len(frame.separator) - len(question)
            if room < 1:
                raise UserError(
                    f"a sequence of {longest} subwords has no room for a question of {len(question)}"
                    f" ({language}, {row.get('id', index)}) and a context",
                    remedy="Give a larger --max-length, or a smaller --max-question-length",
                )
            if row["context"] not in known:
                known = {row["context"]: tokenizer.encode_with_spans(row["context"])}
            ids, spans = known[row["context"]]
            answer = self._pieces(row, spans)
            found = windows(len(ids), room, self.stride)
            shown = most_context(found, len(ids))
            targets = [self._target(answer, begin, end) for begin, end in found]
            if answer is not None and self._widened(row, spans, answer):
                result.notes["answers that begin or end inside a subword, which counts as a whole"] += 1
            if answer is not None and not any(targets):
                result.notes[NOT_SHOWN] += 1
                answer = None
            for (begin, end), starts_here, target in zip(found, shown, targets):
                joined, second = frame.joined(question, ids[begin:end])
                first = frame.before + second
                nowhere = 0 if frame.begin else len(joined) + frame.before  # <s>, or else the last </s>
                places = [UNKNOWN, UNKNOWN]
                if answer is not None:
                    places = [first + place for place in target] if target else [nowhere, nowhere]
                result.examples.append(
                    SpanExample(
                        joined, [], places, index, str(row.get("id", index)), second, row.get("languages"),
                        begin=first, spans=spans[begin:end], starts_here=starts_here[begin:end], context=row["context"],
                    )
                )  # fmt: skip
        return result

    @staticmethod
    def _place(row: Row) -> tuple[int, int] | None:
        """Where the first answer that has a place in the context begins and ends there."""
        for answer in row["answers"] or []:
            if answer.get("answer_start") is not None and answer["text"]:
                return answer["answer_start"], answer["answer_start"] + len(answer["text"])
        return None

    @classmethod
    def _pieces(cls, row: Row, spans: np.ndarray) -> tuple[int, int] | None:
        """The first and last piece of that answer."""
        place = cls._place(row)
        return None if place is None else pieces_of(spans, *place)

    @classmethod
    def _widened(cls, row: Row, spans: np.ndarray, pieces: tuple[int, int]) -> bool:
        """Whether an answer's pieces stand for other characters beside it."""
        return characters_of(spans, *pieces) != cls._place(row)

    @staticmethod
    def _target(answer: tuple[int, int] | None, begin: int, end: int) -> tuple[int, int] | None:
        """The answer's pieces within a window that shows all of them."""
        if answer is None or answer[0] < begin or answer[1] >= end:
            return None
        return answer[0] - begin, answer[1] - begin

    def learnable(self, encoded: Encoded) -> Encoded:
        """Without the windows of questions whose answer has no place, or fits no window: they would teach nothing."""
        kept = [example for example in encoded.examples if example.labels[0] != UNKNOWN]
        left = {e.row for e in encoded.examples} - {e.row for e in kept}
        not_shown = encoded.notes.pop(NOT_SHOWN, 0)
        for count, why in (
            (len(left) - not_shown, "whose answer has no place in the context"),
            (not_shown, "whose answer no window shows whole"),
        ):
            if count:
                encoded.notes[f"questions left out {why}"] += count
        return replace(encoded, examples=kept)

    def order_settings(self, options: Any) -> dict[str, Any]:
        return {"--stride": options.stride, "--max-question-length": options.max_question_length}

    def scored(self, example: Example) -> int:
        """A window has one answer."""
        return 1

    # -- head and loss -----------------------------------------------------------------------------

    def check_options(self, options: Any) -> None:
        at_least(
            1,
            stride=options.stride,
            max_question_length=options.max_question_length,
            max_answer_length=options.max_answer_length,
        )

    def head_settings(self, options: Any) -> dict[str, Any]:
        names = ("stride", "max_question_length", "max_answer_length")
        return {"head": "linear", **{name: getattr(options, name) for name in names}}

    def build_head(self, width: int, settings: dict[str, Any]) -> nn.Module:
        from fairseq_xalign.models.heads import SpanHead

        return SpanHead(width, settings["head_dropout"])

    def scores(self, head: nn.Module, read: Read, starts: Tensor, sample: dict[str, Any]) -> Tensor:
        """Of start and end, for each token of each sequence, [B, S, 2]; minus infinity past the end of a sequence."""
        from fairseq_xalign.objectives.batch import pad

        return pad(head(read(None)), starts, sample["streams"]["labelled"]["longest"], -float("inf"))

    def learned(self, labels: Tensor) -> int:
        """Windows whose answer has a place: ``labels`` are a start and an end for each, [2B]."""
        return super().learned(labels[::2])

    def outcome(self, scores: Tensor, sample: dict[str, Any], label_smoothing: float = 0.0) -> Outcome:
        """The mean cross-entropy of start and end over the tokens of each sequence; right where both are.

        A window without the answer should choose its first token (``<s>``; its last, ``</s>``, where there is none).
        """
        import torch.nn.functional as F

        if label_smoothing:
            raise UserError(
                f"--label-smoothing {label_smoothing:g}: the places of an answer are not smoothed",
                remedy="Leave it out",
            )
        labels = sample["labels"].view(-1, 2)  # [B, 2]
        losses = F.cross_entropy(scores, labels, ignore_index=UNKNOWN, reduction="none").mean(1)
        return Outcome(losses, (scores.argmax(1) == labels).all(1).float(), self.learned_in(sample))

    # -- predictions -------------------------------------------------------------------------------

    def answers(self, scores: Tensor, examples: Sequence[Example], labels: Sequence[str]) -> list[list[Any]]:
        """For each window its context and its best spans."""
        found = []
        for of_window, example in zip(scores.cpu(), examples, strict=True):
            assert isinstance(example, SpanExample)
            found.append([example.context, best_spans(of_window, example, self.max_answer_length)])
        return found

    def prediction(self, parts: Sequence[list[Any]]) -> list[Answer]:
        """The best answers of all windows, best first; none where the context is empty."""
        return ranked([span for _, spans in parts for span in spans], parts[0][0])

    def line(self, row: Row, prediction: Any) -> Row:
        best: Answer | None = prediction[0] if prediction else None
        line: Row = {"question": row["question"], "prediction": None if best is None else best.text}
        if best is not None:
            line |= {"answer_start": best.start, "probability": round(best.probability, 6)}
        if self.n_best > 1:
            line["n_best"] = [
                {"text": a.text, "answer_start": a.start, "probability": round(a.probability, 6)}
                for a in prediction[: self.n_best]
            ]
        return line | {"gold": None if row["answers"] is None else [answer["text"] for answer in row["answers"]]}

    def checked_item(self, item: Item, task: Task, tokens: Sequence[str] | None = None) -> Item:
        """An item whose gold answers know their language."""
        gold = item.gold if isinstance(item.gold, list) else [item.gold]
        texts = [answer.get("text") if isinstance(answer, dict) else answer for answer in gold]
        known = [text for text in texts if isinstance(text, str)]
        if not known or len(known) != len(texts):
            raise UserError('"gold" must be a list of answers (texts)', remedy="Give the texts of all right answers")
        wrong = item.prediction is not item.gold and not isinstance(item.prediction, str | None)
        if wrong:
            raise UserError(
                f'"prediction" must be an answer (a string), not {type(item.prediction).__name__}', remedy=MAP
            )
        return Item(item.id, item.language, Reference(tuple(known), item.language), item.prediction)

    def counts(self, items: Sequence[Item]) -> dict[str, int]:
        return {"items": len(items), "missing": sum(item.prediction is None for item in items)}
