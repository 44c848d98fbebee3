"""The proof that a written folder computes in `transformers` what its checkpoint computes here.

The folder is opened with ``AutoTokenizer`` and ``AutoModel...``. Ids, hidden states of every layer, and scores of the
head are compared, on fixed sentences of several scripts and on random pieces of the vocabulary.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.convert.hf.heads_out import CLASSES
from fairseq_xalign.convert.hf.write import Leaver
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.registry import KINDS
from fairseq_xalign.models.checkpoint import release
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.tokenizer.framing import Frame

TOLERANCE = 1e-5
"""How far a value may differ, in float32, where values are at most 1; larger ones, by this share of the largest."""
SENTENCES = (
    "The old bridge over the river was closed for repairs in 1987.",
    "Die Brücke über den Fluss wurde wegen Reparaturen gesperrt.",
    "Старый мост через реку закрыли на ремонт.",
    "تم إغلاق الجسر القديم فوق النهر للإصلاح.",
    "नदी पर बना पुराना पुल मरम्मत के लिए बंद कर दिया गया।",
    "川に架かる古い橋は修理のため閉鎖された。",
    "Cây cầu cũ bắc qua sông đã bị đóng để sửa chữa.",
    "다리",
)
TEXTS, COMPUTED = 256, 12
"""How many texts of random pieces are cut into ids by both, and with how many of them both models compute."""
TIE = 1e-4
"""How far the log-probabilities of two segmentations of a text may differ, in nats, for the libraries to choose freely:
both add them up in float32, in another order."""
OF_TEXTS, OF_TWO = ("classification", "pairs"), ("pairs", "qa")
"""Kinds of task whose head scores whole sequences."""
HARMLESS = ("pooler.", "cls.seq_relationship.")
"""Weights that may be initialised anew, or left aside, when the folder is opened: beside the encoder, and said so."""


@dataclass
class Parity:
    """What was compared, and how far it differed.

    Attributes:
        texts: how many texts were cut into ids by both tokenizers.
        other_ids: how many of these had other ids, from a segmentation that is as probable as ours.
        sentences: how many went through both models.
        layers: how many layers were compared, embeddings included.
        difference: the largest difference of hidden states.
        largest: their largest value.
        scores: the largest difference of the head's scores, and their largest value; None without a head.
        versions: of `transformers` and torch.
    """

    texts: int
    other_ids: int
    sentences: int
    layers: int
    difference: float
    largest: float
    scores: tuple[float, float] | None
    versions: dict[str, str]

    def line(self) -> str:
        """What was found, in one sentence."""
        of_head = "" if self.scores is None else f", of scores {self.scores[0]:.1e} (up to {self.scores[1]:.3g})"
        return (
            f"equal ids for {self.texts - self.other_ids} of {self.texts} texts; on {self.sentences} of them, the "
            f"largest difference of hidden states is {self.difference:.1e} (values up to {self.largest:.3g}){of_head}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """A sequence that goes through both models: its ids, and where the tokens of segment 1 start, if any do."""

    ids: list[int]
    second: int | None = None

    @property
    def segments(self) -> list[int]:
        """The segment of each token."""
        return [int(self.second is not None and i >= self.second) for i in range(len(self.ids))]


def compare(leaver: Leaver, folder: Path) -> Parity:
    """Open a written folder and compare it with what it was made of.

    Raises:
        UserError: ids, hidden states or scores differ; or the folder cannot be opened as it should be.
    """
    import transformers

    texts = [*SENTENCES, *_made_up(leaver)]
    with quiet(transformers):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        other = _compare_ids(leaver, tokenizer, texts)
        if leaver.kind in OF_TWO:
            _compare_pairs(leaver, tokenizer, texts[: len(SENTENCES) + COMPUTED])
        model = _opened(leaver, folder, transformers)
    limit = min(leaver.encoder.max_positions, 48) - leaver.frame.extra
    chosen = [leaver.tokenizer.encode(text)[:limit] for text in texts[: len(SENTENCES) + COMPUTED]]
    rows = [Row(leaver.frame.around(ids)) for ids in chosen]
    if leaver.kind in OF_TWO:
        half = limit // 2 - len(leaver.frame.separator)
        rows = [_pair(leaver.frame, a[:half], b[:half]) for a, b in zip(chosen, chosen[1:])]
    with torch.inference_mode():
        result = _compare_models(leaver, model, [row for row in rows if row.ids])
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    return Parity(len(texts), other, *result, versions)


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's reports of a load off the terminal: what matters in them is checked."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _made_up(leaver: Leaver) -> list[str]:
    """Texts of random pieces: of the languages that the vocabulary was made for, whatever they are."""
    draws, tokenizer = random.Random(1), leaver.tokenizer
    return [
        tokenizer.decode(draws.choices(tokenizer.natural_ids, k=draws.randint(1, 24)))
        for _ in range(TEXTS - len(SENTENCES))
    ]


def _compare_ids(leaver: Leaver, tokenizer: Any, texts: list[str]) -> int:
    """How many texts have other ids there, which must be as probable as ours: libraries break such ties differently."""
    scores = _scores_of_pieces(tokenizer)
    ties = 0
    for text in texts:
        ids = leaver.frame.around(leaver.tokenizer.encode(text))
        expected = ids if leaver.rows is None else [leaver.rows[i] for i in ids]
        found = tokenizer(text)["input_ids"]
        if found == expected:
            continue
        if scores is None or None in expected or abs(total(scores, found) - total(scores, expected)) > TIE:
            raise UserError(
                f"the written tokenizer gives {text[:60]!r} other ids: {found[:12]} instead of {expected[:12]}",
                remedy="Nothing was written. The vocabulary cannot be expressed in transformers: please report it",
            )
        ties += 1
    return ties


def total(scores: list[float], ids: Sequence[int | None]) -> float:
    """Log-probability of a segmentation: the sum over its pieces."""
    return sum(scores[i] for i in ids if i is not None)


def _pair(frame: Frame, first: list[int], second: list[int]) -> Row:
    """Two texts as one sequence."""
    ids, start = frame.joined(first, second)
    return Row(frame.around(ids), frame.before + start if frame.segments else None)


def _compare_pairs(leaver: Leaver, tokenizer: Any, texts: list[str]) -> None:
    """Refuse a tokenizer that joins two texts otherwise; single texts have been compared already."""
    numbers = None if leaver.rows is None else {row: i for i, row in enumerate(leaver.rows)}
    for first, second in zip(texts, filter(None, texts[1:])):  # there, an empty second text is no text at all
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (first, second)]
        row = _pair(leaver.frame, *(part if numbers is None else [numbers[i] for i in part] for part in ids))
        expected = row.ids if leaver.rows is None else [leaver.rows[i] for i in row.ids]
        found = tokenizer(first, second)
        told = found.get("token_type_ids", row.segments) if leaver.form.encoder.n_segments > 1 else row.segments
        if found["input_ids"] != expected or told != row.segments:
            raise UserError(
                f"the written tokenizer joins two texts otherwise: {found['input_ids'][:12]} instead of "
                f"{expected[:12]}",
                remedy="Nothing was written: please report it",
            )


def _scores_of_pieces(tokenizer: Any) -> list[float] | None:
    """Log-probabilities of the pieces of a unigram model by id; None for other models, which know no ties."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    return [score for _, score in model["vocab"]] if model["type"] == "Unigram" else None


