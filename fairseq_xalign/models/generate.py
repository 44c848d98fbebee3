"""Translate text with a model of ours and a beam search of ours: torch only, for commands and Python.

The search is that of fairseq's ``SequenceGenerator``, to which its hypotheses and scores are equal, with one exception:
the limit ``max_len_a * length + max_len_b`` goes by the length of the sentence, where fairseq takes that of the longest
sentence in the batch, so that here a translation does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.constants import EOS, PAD
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.sentences import batches_by_length, nothing_shown
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.options import language_pair
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Hypothesis:
    """A translation: its ids, ending in ``</s>``, and its score, log p / length ** lenpen in nats."""

    tokens: list[int]
    score: float


def translate(
    model: TranslationModel,
    tokenizer: Tokenizer,
    lines: Sequence[str],
    source: str | None,
    target: str,
    beam: int = 4,
    lenpen: float = 1.0,
    max_len_a: float = 0.0,
    max_len_b: int = 200,
    batch_tokens: int = BATCH_TOKENS,
    batch_size: int | None = None,
    report: Callable[[str], None] = cli.say,
    advance: Callable[[int], None] = nothing_shown,
) -> list[str]:
    """Translate lines and return plain text, one translation per line, in the same order.

    Args:
        model: a model, on any device; it must be in evaluation mode.
        tokenizer: the model's.
        lines: sentences in ``source``; an empty one stays empty.
        source: their language. Our models do not need to be told.
        target: the language to translate into.
        beam: how many hypotheses are kept.
        lenpen: scores are divided by length to this power; larger values favour longer translations.
        max_len_a, max_len_b: a translation has at most ``max_len_a * source tokens + max_len_b`` tokens.
        batch_tokens: source tokens per batch at most, counted once for each hypothesis of the beam.
        batch_size: sentences per batch at most.
        report: is told in a sentence how many sentences were cut off.
        advance: is told the number of sentences of each batch when it is done.

    Raises:
        UserError: the vocabulary has no token for ``target``, and the model needs one.
    """
    tag = None if model.target_token == "none" else tokenizer.language_token(target)
    front = [tag] if tag is not None and model.target_token == "source" else []
    texts = [tokenizer.encode(line) for line in lines]
    room = model.encoder.config.longest - len(front) - 1
    if cut := sum(len(ids) > room for ids in texts):
        report(f"{cut} of {len(texts)} sentences cut off at {room} tokens")
    wanted = [i for i, ids in enumerate(texts) if ids]
    rows = [[*front, *texts[i][:room], EOS] for i in wanted]
    results = [""] * len(lines)
    device = model.encoder.embed_tokens.weight.device
    advance(len(lines) - len(wanted))
    for batch in batches_by_length([len(row) for row in rows], max(1, batch_tokens // beam), batch_size):
        sources = pack([rows[i] for i in batch]).to(device)
        tags = pack([[tag]] * len(batch)).to(device) if tag is not None and not front else None
        limits = [int(max_len_a * len(rows[i]) + max_len_b) for i in batch]
        found = beam_search(model, sources, tags, limits, beam, lenpen)
        for i, hypotheses in zip(batch, found):
            results[wanted[i]] = tokenizer.decode(hypotheses[0].tokens)
        advance(len(batch))
    return results


def targets_of(task_state: Mapping[str, Any]) -> list[str]:
    """The languages that a checkpoint was trained to translate into, in order."""
    pairs = [language_pair(name, "direction") for name in task_state.get("directions") or ()]
    return list(dict.fromkeys(target for _, target in pairs))


def check_target(target: str, model: TranslationModel, tokenizer: Tokenizer, known: Sequence[str], name: str) -> None:
    """Refuse a language that the model cannot be told to translate into.

    Args:
        known: those that it was trained on (:func:`targets_of`).
        name: how the message calls what was asked for.
    """
    if model.target_token != "none":
        tokenizer.language_token(target)
    if known and target not in known:
        raise UserError(
            f"{name}: the model was trained to translate into {', '.join(sorted(known))} alone",
            remedy="Choose one of these",
        )


@torch.inference_mode()
def beam_search(
    model: TranslationModel,
    source: PackedBatch,
    tags: PackedBatch | None,
    limits: Sequence[int],
    beam: int = 4,
    lenpen: float = 1.0,
    shortest: int = 1,
) -> list[list[Hypothesis]]:
    """Return up to ``beam`` hypotheses of each sentence, the best first.

    A hypothesis that ends while it is among the best ``beam`` is finished, and the search of a sentence ends when
    ``beam`` of them are: what would have ended later is not looked at, even if its score were better.

    Args:
        source, tags: B sentences, as in a TranslationBatch.
        limits: the most tokens of each translation, ``</s>`` not counted [B].
        beam: hypotheses per sentence.
        lenpen: scores are divided by length (with ``</s>``) to this power.
        shortest: the fewest tokens of a translation, ``</s>`` not counted.
    """
    search = _Search(len(source), beam, lenpen)
    cache = model.decoder.begin(model.encode(source, tags))
    most = max(min(model.decoder.config.longest - 1, max(limits, default=0)), shortest)
    ends = torch.tensor(limits, device=source.tokens.device).clamp(shortest, most)  # of those that go on
    tokens = source.tokens.new_full((len(source), beam, 1), EOS)  # what each hypothesis read so far
    scores = torch.zeros(len(source), beam, device=source.tokens.device)  # log p
    while len(ends):
        features = model.decoder.step(tokens[:, :, -1].flatten(), cache)
        step = cache.length - 1  # tokens written before this one
        steps = _next_scores(model.logits(features).unflatten(0, (-1, beam)), ends <= step, step < shortest)
        total = steps + scores[:, :, None]
        if step == 0:
            total[:, 1:] = float("-inf")  # all hypotheses are one
        # Twice the beam, since as many as a beam may be ends.
        best, places = _top(total.flatten(1), 2 * beam)
        parents = places.div(total.shape[2], rounding_mode="floor")  # [n, 2 * beam]
        symbols = places % total.shape[2]
        finished = (symbols == EOS) & (best > float("-inf"))
        done = search.collect(finished, tokens, parents, best, step, (ends <= step).tolist())
        # the best that did not end, in order
        going = finished.long().sort(stable=True).indices[:, :beam]
        parents, scores, symbols = (x.gather(1, going) for x in (parents, best, symbols))
        rows = parents + torch.arange(len(ends), device=parents.device)[:, None] * beam
        tokens = torch.cat((tokens.flatten(0, 1)[rows], symbols[:, :, None]), 2)
        if all(done):
            break
        stay = None
        if any(done):
            stay = torch.tensor([not d for d in done], device=parents.device).nonzero().flatten()
            tokens, scores, rows, ends = tokens[stay], scores[stay], rows[stay], ends[stay]
        cache.reorder(rows.flatten(), stay)
    return search.results()


class _Search:
    """The hypotheses that have ended, for each sentence, and which sentences go on."""

    def __init__(self, sentences: int, beam: int, lenpen: float) -> None:
        self.beam, self.lenpen = beam, lenpen
        self.found: list[list[Hypothesis]] = [[] for _ in range(sentences)]
        self.going = list(range(sentences))

    def collect(
        self, finished: Tensor, tokens: Tensor, parents: Tensor, best: Tensor, step: int, at_end: list[bool]
    ) -> list[bool]:
        """Take in the candidates that end among the best ``beam``; return for each sentence whether it is done."""
        values = best / (step + 1) ** self.lenpen
        for i, j in finished[:, : self.beam].nonzero().tolist():
            found = self.found[self.going[i]]
            if len(found) < self.beam:
                found.append(Hypothesis([*tokens[i, parents[i, j], 1:].tolist(), EOS], float(values[i, j])))
        done = [end or len(self.found[i]) == self.beam for i, end in zip(self.going, at_end)]
        self.going = [i for i, d in zip(self.going, done) if not d]
        return done

    def results(self) -> list[list[Hypothesis]]:
        return [sorted(found, key=lambda h: -h.score) for found in self.found]


def _next_scores(logits: Tensor, at_end: Tensor, too_short: bool) -> Tensor:
    """log p [n, beam, V] of the next token; ``</s>`` alone is left at the end, and is not where it is too early."""
    scores = logits.float().log_softmax(-1)
    scores = scores.masked_fill(scores.isnan(), float("-inf"))
    scores[:, :, PAD] = float("-inf")
    if bool(at_end.any()):
        end = scores[at_end, :, EOS]
        scores[at_end] = float("-inf")
        scores[at_end, :, EOS] = end
    if too_short:
        scores[:, :, EOS] = float("-inf")
    return scores


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best ``count`` of each row; where a row has fewer, it is filled up with impossible ones."""
    best, places = scores.topk(min(count, scores.shape[1]))
    if missing := count - best.shape[1]:
        best = torch.cat((best, best.new_full((len(best), missing), float("-inf"))), 1)
        places = torch.cat((places, places.new_full((len(places), missing), PAD)), 1)
    return best, places
