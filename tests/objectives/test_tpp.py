"""TPP's loss: the hand-computed case, a float64 reference, gradients, symmetry, and batches without negatives."""

import math
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.fingerprint import KnownPairs
from fairseq_xalign.objectives.objective import Context, Resources, parse_objectives
from fairseq_xalign.objectives.registry import OBJECTIVES
from fairseq_xalign.objectives.tpp import (
    HEADS,
    NEGATIVES,
    TPPOptions,
    TranslationPairs,
    pair_logits,
    pair_losses,
    ranking_losses,
)
from fairseq_xalign.objectives.view import DEFAULTS

S1, T1, S2, T2 = ([1.0, 2.0], [0.5, 0.25], [-1.0, 0.5], [1.0, 2.0])
LEFT = torch.tensor([S1, S2, S1, S2], dtype=torch.float64)
RIGHT = torch.tensor([T1, T2, T2, T1], dtype=torch.float64)
LABELS = torch.tensor([1, 1, 0, 0])


def test_the_four_pairs_of_d1():
    assert pair_logits(LEFT, RIGHT).tolist() == [1, 0, 5, -0.375]
    found = pair_losses(LEFT, RIGHT, LABELS)
    assert found.tolist() == pytest.approx([0.3132616875, 0.6931471806, 5.0067153485, 0.5231232641], abs=1e-10)
    assert float(found.mean()) == pytest.approx(1.6340618702, abs=1e-10)
    assert float(found.sum()) == pytest.approx(6.5362474807, abs=1e-10)


def test_the_gradient_of_d1():
    s1 = torch.tensor(S1, dtype=torch.float64, requires_grad=True)
    left = torch.stack([s1, LEFT[1], s1, LEFT[3]])
    pair_losses(left, RIGHT, LABELS).mean().backward()
    assert s1.grad.tolist() == pytest.approx([0.2147091096, 0.4798447357], abs=1e-10)


def test_saturated_scores_keep_their_loss():
    left, right = torch.tensor([[800.0], [-800.0]]), torch.tensor([[1.0], [1.0]])
    assert pair_losses(left, right, torch.tensor([0, 1])).tolist() == [800, 800]


def test_scores_of_half_precision_are_float32():
    left = torch.full((1, 768), 16.0, dtype=torch.float16)
    found = pair_logits(left, left)
    assert found.dtype == torch.float32 and found.item() == 768 * 256  # float16 ends at 65,504
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pair_logits(left.float(), left.float() + 0.125).item() == 768 * 16 * 16.125


@pytest.mark.parametrize("loss", ["bce", "cosine"])
def test_gradients_are_those_of_finite_differences(loss):
    torch.manual_seed(2)
    left, right = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: pair_losses(a, b, LABELS, loss, 0.1), (left, right))


def test_the_cosine_loss_by_hand():
    left = torch.tensor([[3.0, 4.0], [3.0, 4.0], [1.0, 0.0]])
    right = torch.tensor([[4.0, 3.0], [4.0, 3.0], [-1.0, 0.0]])
    found = pair_losses(left, right, torch.tensor([1, 0, 0]), "cosine", 0.5)
    assert found.tolist() == pytest.approx([0.04, 0.46, 0.0], abs=1e-6)


def plain_ranking(first, second, of_second, of_first, temperature):
    """Each text's loss in plain Python, the second texts ahead."""

    def cosine(a, b):
        return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))

    losses = []
    for texts, others, compete in ((second, first, of_second), (first, second, of_first)):
        for i in range(len(texts)):
            scores = [cosine(texts[i], others[j]) / temperature for j in range(len(others)) if compete[i][j] or j == i]
            own = cosine(texts[i], others[i]) / temperature
            losses.append(math.log(sum(math.exp(score) for score in scores)) - own)
    return losses


