"""The conditional random field against the sum and the maximum over all sequences of tags, in float64."""

import itertools

import pytest
import torch
from torch import nn

from fairseq_xalign.labelled.kind import Example
from fairseq_xalign.labelled.tagging import Tagging

crf = pytest.importorskip("fairseq_xalign.models.crf")
pytest.importorskip("torchcrf", reason="needs pytorch-crf")

LABELS = 3
LENGTHS = (4, 1, 3)
TOLERANCE = 1e-10


@pytest.fixture
def head():
    torch.manual_seed(1)
    made = crf.CRFTaggingHead(nn.Linear(5, LABELS), LABELS).double()
    for parameter in made.crf.parameters():
        nn.init.normal_(parameter)
    return made


@pytest.fixture
def features():
    return torch.randn(sum(LENGTHS), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def score(head, emissions, tags):
    """Of one sequence of tags: its own scores, those of neighbours, and those of both ends."""
    total = head.crf.start_transitions[tags[0]] + head.crf.end_transitions[tags[-1]]
    total = total + sum(emissions[i, tag] for i, tag in enumerate(tags))
    return total + sum(head.crf.transitions[a, b] for a, b in itertools.pairwise(tags))


def by_brute_force(head, features):
    """Of each sequence: every sequence of tags with its log probability."""
    found = []
    for part in features.split(LENGTHS):
        emissions = head.scorer(part)
        every = list(itertools.product(range(LABELS), repeat=len(part)))
        scores = torch.stack([score(head, emissions, tags) for tags in every])
        found.append((every, scores.log_softmax(0)))
    return found


def chains_of(head, features):
    return crf.Chains.of(head(features), torch.tensor(LENGTHS))


def test_log_likelihoods_and_their_gradients_are_those_of_the_sum_over_all_tags(head, features):
    gold = torch.tensor([0, 2, 1, 0, 0, 2, 2, 0])
    ours = chains_of(head, features).log_likelihoods(gold)
    pairs = zip(by_brute_force(head, features), gold.split(LENGTHS))
    expected = torch.stack([logs[every.index(tuple(tags.tolist()))] for (every, logs), tags in pairs])
    assert torch.allclose(ours, expected, atol=TOLERANCE, rtol=0)
    names = [name for name, _ in head.named_parameters()]
    assert {"crf.transitions", "crf.start_transitions", "crf.end_transitions", "scorer.weight"} <= set(names)
    weights = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    gradients = [torch.autograd.grad((value * weights).sum(), list(head.parameters())) for value in (ours, expected)]
    for name, mine, theirs in zip(names, *gradients):
        assert torch.allclose(mine, theirs, atol=TOLERANCE, rtol=0) and mine.abs().max() > 0, name


def test_the_best_tags_are_those_of_the_highest_probability(head, features):
    expected = [list(every[int(logs.argmax())]) for every, logs in by_brute_force(head, features)]
    assert chains_of(head, features).best() == expected
    alone = [crf.Chains.of(head(part), torch.tensor([len(part)])).best()[0] for part in features.split(LENGTHS)]
    assert alone == expected, "padding changes nothing"


def test_marginals_are_sums_over_all_tags(head, features):
    for found, (every, logs) in zip(chains_of(head, features).marginals(), by_brute_force(head, features)):
        expected = torch.zeros_like(found)
        for tags, log in zip(every, logs):
            for place, tag in enumerate(tags):
                expected[place, tag] += log.detach().exp()
        assert torch.allclose(found, expected, atol=TOLERANCE, rtol=0)
        assert torch.allclose(found.sum(1), torch.ones(len(found), dtype=torch.float64))


def sample(labels, lengths=LENGTHS):
    """What the loss needs of a batch of ``<s> w1 ... wn </s>``: where words and sequences start."""
    starts, at = [0], []
    for length in lengths:
        at += range(starts[-1] + 1, starts[-1] + 1 + length)
        starts.append(starts[-1] + length + 2)
    streams = {"labelled": {"starts": torch.tensor(starts, dtype=torch.int32)}}
    return {"labels": labels, "at": torch.tensor(at), "streams": streams}


def test_the_loss_of_a_batch_is_that_of_its_sentences_one_by_one(head, features):
    gold = torch.tensor([0, 2, 1, 0, 0, 2, 2, 0])
    kind, scores = Tagging(), head(features)
    outcome = kind.outcome(scores, sample(gold))
    assert outcome.size == len(gold) and outcome.losses.shape == outcome.right.shape == gold.shape
    likelihoods = chains_of(head, features).log_likelihoods(gold)
    assert [part.sum().item() for part in outcome.losses.split(LENGTHS)] == pytest.approx((-likelihoods).tolist())
    best = [tag for tags in chains_of(head, features).best() for tag in tags]
    assert outcome.right.tolist() == [float(a == b) for a, b in zip(best, gold.tolist())]
    examples = [Example([9] * n, list(range(n)), [0] * n, i) for i, n in enumerate(LENGTHS)]
    names = ["O", "B-A", "I-A"]
    answers = kind.answers(scores.detach(), examples, names)
    assert [tag for tags in answers for tag in tags] == [names[tag] for tag in best]


def test_a_sentence_with_an_unknown_tag_teaches_nothing_and_smoothing_is_refused(head, features):
    gold = torch.tensor([0, -1, 1, 0, 0, 2, 2, 0])
    outcome = Tagging().outcome(head(features), sample(gold))
    assert outcome.size == 4 and outcome.losses[:4].tolist() == [0.0] * 4 and outcome.right[1] == 0
    with pytest.raises(Exception, match=r"--label-smoothing 0\.1: a CRF scores whole sentences"):
        Tagging().outcome(head(features), sample(gold), 0.1)


def test_without_pytorch_crf_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchcrf", None)
    with pytest.raises(Exception, match=r"which is not installed\. Install it with pip install .fairseq_xalign\[crf\]"):
        crf.field_module(3)