def _opened(leaver: Leaver, folder: Path, transformers: Any) -> Any:
    """Their model; no weight of it may be missing or left over, but for what a model card tells."""
    classes: dict[str | None, str] = {None: "AutoModelForMaskedLM" if leaver.form.head else "AutoModel"}
    classes |= {kind: f"AutoModelFor{name}" for kind, name in CLASSES.items()}
    auto = getattr(transformers, classes[leaver.kind])
    model, info = auto.from_pretrained(str(folder), dtype=torch.float32, output_loading_info=True)
    prefix = leaver.form.layout.prefix
    wrong = {
        name
        for key in ("missing_keys", "unexpected_keys")
        for name in info[key]
        if not name.removeprefix(prefix).startswith(HARMLESS) or (leaver.kind in OF_TEXTS and key[0] == "m")
    }
    if wrong:
        raise UserError(
            f"transformers {transformers.__version__} does not find or does not know {', '.join(sorted(wrong)[:8])}",
            remedy="Nothing was written: please report it",
        )
    return model.eval()


def _compare_models(
    leaver: Leaver, model: Any, rows: list[Row]
) -> tuple[int, int, float, float, tuple[float, float] | None]:
    """(sentences, layers, largest difference, largest value, the same of the head's scores)."""
    with torch.device("meta"):
        encoder = Encoder(leaver.encoder)
    encoder.load_state_dict(leaver.weights, assign=True)
    encoder.eval()
    batch = _batch(leaver, rows)
    inputs = _padded(leaver, rows, model.config.pad_token_id)
    real = inputs["attention_mask"].bool()
    base = model.base_model(**inputs, output_hidden_states=True)
    layers = leaver.encoder.layers
    worst = largest = 0.0
    for layer in cli.progress(range(layers + 1), "compare layers", layers + 1):
        # With layer norms before blocks, the last output has one more than the last of hidden_states.
        theirs = base.last_hidden_state if layer == layers else base.hidden_states[layer]
        ours = encoder(batch, layer if layer < layers else None)
        found, size = _difference(ours, theirs[real], f"hidden states of layer {layer}")
        worst, largest = max(worst, found), max(largest, size)
    scores = None
    if leaver.kind is not None or leaver.form.head:
        del base  # scores of all symbols take much more memory than hidden states: one sentence at a time
        features = [encoder(_batch(leaver, [row])) for row in rows]
        found_all = [_compare_scores(leaver, model, encoder, *both) for both in zip(rows, features)]
        scores = max(difference for difference, _ in found_all), max(size for _, size in found_all)
    return len(rows), layers + 1, worst, largest, scores


