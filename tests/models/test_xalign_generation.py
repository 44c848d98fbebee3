"""What fairseq's generator offers works with our models: each way of searching is held to its own promise."""

from __future__ import annotations

import pytest
import torch
from fairseq import search
from fairseq.sequence_generator import SequenceGenerator, SequenceGeneratorWithAlignment
from fairseq.sequence_scorer import SequenceScorer
from fairseq.token_generation_constraints import pack_constraints

from fairseq_xalign import compat
from fairseq_xalign.constants import EOS
from fairseq_xalign.models.xalign_generation import for_generation, net_input
from fairseq_xalign.objectives.batch import pack, pad, unpad
from fairseq_xalign.objectives.translation import TranslationBatch
from tests.support.translation import FairseqDictionary, V, sharp_model, translation_batch

DICTIONARY = FairseqDictionary(V)


def generate(models, batch, alignment=False, kind=SequenceGenerator, sample=None, **options):
    calls = {name: options.pop(name) for name in ("prefix_tokens", "constraints") if name in options}
    wrapped = for_generation(models, alignment)
    values = {"beam_size": 4, "max_len_b": 12, **options}
    generator = kind(wrapped, DICTIONARY, **values)
    return generator.generate(wrapped, {"net_input": net_input(batch), **(sample or {})}, **calls)


def row_of(batch: TranslationBatch, row: int, tokens: list[int]) -> TranslationBatch:
    source = pack([batch.source.tokens[batch.source.starts[row] : batch.source.starts[row + 1]]])
    tags = None if batch.tags is None else pack([batch.tags.tokens[row : row + 1]])
    return TranslationBatch(source, pack([[EOS, *tokens[:-1]]]), tags, torch.zeros(1))


def log_probabilities(models, batch, row, tokens):
    """log of the mean probability of each token over the models, each scoring the translation as a whole."""
    part = row_of(batch, row, tokens)
    with torch.no_grad():
        each = torch.stack([model.logits(model(part)).float().softmax(-1) for model in models]).mean(0)
    return each.log().gather(1, torch.tensor(tokens)[:, None]).squeeze(1)