def test_the_ranking_loss_equals_a_plain_reference():
    torch.manual_seed(3)
    first, second = (torch.randn(4, 3, dtype=torch.float64) for _ in range(2))
    compete = [~torch.eye(4, dtype=torch.bool) for _ in range(2)]
    compete[0][1, 2] = compete[1][3, 0] = False  # translations of each other, say
    found, right = ranking_losses(first, second, *compete, 0.5)
    expected = plain_ranking(first, second, compete[0].tolist(), compete[1].tolist(), 0.5)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    nearest = [bool(loss < math.log(2)) for loss in expected]
    assert all(r or not n for r, n in zip(right.tolist(), nearest)), "what has more than half of the share is found"


def test_the_ranking_loss_by_hand():
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    second = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    others = ~torch.eye(2, dtype=torch.bool)
    # cosines: second 0 with firsts 0.6 and 0.8, second 1 with firsts 0 and 1
    found, right = ranking_losses(first, second, others, others, 1.0)
    expected = [
        math.log(1 + math.exp(0.2)),
        math.log(1 + math.exp(-1)),
        math.log(1 + math.exp(-0.6)),
        math.log(1 + math.exp(-0.2)),
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    assert right.tolist() == [False, True, True, True]


def test_the_gradient_of_ranking_is_that_of_finite_differences():
    torch.manual_seed(2)
    first, second = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    others = ~torch.eye(3, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda a, b: ranking_losses(a, b, others, others, 0.5)[0], (first, second))


def test_where_nothing_competes_the_ranking_loss_and_its_gradient_are_0():
    first, second = (torch.randn(2, 3, requires_grad=True) for _ in range(2))
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    found, _ = ranking_losses(first, second, nothing, nothing, 0.05)
    found.sum().backward()
    assert found.tolist() == [0.0] * 4 and first.grad.abs().max() == 0


# The objective on an encoder


SHAPE = {"vocab_size": 40, "layers": 2, "heads": 2, "width": 8, "ffn_width": 16, "initializer_std": 0.3}
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}
KEY = 1_000_003


@pytest.fixture
def encoder():
    torch.manual_seed(1)
    return Encoder(EncoderConfig(**SHAPE, **NO_DROPOUT), "plain").double()


def ids_as_fingerprints(batch):
    """A fingerprint that is the text itself: one number for each different row of ids."""
    starts = batch.starts.tolist()
    return torch.tensor([hash(tuple(batch.tokens[a:b].tolist())) for a, b in zip(starts, starts[1:])])


PAIRS = [([5, 6, 7], [15, 16]), ([8, 9], [17, 18, 19]), ([10], [20, 21]), ([11, 12, 13], [22])]


def batch_of(pairs, more=()):
    rows = [[0, *side, 2] for pair in pairs for side in pair] + [[0, *row, 2] for row in more]
    batch = pack(rows)
    batch.keys = torch.arange(len(rows)) * KEY
    return batch


def loss_of(encoder, pairs, more=(), **options):
    objective = TranslationPairs(TPPOptions(**options))
    module = objective.module(encoder)
    modules = {} if module is None else {"tpp": module.double()}
    reading = SimpleNamespace(batch=batch_of(pairs, more))
    reading.features = lambda layer=None: encoder(reading.batch, layer=layer)
    return (
        objective.loss(encoder, reading, Context(modules=modules, fingerprints=ids_as_fingerprints)),
        modules,
        reading,
    )


def reference(encoder, batch, left, right, labels, head, module):
    """Sum of the binary cross-entropies in numpy, text by text."""
    features = encoder(batch).detach().numpy()
    vectors = []
    for a, b in zip(batch.starts.tolist(), batch.starts.tolist()[1:]):
        v = features[a + 1 : b - 1].mean(axis=0) if head == "mean" else features[a]
        if module is not None:
            weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
            v = np.tanh(weights["pooler.weight"] @ v + weights["pooler.bias"])
            if "linear.weight" in weights:
                v = weights["linear.weight"] @ v + weights["linear.bias"]
        vectors.append(v)
    total = 0.0
    for i, j, label in zip(left, right, labels):
        p = 1 / (1 + math.exp(-float(vectors[i] @ vectors[j])))
        total -= math.log(p if label else 1 - p)
    return total


