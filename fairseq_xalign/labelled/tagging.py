"""Tagging: one label for each word of a sentence (parts of speech, named entities)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_xalign.constants import HEADS
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.chunks import ChunkF1
from fairseq_xalign.evaluate.metrics.labels import Metric, Pair, TokenAccuracy
from fairseq_xalign.labelled.entities import ENTITY_TAGS, NER
from fairseq_xalign.labelled.kind import (
    LANGUAGE_IN_NAME,
    Encoded,
    Example,
    FileRow,
    Item,
    Kind,
    Outcome,
    Read,
    Row,
    Task,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fairseq_xalign.models.crf import Chains
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def pos_metrics(pairs: Sequence[Pair]) -> list[Metric]:
    """Accuracy, and seqeval's chunk F1 (XTREME, ALIGN-MLM)."""
    return [TokenAccuracy(), ChunkF1()]


def pos_rows(path: Path, counts: Counter[str], header: str = "") -> Iterator[FileRow]:
    """Rows of a CoNLL-U treebank: its syntactic words and their UPOS tags; ids are those of the sentences.

    Raises:
        UserError: for a tag that is none of UD's 17, and for a file in which every UPOS is ``_``.
    """
    untagged = words = 0
    for sentence in conllu.read(path):
        counts["multiword ranges skipped"] += sentence.ranges
        counts["empty nodes skipped"] += sentence.empty_nodes
        tags = conllu.tags(sentence, path, counts)
        untagged += sentence.column(conllu.UPOS).count(conllu.NO_TAG)
        words += len(tags)
        row = {"id": sentence.name, "tokens": sentence.column(conllu.FORM), "tags": tags}
        yield FileRow(row, sentence.line, tuple(sentence.lines))
    if words and untagged == words:
        raise UserError(f"none of its {words:,} words has a tag", path, remedy="Put UPOS tags into the fourth column")


def pos_answers(path: Path, counts: Counter[str], gold: bool) -> Iterator[FileRow]:
    """Gold and predicted tags are read alike."""
    return pos_rows(path, counts)


POS = Task(
    "pos",
    pos_metrics,
    (
        re.compile(rf"(?P<split>[a-z]+)\.{LANGUAGE_IN_NAME}\.conllu(\.[a-z0-9]+)?"),
        re.compile(
            rf"(?P<lang>[a-z]{{2,3}})_[A-Za-z0-9]+-ud-(?P<split>train|dev|test){conllu.PART}\.conllu(\.[a-z0-9]+)?"
        ),
    ),
    "{split}.{lang}.conllu or UD's names (en_ewt-ud-train.conllu; cs_pdt-ud-train-c.conllu and its other parts "
    "together): words and UPOS tags (UD's 17)",
    pos_rows,
    pos_answers,
    fixed_labels=conllu.UPOS_TAGS,
    validated=lambda: (ChunkF1(),),
)