def assert_scores_are_right(models, batch, results):
    for row, hypotheses in enumerate(results):
        assert hypotheses
        for h in hypotheses:
            tokens = h["tokens"].tolist()
            expected = log_probabilities(models, batch, row, tokens)
            torch.testing.assert_close(h["positional_scores"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("apart", [False, True])
def test_an_ensemble_has_the_mean_of_its_models_probabilities(apart):
    models, batch = [sharp_model(seed) for seed in (0, 1, 3)], translation_batch(apart=apart)
    assert_scores_are_right(models, batch, generate(models, batch))


def test_sampling_draws_other_translations_with_their_own_scores():
    model, batch = sharp_model(), translation_batch()
    torch.manual_seed(0)
    results = generate([model], batch, search_strategy=search.Sampling(DICTIONARY, sampling_topk=10))
    assert len({tuple(h["tokens"].tolist()) for h in results[0]}) > 1
    for row, hypotheses in enumerate(results):
        for h in hypotheses:  # each token is one of the ten likeliest
            tokens = h["tokens"].tolist()
            part = row_of(batch, row, tokens)
            with torch.no_grad():
                scores = model.logits(model(part))
            for step, token in enumerate(tokens[:-1]):
                scores[step, [1] if step else [1, EOS]] = -1e9
                assert token in scores[step].topk(10).indices


def test_diverse_beams_differ_and_have_their_own_scores():
    model, batch = sharp_model(), translation_batch()
    strategy = search.DiverseBeamSearch(DICTIONARY, num_groups=2, diversity_strength=5.0)
    plain = generate([model], batch, beam_size=2)
    diverse = generate([model], batch, beam_size=2, search_strategy=strategy)
    first = [[h["tokens"][0].item() for h in hypotheses] for hypotheses in diverse]
    assert any(len(set(f)) == 2 for f in first)
    assert [[h["tokens"].tolist() for h in r] for r in plain] != [[h["tokens"].tolist() for h in r] for r in diverse]


def test_prefixes_of_different_lengths_are_kept():
    models, batch = [sharp_model()], translation_batch()
    draw = torch.Generator().manual_seed(3)
    prefixes = [torch.randint(7, V, (n,), generator=draw).tolist() for n in (1, 3, 2, 1, 2, 3, 1, 2)]
    packed = pack(prefixes)
    results = generate(models, batch, prefix_tokens=pad(packed.tokens, packed.starts, packed.longest, 1))
    for prefix, hypotheses in zip(prefixes, results):
        assert all(h["tokens"][: len(prefix)].tolist() == prefix for h in hypotheses)
    assert_scores_are_right(models, batch, results)


def test_constrained_words_are_in_every_translation():
    models, batch = [sharp_model()], translation_batch()
    wanted = [[torch.tensor([9 + i])] for i in range(len(batch))]
    strategy = search.LexicallyConstrainedBeamSearch(DICTIONARY, "unordered")
    results = generate(models, batch, constraints=pack_constraints(wanted), search_strategy=strategy, beam_size=5)
    for i, hypotheses in enumerate(results):
        assert 9 + i in hypotheses[0]["tokens"]
    assert_scores_are_right(models, batch, [r[:1] for r in results])


def test_allowed_words_alone_are_used():
    models, batch = [sharp_model()], translation_batch()
    strategy = search.PrefixConstrainedBeamSearch(
        DICTIONARY, lambda sentence, written: [EOS, 10 + sentence, 11 + sentence]
    )
    results = generate(models, batch, search_strategy=strategy, beam_size=2)
    for i, hypotheses in enumerate(results):
        assert {*hypotheses[0]["tokens"].tolist()} <= {EOS, 10 + i, 11 + i}


def test_no_phrase_is_repeated_where_that_is_asked():
    compat.apply()
    results = generate([sharp_model()], translation_batch(), no_repeat_ngram_size=2)
    for hypotheses in results:
        tokens = hypotheses[0]["tokens"].tolist()
        pairs = list(zip(tokens, tokens[1:]))
        assert len({*pairs}) == len(pairs)


@pytest.mark.parametrize("apart", [False, True])
def test_the_alignment_is_the_last_layers_attention_to_the_source(apart):
    model, batch = sharp_model(), translation_batch(apart=apart)
    results = generate([model], batch, alignment=True, kind=SequenceGeneratorWithAlignment, print_alignment="soft",
                       sample={"target": torch.ones(8, 3, dtype=torch.long)})  # fmt: skip
    plain = generate([model], batch)
    block = model.decoder.layers[-1]
    for row, (hypotheses, others) in enumerate(zip(results, plain)):
        assert [h["tokens"].tolist() for h in hypotheses] == [h["tokens"].tolist() for h in others]
        h = hypotheses[0]
        tokens = h["tokens"].tolist()
        part = row_of(batch, row, tokens)
        queries: list[torch.Tensor] = []
        handle = block.memory_q.register_forward_hook(lambda *call, queries=queries: queries.append(call[2]))
        with torch.no_grad():
            model(part)
            memory = model.encode(part.source, part.tags)
        handle.remove()
        q = queries[0].view(len(tokens), 4, 4).transpose(0, 1)
        k = block.keys_values(memory.features)[:, 0].transpose(0, 1)
        weights = (q @ k.transpose(1, 2) / 2).softmax(-1).mean(0)[:, int(apart) :]
        length = int(batch.source.lengths[row])
        found = h["attention"][:length, : len(tokens)].T.double()
        torch.testing.assert_close(found, weights, rtol=0, atol=1e-5)
        assert not h["attention"][length:].any()


def test_references_are_scored_by_fairseqs_scorer():
    models, batch = [sharp_model(0), sharp_model(1)], translation_batch()
    targets = pad(batch.target.targets, batch.target.starts, batch.target.longest, 1)
    sample = {"net_input": net_input(batch), "target": targets}
    results = SequenceScorer(DICTIONARY).generate(for_generation(models), sample)
    assert_scores_are_right(models, batch, results)
    for row, hypotheses in enumerate(results):
        assert hypotheses[0]["tokens"].tolist() == targets[row][targets[row] != 1].tolist()


def test_sources_padded_on_either_side_are_the_same():
    rows = torch.tensor([[7, 8, EOS, 1, 1], [9, 8, 7, 6, EOS]])
    left = torch.tensor([[1, 1, 7, 8, EOS], [9, 8, 7, 6, EOS]])
    for padded in (rows, left):
        batch = unpad(padded, 1)
        assert batch.tokens.tolist() == [7, 8, EOS, 9, 8, 7, 6, EOS]
        assert batch.positions.tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
        assert batch.starts.tolist() == [0, 3, 8] and batch.longest == 5
    assert torch.equal(pad(batch.tokens, batch.starts, batch.longest, 1), rows)


def test_half_precision_weights_generate():
    model, batch = sharp_model().bfloat16(), translation_batch()
    results = generate([model], batch)
    assert all(h[0]["tokens"][-1] == EOS for h in results)