def _compare_scores(leaver: Leaver, model: Any, encoder: Encoder, row: Row, features: Tensor) -> tuple[float, float]:
    """The difference and the largest value of the head's scores of one sentence, whose ``features`` [T, D] are ours.

    Only one of the two models is in memory at a time.
    """
    release(leaver.weights.values())
    theirs = model(**_padded(leaver, [row], model.config.pad_token_id))
    both = (theirs.start_logits, theirs.end_logits) if leaver.kind == "qa" else ()
    logits = torch.stack(both, -1) if both else theirs.logits
    if leaver.rows is not None and leaver.kind is None:
        logits = logits[..., torch.tensor(leaver.rows)]
    release(model.parameters())
    own = _scores(leaver, encoder, features)
    return _difference(own, logits if leaver.kind in OF_TEXTS else logits[0], "scores of the head")


def _batch(leaver: Leaver, rows: list[Row]) -> PackedBatch:
    """Sequences as our encoder reads them."""
    batch = pack([row.ids for row in rows])
    if leaver.kind in OF_TWO:
        batch.segments = torch.tensor([segment for row in rows for segment in row.segments])
    if leaver.encoder.n_languages and leaver.language in leaver.task["languages"]:
        batch.languages = torch.full_like(batch.tokens, leaver.task["languages"].index(leaver.language) + 1)
    return batch


def _scores(leaver: Leaver, encoder: Encoder, features: Tensor) -> Tensor:
    """The head's scores of the features [T, D] of one sentence."""
    if leaver.kind is None:
        return encoder.lm_logits(features)
    head = KINDS[leaver.kind].build_head(leaver.encoder.width, leaver.task)
    head.load_state_dict(leaver.head)
    head.eval()
    starts = torch.tensor([0, len(features)], dtype=torch.int32)
    return head(features, starts) if leaver.kind in OF_TEXTS else head(features)


def _padded(leaver: Leaver, rows: list[Row], pad: int) -> dict[str, Tensor]:
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for number, row in enumerate(rows):
        theirs = row.ids if leaver.rows is None else [leaver.rows[i] for i in row.ids]
        ids[number, : len(row.ids)] = torch.tensor(theirs)
        mask[number, : len(row.ids)] = 1
        segments[number, : len(row.ids)] = torch.tensor(row.segments)
    told = {"token_type_ids": segments} if leaver.form.encoder.n_segments > 1 else {}
    return {"input_ids": ids, "attention_mask": mask, **told}


def _difference(ours: Tensor, theirs: Tensor, what: str) -> tuple[float, float]:
    """(largest difference, largest value); UserError where they are not equal."""
    difference, largest = float((ours - theirs).abs().max()), float(theirs.abs().max())
    if not difference <= TOLERANCE * max(1.0, largest):  # NaN is not equal either
        raise UserError(
            f"{what} differ by {difference:.1e} (values up to {largest:.3g}) from those of the written folder",
            remedy="Nothing was written: please report it",
        )
    return difference, largest
