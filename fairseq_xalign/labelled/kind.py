"""What a kind of labelled task is: the contract that tagging and classification fulfil.

A *kind* (tagging, classification) fixes the shape of an example: what a row holds, how it becomes a
sequence, which head scores it, which loss trains it, and what a line of predictions holds. A *task* (pos,
ner) is a kind with a set of labels, metrics and file formats of its own. Commands, training tasks and the
criterion ask the kind and the task; none of them compares names. ``labelled/registry.py`` lists them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from re import Pattern
from typing import TYPE_CHECKING, Any, ClassVar

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.labels import Metric, Pair

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fairseq_xalign.tokenizer.framing import Frame
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

Row = dict[str, Any]
"""One example of a labelled folder: a JSON object."""
LANGUAGE_IN_NAME = r"(?P<lang>[A-Za-z][A-Za-z0-9_-]*)"
"""The language in a file name, as :attr:`Task.file_names` has it."""


@dataclass
class Example:
    """One sequence to be labelled.

    Attributes:
        ids: subwords without ``<s>`` and ``</s>``.
        heads: where in ``ids`` each unit that is scored starts (tagging: the words); empty where the head
            reads the whole sequence.
        labels: numbers of the labels; -1 where unknown.
        row: number of the row that it comes from; a long row makes several examples.
        name: what messages call the row.
        second: where in ``ids`` the second text of a pair starts; 0 where there is none.
        languages: of the two texts, where they differ; None where both are of the file's language.
    """

    ids: list[int]
    heads: list[int]
    labels: list[int]
    row: int
    name: str = ""
    second: int = 0
    languages: tuple[str, str] | None = None


@dataclass
class Encoded:
    """The examples of one language, how many words or texts were cut, and what else is to be reported."""

    language: str
    examples: list[Example] = field(default_factory=list)
    cut: int = 0
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Item:
    """One sentence or document: what is right, and what was predicted.

    In tagging, ``gold`` and ``prediction`` are lists of tags (a tag that is missing is None); in
    classification they are labels (a prediction that is missing is None).
    """

    id: str
    language: str
    gold: Any
    prediction: Any

    @property
    def pair(self) -> tuple[Any, Any]:
        """(gold, prediction): what metrics take."""
        return self.gold, self.prediction


@dataclass(frozen=True)
class FileRow:
    """A row that was read from a file in its task's own format.

    Attributes:
        line: where the example begins in the file.
        lines: the line of each token; empty where the example has no tokens.
        path: the file, where one part has several; None where there is only one.
        title: what messages call the example instead of its line, in a file that is one JSON document; else empty.
    """

    row: Row
    line: int
    lines: tuple[int, ...] = ()
    path: Path | None = None
    title: str = ""

    def fault(self, what: str, source: Path, remedy: str) -> UserError:
        """An error about the example that names its place.

        Args:
            source: the file, where :attr:`path` does not say it.
        """
        where = self.path or source
        if self.title:
            return UserError(f"{self.title}: {what}", where, remedy=remedy)
        return UserError(what, where, self.line, remedy)

    def place_beside(self, other: FileRow) -> str:
        """Where the example is, for a message about another one: its line, and its file where that is not the same."""
        if self.path is None or self.path == other.path:
            return f"line {self.line}"
        return str(self.path) if self.title else f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Outcome:
    """The losses of a batch, and which of its answers are right.

    Attributes:
        losses: the loss of each scored unit (a word, a text), [M]; 0 where the gold label is unknown.
        right: 1 where the answer is right, [M] float.
        size: how many units have a loss; the mean loss is the sum over this number.
    """

    losses: Tensor
    right: Tensor
    size: int


Read = Callable[["Tensor | None"], "Tensor"]
"""Reads a batch: gives the features of some tokens, or of all of them for None."""
Reader = Callable[[Path, Counter[str], str], Iterator[FileRow]]
"""Reads a file in a task's own format: (path, counts of what is repaired or left out, whether it has a header)."""
AnswerReader = Callable[[Path, Counter[str], bool], Iterator[FileRow]]
"""Reads gold labels (True) or predictions (False) in a task's own format."""


