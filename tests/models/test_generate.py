"""Our beam search: equal to exhaustive search, to a greedy reference without cache, and to fairseq's generator."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from fairseq.sequence_generator import SequenceGenerator

from fairseq_xalign.constants import EOS, PAD
from fairseq_xalign.models.generate import beam_search, translate
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.models.xalign_generation import for_generation, net_input
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.objectives.translation import TranslationBatch
from tests.support.translation import FairseqDictionary, V, sharp_model, small_model, translation_batch


def log_probabilities(
    model: TranslationModel, batch: TranslationBatch, row: int, every: list[list[int]]
) -> list[float]:
    """log p of translations of one sentence, each scored as a whole."""
    source = pack([batch.source.tokens[batch.source.starts[row] : batch.source.starts[row + 1]]] * len(every))
    tags = None if batch.tags is None else pack([batch.tags.tokens[row : row + 1]] * len(every))
    target = pack([[EOS, *tokens[:-1]] for tokens in every])
    logits = model.logits(model(TranslationBatch(source, target, tags, torch.zeros(len(every)))))
    written = torch.tensor([token for tokens in every for token in tokens])
    scores = logits.float().log_softmax(-1).gather(1, written[:, None]).squeeze(1)
    return [part.sum().item() for part in scores.split([len(tokens) for tokens in every])]


@pytest.mark.parametrize("apart", [False, True])
def test_beam_1_equals_a_greedy_reference_without_cache(apart):
    model, batch, limit = sharp_model(), translation_batch(apart=apart), 9
    with torch.no_grad():
        found = beam_search(model, batch.source, batch.tags, [limit] * len(batch), beam=1)
        for row in range(len(batch)):
            source = pack([batch.source.tokens[batch.source.starts[row] : batch.source.starts[row + 1]]])
            tags = None if batch.tags is None else pack([batch.tags.tokens[row : row + 1]])
            written: list[int] = []
            while not written or written[-1] != EOS:
                target = pack([[EOS, *written]])
                scores = model.logits(model(TranslationBatch(source, target, tags, torch.zeros(1))))[-1]
                scores[PAD] = -1e9
                if not written:
                    scores[EOS] = -1e9
                written.append(EOS if len(written) == limit else int(scores.argmax()))
            assert found[row][0].tokens == written
            expected = log_probabilities(model, batch, row, [written])[0] / len(written)
            assert found[row][0].score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("lenpen", [0.0, 1.0, 2.0])
def test_a_beam_that_holds_everything_equals_exhaustive_search(lenpen):
    """All sequences of up to 3 tokens over 7 symbols: the best by score, and its score, for any length penalty."""
    symbols, limit = 7, 3
    torch.manual_seed(0)
    model = small_model("none", vocab_size=symbols, positions="rotary").eval()
    with torch.no_grad():
        model.decoder.output.weight.mul_(4)
    batch = TranslationBatch(pack([[5, 6, EOS], [6, EOS]]), pack([[EOS]]), None, torch.zeros(2))
    others = [s for s in range(symbols) if s not in (EOS, PAD)]
    every = [[*w, EOS] for n in range(1, limit + 1) for w in itertools.product(others, repeat=n)]
    with torch.no_grad():
        found = beam_search(model, batch.source, None, [limit, limit], beam=len(every), lenpen=lenpen)
        for row in range(2):
            scores = log_probabilities(model, batch, row, every)
            scored = sorted(((p / len(tokens) ** lenpen, tokens) for p, tokens in zip(scores, every)), reverse=True)
            assert len(found[row]) == len(every)
            assert found[row][0].tokens == scored[0][1]
            assert [h.score for h in found[row]] == pytest.approx([s for s, _ in scored], abs=1e-5)


def by_fairseq(model, batch, **options):
    generator = SequenceGenerator(for_generation([model]), FairseqDictionary(V), **options)
    return generator.generate([model], {"net_input": net_input(batch)})


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("lenpen", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_hypotheses_and_scores_equal_those_of_fairseqs_generator(beam, lenpen, apart):
    lengths: set[int] = set()
    for seed in (0, 1, 3):
        model, batch = sharp_model(seed), translation_batch(apart=apart, seed=seed)
        ours = beam_search(model, batch.source, batch.tags, [12] * len(batch), beam, lenpen)
        theirs = by_fairseq(model, batch, beam_size=beam, len_penalty=lenpen, max_len_b=12)
        lengths.update(len(h[0].tokens) for h in ours)
        for mine, other in zip(ours, theirs):
            assert [h.tokens for h in mine] == [h["tokens"].tolist() for h in other]
            assert [h.score for h in mine] == pytest.approx([h["score"].item() for h in other], abs=1e-6)
    assert len(lengths) > 1  # they do not all end alike


def test_a_score_is_the_translations_own_log_probability():
    model, batch = sharp_model(), translation_batch(apart=True)
    with torch.no_grad():
        for row, hypotheses in enumerate(beam_search(model, batch.source, batch.tags, [12] * 8, 4, 1.4)):
            scores = log_probabilities(model, batch, row, [h.tokens for h in hypotheses])
            expected = [p / len(h.tokens) ** 1.4 for p, h in zip(scores, hypotheses)]
            assert [h.score for h in hypotheses] == pytest.approx(expected, abs=1e-5)


def test_a_sentences_limit_is_its_own_whatever_stands_beside_it():
    model, batch = sharp_model(), translation_batch()
    limits = [3, 1, 7, 2, 9, 4, 4, 12]
    together = beam_search(model, batch.source, None, limits, 3)
    for row, limit in enumerate(limits):
        source = pack([batch.source.tokens[batch.source.starts[row] : batch.source.starts[row + 1]]])
        (alone,) = beam_search(model, source, None, [limit], 3)
        assert [h.tokens for h in alone] == [h.tokens for h in together[row]]
        assert all(len(h.tokens) <= limit + 1 and h.tokens[-1] == EOS for h in alone)


def test_learned_positions_limit_a_translation():
    model, batch = small_model(max_positions=14).eval(), translation_batch([2, 3], [1, 1])
    for hypotheses in beam_search(model, batch.source, None, [200, 200], 2):
        assert all(len(h.tokens) <= 14 for h in hypotheses)


class Words:
    """A tokenizer of letters."""

    def encode(self, text: str) -> list[int]:
        return [7 + ord(c) - ord("a") for c in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(i - 7 + ord("a")) if i >= 7 else "" for i in ids)

    def language_token(self, language: str) -> int:
        return {"de": 5, "fr": 6}[language]


@pytest.mark.parametrize("target_token", ["source", "separate", "none"])
def test_lines_are_translated_in_their_order_and_empty_ones_stay_empty(target_token):
    model, words = sharp_model(), Words()
    model.target_token = target_token
    lines = ["abc", "", "zyxwvutsrq", "b", "", "hello"]
    found = translate(model, words, lines, "en", "fr", beam=2, max_len_b=10, batch_tokens=20)
    assert len(found) == len(lines)
    for line, text in zip(lines, found):
        ids = words.encode(line)
        source = pack([[6, *ids, EOS] if target_token == "source" else [*ids, EOS]])
        tags = pack([[6]]) if target_token == "separate" else None
        expected = words.decode(beam_search(model, source, tags, [10], 2)[0][0].tokens) if ids else ""
        assert text == expected
    if target_token != "none":
        assert found != translate(model, words, lines, "en", "de", beam=2, max_len_b=10)


def test_a_long_line_is_cut_to_the_models_positions(capsys):
    model = small_model(max_positions=8).eval()
    short, cut = translate(model, Words(), ["abcdef", "abcdefghij"], "en", "de", beam=1, max_len_b=5)
    assert short == cut and "1 of 2 sentences cut off at 6 tokens" in capsys.readouterr().err


class Chain:
    """A model whose next token depends on the last one alone, by a table of probabilities [V, V]."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table, self.decoder = table, self
        self.config = SimpleNamespace(longest=100)
        self.length = 0

    def encode(self, source: PackedBatch, tags: PackedBatch | None) -> None:
        self.length = 0

    def begin(self, memory: None) -> Chain:
        return self

    def step(self, tokens: torch.Tensor, cache: Chain) -> torch.Tensor:
        self.length += 1
        return tokens

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return self.table[features].log()

    def reorder(self, rows: torch.Tensor, sentences: torch.Tensor | None) -> None:
        pass