def test_ranking_leaves_out_what_translates_a_text_too(encoder):
    pairs = [*PAIRS, (PAIRS[0][0], [30, 31])]  # the first text has two translations
    found, _, reading = loss_of(encoder, pairs, tpp_head="mean", tpp_loss="ranking")
    features = encoder(reading.batch)
    starts = reading.batch.starts.tolist()
    vectors = torch.stack([features[a + 1 : b - 1].mean(0) for a, b in zip(starts, starts[1:])]).detach()
    compete = [[i != j and {i, j} != {0, 4} for j in range(5)] for i in range(5)]
    expected = plain_ranking(vectors[0::2], vectors[1::2], compete, compete, 0.05)
    assert found.sum.item() == pytest.approx(sum(expected), rel=1e-9) and found.count == 10
    assert float(found.others["negatives"][0]) == 2 * (5 * 4 - 2) and found.others["negatives"][1] == 5


@pytest.mark.parametrize("options", [{"tpp_negatives": "batch-hard"}, {"tpp_num_negatives": 2}])
def test_ranking_refuses_options_that_it_has_no_use_for(options):
    with pytest.raises(UserError, match="takes every text of the batch"):
        TPPOptions(tpp_loss="ranking", **options)


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_of_a_batch_equals_a_reference_in_numpy(encoder, head):
    found, modules, reading = loss_of(encoder, PAIRS, tpp_head=head)
    chosen = TranslationPairs().negatives(reading, Context(fingerprints=ids_as_fingerprints))
    left, right = [0, 2, 4, 6, *chosen.left.tolist()], [1, 3, 5, 7, *chosen.right.tolist()]
    assert len(chosen.left) == 4 and found.count == 8
    expected = reference(encoder, reading.batch, left, right, [1] * 4 + [0] * 4, head, modules.get("tpp"))
    assert found.sum.item() == pytest.approx(expected, rel=1e-10)
    assert found.others["negatives"][0] == 4 and found.others["dropped"][0] == 0


def test_hard_negatives_are_those_of_the_highest_loss(encoder):
    random, hard = (loss_of(encoder, PAIRS, tpp_negatives=n)[0] for n in ("batch-source", "batch-hard"))
    assert hard.count == random.count == 8
    vectors = encoder(batch_of(PAIRS))[batch_of(PAIRS).starts[:-1].long()]
    scores = vectors[1::2] @ vectors[0::2].T
    highest = scores.masked_fill(torch.eye(4, dtype=torch.bool), -math.inf).max(dim=1).values
    expected = pair_losses(vectors[0::2], vectors[1::2], torch.ones(4)).sum() + torch.log1p(highest.exp()).sum()
    assert hard.sum.item() == pytest.approx(expected.item(), rel=1e-10) and hard.sum >= random.sum


def test_hard_negatives_of_the_cosine_loss_are_those_of_the_highest_cosine():
    """(5, 5) has the highest dot product with (1, 0), and (0.9, 0.1) the highest cosine."""
    first = torch.tensor([[0.0, 1.0], [0.9, 0.1], [5.0, 5.0]], dtype=torch.float64)
    second = torch.tensor([[1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]], dtype=torch.float64)
    reading = SimpleNamespace(batch=batch_of(PAIRS[:3]))
    vectors = torch.stack([first, second], 1).reshape(6, 2)
    lengths = reading.batch.starts.diff().long()
    reading.features = lambda layer=None: torch.repeat_interleave(vectors, lengths, dim=0)
    objective = TranslationPairs(TPPOptions(tpp_loss="cosine", tpp_negatives="batch-hard"))
    found = objective.loss(None, reading, Context(fingerprints=ids_as_fingerprints))
    cosines = torch.nn.functional.normalize(second, dim=-1) @ torch.nn.functional.normalize(first, dim=-1).T
    highest = cosines.masked_fill(torch.eye(3, dtype=torch.bool), -math.inf).max(dim=1).values
    expected = (1 - cosines.diagonal()).sum() + highest.clamp(min=0).sum()
    assert found.sum.item() == pytest.approx(expected.item(), rel=1e-10) and highest[0] == pytest.approx(
        0.99388, abs=1e-5
    )