@dataclass(frozen=True)
class Task:
    """A task of a kind: labels, metrics and file formats.

    Attributes:
        name: as ``score --task`` and ``benchmark`` call it.
        metrics: the metrics of (gold, predicted) pairs, the default first.
        file_names: patterns, with the groups ``split`` and ``lang``, of the files that ``benchmark`` looks for; files
            whose names differ only in a group ``part`` are read together.
        files: the same in words, for ``--help``.
        rows: reads such a file.
        answers: reads a file that ``score`` takes when it is not JSON lines.
        fault: why a label cannot be one of this task's; None where it can.
        fixed_labels: labels that a folder lists even if no row has them.
        place: the split and language of a file whose name says them in a corpus's own way; None for other names.
        parts: the metrics of parts of the answers, such as one type of entity, which are reported apart.
        own: whether a file that ``score`` gets is in the task's own format, and not JSON lines.
        named: whether items of its own format have ids, by which predictions and gold labels are matched.
        validated: the metrics that validation measures during training, besides the accuracy of units.
        retyped: a row with the types of its labels renamed, see :func:`fairseq_xalign.labelled.entities.retyped`; None
            where labels have no types.
        language_of: the language that the name of a file with gold labels says, for a task whose scores depend on it;
            None where the name says none. Both are announced.
    """

    name: str
    metrics: Callable[[Sequence[Pair]], list[Metric]]
    file_names: tuple[Pattern[str], ...]
    files: str
    rows: Reader
    answers: AnswerReader
    fault: Callable[[str], str | None] = lambda label: None
    fixed_labels: frozenset[str] = frozenset()
    place: Callable[[Path], tuple[str, str] | None] = lambda path: None
    parts: Callable[[Sequence[Pair]], list[Metric]] = lambda pairs: []
    own: Callable[[str | Path], bool] = lambda path: not json_lines.is_json_lines(path)
    named: bool = False
    validated: Callable[[], Sequence[Metric]] = tuple
    retyped: Callable[[Row, Mapping[str, str], Counter[str]], Row] | None = None
    language_of: Callable[[Path], str | None] = lambda path: None