@pytest.mark.parametrize(
    ("beam", "lenpen", "expected"),
    [(1, 1.0, "loop"), (2, 1.0, "loop"), (4, 1.0, "right"), (2, 0.0, "right"), (4, 0.0, "right")],
)
def test_a_narrow_beam_runs_into_a_loop_that_a_wider_one_never_sees(beam, lenpen, expected):
    """Why results of beam 2 and beam 4 can differ much.

    A half-trained model says the right word, and then ends (0.35) or says another one (0.65), which it likes to repeat
    (0.68); that it goes wrong in yet another way (0.2) is likelier than that it ends (0.12). Beam 2 finishes the right
    translation at once and needs a second one, but two ways to go on are likelier than the end until the limit is
    reached. There the loop wins: log p / length of likely words (-0.42) is better than that of the right translation
    (-0.52). Beam 4 has room for the end of the loop too, finishes four hypotheses within five steps, and stops before
    the loop is long. Without division by length, the loop loses.
    """
    right, again, wrong = 5, 6, 7
    table = torch.full((13, 13), 1e-9)
    table[EOS, right] = 1.0
    table[right, [EOS, again]] = torch.tensor([0.35, 0.65])
    table[again, [again, wrong, EOS]] = torch.tensor([0.68, 0.2, 0.12])
    table[wrong:, 8:] = 0.2
    model = Chain(table)
    (found,) = beam_search(model, pack([[EOS]]), None, [40], beam, lenpen)
    best = found[0]
    if expected == "right":
        assert best.tokens == [right, EOS]
        assert best.score == pytest.approx(math.log(0.35) / 2**lenpen, abs=1e-6)
        assert (model.length == 5) == (beam == 4)
    else:
        assert best.tokens == [right, *[again] * 39, EOS]
        assert best.score == pytest.approx((math.log(0.65 * 0.12) + 38 * math.log(0.68)) / 41, abs=1e-6)