@pytest.mark.parametrize("negatives", ["batch-source", "batch-either"])
def test_a_pair_that_is_turned_round_has_the_same_score(encoder, negatives):
    """The sum over positives is that of the pairs turned round; a model that joined both texts would differ."""
    turned = [(t, s) for s, t in PAIRS]
    one, other = (loss_of(encoder, [pair], tpp_negatives=negatives)[0] for pair in (PAIRS[0], turned[0]))
    assert one.count == other.count == 1 and one.sum.item() == pytest.approx(other.sum.item(), rel=1e-12)


def test_swapping_the_sides_of_negatives_changes_nothing():
    found, turned = pair_losses(LEFT, RIGHT, LABELS), pair_losses(RIGHT, LEFT, LABELS)
    assert torch.equal(found, turned)


@pytest.mark.parametrize("pairs", [PAIRS[:1], [PAIRS[0]] * 5], ids=["one pair", "equal pairs"])
@pytest.mark.parametrize("loss", ["bce", "cosine"])
def test_without_a_negative_the_loss_is_finite_and_over_positives(encoder, pairs, loss):
    found, _, _ = loss_of(encoder, pairs, tpp_loss=loss)
    assert found.count == len(pairs) and torch.isfinite(found.sum)
    assert found.others["dropped"] == (len(pairs), len(pairs)) and found.others["negatives"][0] == 0
    found.sum.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("negatives", NEGATIVES[3:])
def test_texts_of_the_corpus_are_read_after_the_pairs(encoder, negatives):
    more = [[30, 31], [32], [33, 34], [5, 6, 7], [35], [36], [37], [38]]
    found, _, reading = loss_of(encoder, PAIRS, more, tpp_negatives=negatives, tpp_num_negatives=2)
    assert len(reading.batch) == 16 and found.count == 4 + 8  # [5, 6, 7] is another pair's text here
    found, _, _ = loss_of(encoder, PAIRS, [[5, 6, 7], *more[1:]], tpp_negatives=negatives, tpp_num_negatives=2)
    assert found.others["rejected"] == (1, 8) and found.count == 4 + 7


def test_a_layer_below_the_last_one_is_read_and_those_above_are_not_trained(encoder):
    with torch.no_grad():
        expected, _, _ = loss_of(encoder, PAIRS, sentence_layer=1)
        shorter = Encoder(replace(encoder.config, layers=1), "plain").double()
        shorter.load_state_dict(encoder.state_dict(), strict=False)
        assert loss_of(shorter, PAIRS)[0].sum.item() == pytest.approx(expected.sum.item(), rel=1e-12)
    loss_of(encoder, PAIRS, sentence_layer=1)[0].sum.backward()
    assert encoder.layers[1].qkv.weight.grad is None and encoder.layers[0].qkv.weight.grad.abs().sum() > 0
    with pytest.raises(UserError, match="--sentence-layer 3: the encoder has 2 layers"):
        TranslationPairs(TPPOptions(sentence_layer=3)).module(encoder)


@pytest.mark.parametrize("count", [0, 1])
def test_a_training_text_without_two_different_pairs_is_refused(count):
    known = KnownPairs(np.arange(count))
    with pytest.raises(UserError, match=f"{count} different ones"):
        TranslationPairs().check(Resources("DATA", known_pairs=known))
    TranslationPairs().check(Resources("DATA", known_pairs=KnownPairs(np.arange(2))))