class Kind(ABC):
    """A kind of labelled task; its instances hold nothing and are shared.

    Attributes:
        name: in ``labels.json``, in checkpoints, and as ``--task xling_NAME``.
        tasks: the tasks of this kind.
        gold_key: the field of a row that holds the right answer.
        described: what the training task does, for ``--help``.
        cut_noun: what :attr:`Encoded.cut` counts.
        trained_by: the kind whose training task, ``--task xling_NAME``, trains this one too; empty for a task of its
            own.
        Options: a dataclass of the head's options; each field's metadata has ``help`` and may have ``choices``.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]
    gold_key: ClassVar[str]
    described: ClassVar[str]
    cut_noun: ClassVar[str]
    trained_by: ClassVar[str] = ""

    @dataclass
    class Options:
        """No options of its own."""

    @property
    def training_task(self) -> str:
        """The name of the task that trains it."""
        return f"xling_{self.trained_by or self.name}"

    def configured(self, settings: Mapping[str, Any]) -> Kind:
        """The kind with the settings of a checkpoint, or of a command, that its sequences and predictions follow."""
        return self

    # -- rows ------------------------------------------------------------------------------------

    @abstractmethod
    def check_row(self, row: Row, task: Task | None = None) -> None:
        """Raise UserError (without a place) for a row that is not an example of this kind (and ``task``)."""

    @abstractmethod
    def labels_of(self, row: Row) -> Iterable[str]:
        """The labels of a row, repeated as often as they occur."""

    @abstractmethod
    def text_row(self, text: str) -> Row:
        """A row without gold labels, from a line of plain text."""

    # -- sequences -------------------------------------------------------------------------------

    @abstractmethod
    def encode(
        self, tokenizer: Tokenizer, rows: Sequence[Row], labels: Sequence[str], language: str, limit: int
    ) -> Encoded:
        """The rows as sequences of at most ``limit`` ids, ``<s>`` and ``</s>`` included."""

    def encode_framed(
        self,
        tokenizer: Tokenizer,
        rows: Sequence[Row],
        labels: Sequence[str],
        language: str,
        longest: int,
        frame: Frame,
    ) -> Encoded:
        """:meth:`encode`, so that a sequence has at most ``longest`` ids with ``frame`` around it."""
        return self.encode(tokenizer, rows, labels, language, longest + 2 - frame.extra)

    def frame(self, task_state: Mapping[str, Any], options: Any) -> Frame:
        """What stands around a text when an encoder is fine-tuned; ``task_state`` is that of where it starts."""
        from fairseq_xalign.tokenizer.framing import frame_of

        return frame_of(task_state)

    def frame_settings(self, frame: Frame) -> dict[str, Any]:
        """What a checkpoint holds of the frame besides its name."""
        return {}

    def new_rows(self, task_state: Mapping[str, Any], frame: Frame) -> tuple[int, ...]:
        """Ids whose embeddings begin anew in fine-tuning, because the encoder has never read them."""
        return ()

    def order_settings(self, options: Any) -> dict[str, Any]:
        """Options that decide which sequences there are: a resumed run must have the same."""
        return {}

    def learnable(self, encoded: Encoded) -> Encoded:
        """The examples to train and validate on; what is left out is counted in ``notes``."""
        return encoded

    def scored(self, example: Example) -> int:
        """How many units of an example get a loss and count as right or wrong."""
        return len(example.labels)

    def same_answer(self, row: Row, other: Row) -> bool:
        """Whether two rows that should be translations of each other have the same answer, as far as can be seen."""
        return bool(row[self.gold_key] == other[self.gold_key])

    def code_switched(self, row: Row, other: Row, languages: tuple[str, str]) -> list[Row]:
        """Two rows, each with one text of ``row`` and one of its translation ``other``: see ``code_switching.py``.

        Raises:
            UserError: the kind has one text only.
        """
        raise UserError(f"--code-switch: examples of {self.name} have one text", remedy="Leave it out")

    # -- head and loss -----------------------------------------------------------------------------

    def check_options(self, options: Any) -> None:  # noqa: B027  (most kinds have nothing to refuse)
        """Raise UserError for a value of :attr:`Options` that is out of range."""

    def head_settings(self, options: Any) -> dict[str, Any]:
        """The options that rebuild the head from a checkpoint: plain values."""
        return {}

    @abstractmethod
    def build_head(self, width: int, settings: dict[str, Any]) -> nn.Module:
        """The head for an encoder of width D; ``settings`` has ``labels``, ``head_dropout`` and head_settings'."""

    @abstractmethod
    def scores(self, head: nn.Module, read: Read, starts: Tensor, sample: dict[str, Any]) -> Tensor:
        """The head's scores of a batch.

        Args:
            read: gives the encoder's features, [T, D], or those of the tokens whose places [N] are asked for, [N, D],
                which takes less time; asked once.
            starts: where each sequence starts, and T, [B + 1].
            sample: a batch of ``LabelledCollater``.

        Returns: here [M, labels]; a kind with another loss may return what that takes.
        """

    def learned(self, labels: Tensor) -> int:
        """How many units of a batch with these labels have a loss: all whose label the model knows."""
        return int((labels >= 0).sum())

    def learned_in(self, sample: dict[str, Any]) -> int:
        """:meth:`learned` of a batch, as ``LabelledCollater`` has counted it where it made the batch."""
        return int(sample["learned"]) if "learned" in sample else self.learned(sample["labels"])

    def outcome(self, scores: Tensor, sample: dict[str, Any], label_smoothing: float = 0.0) -> Outcome:
        """Cross-entropy of each unit's label; a label that the model does not know (-1) is wrong and teaches nothing.

        Args:
            scores: [M, labels], float32.
            sample: has ``labels`` [M] and, from ``LabelledCollater``, what :meth:`learned` says of them.
        """
        import torch.nn.functional as F

        labels = sample["labels"]
        losses = F.cross_entropy(scores, labels, ignore_index=-1, reduction="none", label_smoothing=label_smoothing)
        return Outcome(losses, (scores.argmax(-1) == labels).float(), self.learned_in(sample))

    # -- predictions -------------------------------------------------------------------------------

    def answers(self, scores: Tensor, examples: Sequence[Example], labels: Sequence[str]) -> list[list[Any]]:
        """What each example's scores say: the best label of each of its units."""
        best = iter(scores.argmax(-1).tolist())
        return [[labels[next(best)] for _ in range(self.scored(example))] for example in examples]

    def probabilities(self, scores: Tensor, examples: Sequence[Example]) -> list[Tensor]:
        """The probability of each label for each unit of each example, [units, labels]."""
        return list(scores.float().softmax(-1).split([self.scored(example) for example in examples]))

    @abstractmethod
    def prediction(self, parts: Sequence[list[Any]]) -> Any:
        """A row's prediction from the answers of its examples, in order."""

    @abstractmethod
    def line(self, row: Row, prediction: Any) -> Row:
        """What a line of predictions holds of a row, besides ``id``, ``language`` and ``task``."""

    @abstractmethod
    def checked_item(self, item: Item, task: Task, tokens: Sequence[str] | None = None) -> Item:
        """An item whose gold labels and prediction have the right form; UserError (without a place) otherwise.

        Args:
            tokens: the words, where they are known.
        """

    @abstractmethod
    def counts(self, items: Sequence[Item]) -> dict[str, int]:
        """``items``, ``tokens`` where there are any, and ``missing``: units without a prediction."""