class Tagging(Kind):
    """Each word has a tag, read from its first subword. A row is ``{"id", "tokens", "tags"}``."""

    name = "tagging"
    tasks = (POS, NER)
    gold_key = "tags"
    described = "Fine-tuning that gives each word a tag, read from its first subword."
    cut_noun = "words"

    @dataclass
    class Options:
        """Options of the head."""

        head: str = field(
            default="linear",
            metadata={
                "help": "layers that score the tags: linear, the default; or mmte, one layer of 784 units ahead of it "
                "(MMTE, section 3.4)",
                "choices": HEADS,
            },
        )
        crf: bool = field(
            default=False,
            metadata={
                "help": "score the tags of a sentence together, with a conditional random field behind the head (TPP, "
                "section 3.1; needs pytorch-crf: the extra crf); by default each word's tag is scored by itself"
            },
        )

    def check_row(self, row: Row, task: Task | None = None) -> None:
        tokens, tags = row["tokens"], row["tags"]
        for key, values in (("tokens", tokens), ("tags", tags)):
            if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
                raise UserError(f'"{key}" must be a list of strings, none of them empty', remedy="Correct the line")
        if not tokens:
            raise UserError('"tokens" is empty', remedy="Remove the line")
        if len(tokens) != len(tags):
            raise UserError(f"{len(tokens)} tokens, {len(tags)} tags", remedy="Give each token one tag")
        if task is not None:
            _check_tags(tags, task, " of its tags")

    def labels_of(self, row: Row) -> list[str]:
        return row["tags"]

    def text_row(self, text: str) -> Row:
        tokens = text.split()
        return {"tokens": tokens, "tags": [None] * len(tokens), "gold": None}

    def encode(
        self, tokenizer: Tokenizer, rows: Sequence[Row], labels: Sequence[str], language: str, limit: int
    ) -> Encoded:
        """Sentences as subwords with a label per word; one of more than ``limit`` ids becomes several sequences.

        Splitting instead of truncation is what XTREME does (its preprocessing of UD-POS and PAN-X): every
        word is scored. A word of more than ``limit - 2`` subwords keeps its first ones.
        """
        number = {name: i for i, name in enumerate(labels)}
        result = Encoded(language)
        room = limit - 2
        for index, row in enumerate(rows):
            current = Example([], [], [], index, str(row.get("id", index)))
            for word, tag in zip(tokenizer.encode_words(row["tokens"]), row["tags"]):
                if len(word) > room:
                    word, result.cut = word[:room], result.cut + 1
                if len(current.ids) + len(word) > room:
                    result.examples.append(current)
                    current = Example([], [], [], index, current.name)
                current.heads.append(len(current.ids))
                current.ids.extend(word)
                current.labels.append(number.get(tag, -1))
            if current.heads:
                result.examples.append(current)
        return result

    def head_settings(self, options: Any) -> dict[str, Any]:
        return {"head": str(options.head), **({"crf": True} if options.crf else {})}

    def build_head(self, width: int, settings: dict[str, Any]) -> nn.Module:
        from fairseq_xalign.models.heads import MMTETaggingHead, TaggingHead

        labels = len(settings["labels"])
        made = MMTETaggingHead if settings.get("head") == "mmte" else TaggingHead
        head = made(width, labels, settings["head_dropout"])
        if not settings.get("crf"):
            return head
        from fairseq_xalign.models.crf import CRFTaggingHead

        return CRFTaggingHead(head, labels)

    def scores(self, head: nn.Module, read: Read, starts: Tensor, sample: dict[str, Any]) -> Tensor:
        """[M, labels] of the first subwords of M words; with a CRF, also its parameters (``models/crf.py``)."""
        return head(read(sample["at"]))

    def outcome(self, scores: Tensor, sample: dict[str, Any], label_smoothing: float = 0.0) -> Outcome:
        """Cross-entropy of each word; with a CRF, a sentence's negative log-likelihood in equal parts for its words.

        A sentence of which a tag is unknown (-1) teaches a CRF nothing.
        """
        from fairseq_xalign.models.crf import Chains, is_packed

        labels = sample["labels"]
        if not is_packed(scores, len(labels)):
            return super().outcome(scores, sample, label_smoothing)
        if label_smoothing:
            raise UserError(
                f"--label-smoothing {label_smoothing}: a CRF scores whole sentences", remedy="Leave one of them out"
            )
        import torch

        ends = sample["streams"]["labelled"]["starts"][1:].long()
        lengths = torch.bincount(torch.bucketize(sample["at"], ends, right=True), minlength=len(ends))  # words, [B]
        chains = Chains.of(scores, lengths)
        known = chains.padded((labels >= 0).long()).sum(1) == lengths  # [B]
        losses = -chains.log_likelihoods(labels.clamp(min=0)) * known / lengths  # [B]
        best = torch.tensor([tag for tags in chains.best() for tag in tags], device=labels.device)
        right = (best == labels).float()
        return Outcome(losses.repeat_interleave(lengths), right, int(lengths[known].sum()))

    def answers(self, scores: Tensor, examples: Sequence[Example], labels: Sequence[str]) -> list[list[Any]]:
        """The best tag of each word; with a CRF, the best tags of each sequence."""
        chains = self._chains(scores, examples)
        if chains is None:
            return super().answers(scores, examples, labels)
        return [[labels[tag] for tag in tags] for tags in chains.best()]

    def probabilities(self, scores: Tensor, examples: Sequence[Example]) -> list[Tensor]:
        """Of every tag at each word; with a CRF, whatever the other words' tags are."""
        chains = self._chains(scores, examples)
        return super().probabilities(scores, examples) if chains is None else chains.marginals()

    def _chains(self, scores: Tensor, examples: Sequence[Example]) -> Chains | None:
        """The sequences and parameters of a CRF; None where there is no CRF."""
        import torch

        from fairseq_xalign.models.crf import Chains, is_packed

        lengths = [self.scored(example) for example in examples]
        return Chains.of(scores.float(), torch.tensor(lengths)) if is_packed(scores, sum(lengths)) else None

    def prediction(self, parts: Sequence[list[Any]]) -> list[Any]:
        """A long sentence is several examples, in order."""
        return [tag for part in parts for tag in part]

    def line(self, row: Row, prediction: Any) -> Row:
        return {"tokens": row["tokens"], "prediction": prediction, "gold": row.get("gold", row["tags"])}

    def checked_item(self, item: Item, task: Task, tokens: Sequence[str] | None = None) -> Item:
        """A prediction that ends before its sentence does is filled with None: those tags are missing."""
        for key, value in (("gold", item.gold), ("prediction", item.prediction)):
            tags: list[Any] = value if isinstance(value, list) else [0]
            if not all((isinstance(t, str) and t) or (t is None and key == "prediction") for t in tags):
                raise UserError(
                    f'"{key}" must be a list of tags', remedy=f"--task {task.name} takes one tag (a string) per token"
                )
            _check_tags(tags, task, f' in "{key}"')
        if tokens is not None and len(tokens) != len(item.gold):
            raise UserError(
                f"{len(item.gold)} gold tags for {len(tokens)} tokens", remedy="Give each token one gold tag"
            )
        if len(item.prediction) > len(item.gold):
            raise UserError(
                f"{len(item.prediction)} predicted tags for {len(item.gold)} tokens", remedy="Predict one tag per token"
            )
        filled = item.prediction + [None] * (len(item.gold) - len(item.prediction))
        return Item(item.id, item.language, item.gold, filled)

    def counts(self, items: Sequence[Item]) -> dict[str, int]:
        missing = sum(tag is None for item in items for tag in item.prediction)
        return {"items": len(items), "tokens": sum(len(item.gold) for item in items), "missing": missing}


def _check_tags(tags: Sequence[str | None], task: Task, where: str) -> None:
    for place, tag in enumerate(tags, 1):
        fault = task.fault(tag) if tag is not None else None
        if fault:
            raise UserError(f"tag {tag!r} (number {place}{where}) {fault}", remedy=ENTITY_TAGS)