def test_it_mixes_with_others_by_weight(encoder):
    """L = TLM + 0.5 TPP, in the units of a trainer that divides by TLM's count."""
    joined = pack([[0, 5, 4, 2, 15, 2]])
    joined.masked, joined.targets = torch.tensor([2]), torch.tensor([6])
    listed = parse_objectives("tlm,tpp:0.5", OBJECTIVES)
    listed[1] = replace(listed[1], batch="bitext/tpp")
    batches = {"bitext": joined, "bitext/tpp": batch_of(PAIRS)}
    total, size, losses = combined_loss(listed, encoder, batches, Context(fingerprints=ids_as_fingerprints))
    assert size == 1 and losses["tpp"].count == 8
    expected = losses["tlm"].sum + 0.5 * losses["tpp"].sum / 8
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)


def test_views_of_every_choice_of_negatives():
    views = {n: TranslationPairs(TPPOptions(tpp_negatives=n)).view(DEFAULTS) for n in NEGATIVES}
    assert {n: (v.others, v.others_from) for n, v in views.items()} == {
        "batch-source": (0, "other"), "batch-either": (0, "other"), "batch-hard": (0, "other"), "corpus": (1, "other"),
        "corpus-either-lang": (1, "either"),
    }  # fmt: skip
    assert all(v.sides == "apart" and v.rates is None for v in views.values())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tpp_loss": "cosine", "tpp_margin": math.nan}, "--tpp-margin nan is out of range"),
        ({"tpp_loss": "cosine", "tpp_margin": 5.0}, "--tpp-margin 5.0 is out of range"),
        ({"tpp_margin": 0.2}, "--tpp-margin is of --tpp-loss cosine"),
        ({"tpp_loss": "cosine", "tpp_temperature": 0.1}, "--tpp-temperature is of --tpp-loss ranking"),
        ({"tpp_loss": "ranking", "tpp_temperature": 0.0}, "--tpp-temperature 0.0 is not a positive number"),
    ],
)
def test_settings_without_a_meaning_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        TPPOptions(**wrong)


def test_the_margin_is_what_a_negative_may_score_for_nothing(encoder):
    """1 - cos of each pair, and max(0, cos - margin) of each negative."""
    plain, some = (loss_of(encoder, PAIRS, tpp_loss="cosine", tpp_margin=m)[0].sum.item() for m in (-1.0, -0.5))
    assert plain - some == pytest.approx(4 * 0.5, rel=1e-9), "all cosines here are above -0.5"


@pytest.mark.parametrize(
    ("options", "differing", "accepted"),
    [
        ({}, (True, False), False),
        ({}, (False, True), False),
        ({"tpp_negatives": "batch-hard"}, (False, True), False),
        ({"tpp_negatives": "batch-either"}, (False, True), False),
        ({"tpp_negatives": "corpus"}, (False, True), False),
        ({"tpp_negatives": "corpus-either-lang"}, (False, True), True),
        ({"tpp_negatives": "corpus-either-lang"}, (False, False), False),
        ({"tpp_loss": "ranking"}, (False, True), False),
    ],
)
def test_pairs_of_which_no_negative_can_be_made_are_refused(options, differing, accepted):
    """(s, t_j) is a known translation for every j where s is the same in all pairs."""
    objective = TranslationPairs(TPPOptions(**options))
    resources = Resources("DATA", known_pairs=KnownPairs(np.arange(3), differing))
    which = " and ".join(name for name, differs in zip(("first", "second"), differing) if not differs)
    with nullcontext() if accepted else pytest.raises(UserError, match=f"the {which} text of all pairs"):
        objective.check(resources)


def test_only_negatives_of_the_corpus_do_with_a_batch_of_one_pair():
    smallest = {n: TranslationPairs(TPPOptions(tpp_negatives=n)).smallest_batch for n in NEGATIVES}
    assert smallest == {n: 1 if n.startswith("corpus") else 2 for n in NEGATIVES}
    assert TranslationPairs(TPPOptions(tpp_loss="ranking")).smallest_batch == 2
    several = {n: TranslationPairs(TPPOptions(tpp_negatives=n, tpp_num_negatives=5)).smallest_batch for n in NEGATIVES}
    assert several == {"batch-source": 6, "batch-either": 4, "batch-hard": 6, "corpus": 1, "corpus-either-lang": 1}
