"""The model of orders: its features as Wang and Eisner's code has them, its likelihood, and the fit."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from preprocess.derive.order_features import (
    KnownSequences,
    head_element,
    label,
    orders,
    pair_features,
    sequences,
    views,
)
from preprocess.derive.order_fitting import Likelihood, Observed, fit, order_number
from preprocess.derive.order_model import NOUNS, VERBS, OrderModel
from tests.support.samples import write_lines

EXACT = 1e-12
DET, ADJ, NMOD, PUNCT = ("DET", "det"), ("ADJ", "amod"), ("NOUN", "nmod"), ("PUNCT", "punct")
NOUN = head_element("NOUN")


def plain_features(line):
    """Features of one order of a node as the authors' Features.java defines them, one by one."""
    head = next(place for place, (tag, _) in enumerate(line) if tag.startswith("@"))
    counts = Counter()
    for view in range(3):
        names = [views(element)[view] for element in line]
        for first, second in itertools.pairwise(["BOS", *names, "EOS"]):
            counts[f"BI {first} {second}"] += 1
        for i, j in itertools.combinations(range(len(names)), 2):
            counts[f"PRE {names[i]} {names[j]}"] += 1
            if j < head:
                counts[f"BFR {names[i]} {names[j]}"] += 1
            if i < head < j:
                counts[f"BTW {names[i]} {names[j]}"] += 1
            if i > head:
                counts[f"AFT {names[i]} {names[j]}"] += 1
    names = [label(element) for element in line]
    longest = min(5, len(names))
    if longest >= 3:
        padded = ["BOS"] * (longest - 1) + names + ["EOS"] * (longest - 1)
        for end in range(longest, len(padded) + 1):
            for length in range(3, longest + 1):
                counts[" ".join(["HI", *padded[end - length : end]])] += 1
    return counts


def random_model(elements, seed=1):
    """Weights for every feature that any order of the elements has."""
    names = sorted(
        set().union(*(plain_features([elements[i] for i in order]) for order in orders(len(elements)).tolist()))
    )
    values = np.random.default_rng(seed).normal(size=len(names))
    return OrderModel({NOUNS: dict(zip(names, values.tolist()))})


@pytest.mark.parametrize(
    "elements", [[NOUN, DET], [NOUN, ADJ, DET], [NOUN, ADJ, ADJ, DET], [NOUN, ADJ, DET, NMOD, PUNCT, PUNCT]]
)
def test_the_probability_of_an_order_is_that_of_its_features_counted_one_by_one(elements):
    model = random_model(elements)
    weights = model.weights[NOUNS]
    scores = np.array(
        [
            sum(weights[name] * count for name, count in plain_features([elements[i] for i in order]).items())
            for order in orders(len(elements)).tolist()
        ]
    )
    expected = scores - np.log(np.exp(scores).sum())
    assert model.log_probabilities(NOUNS, tuple(elements)) == pytest.approx(expected, abs=1e-9)


def test_a_model_without_weights_prefers_no_order():
    found = OrderModel({}).log_probabilities(VERBS, (head_element("VERB"), DET, ADJ))
    assert found == pytest.approx([-math.log(6)] * 6, abs=EXACT)


def test_orders_are_numbered_as_they_are_listed():
    for count in range(1, 6):
        assert [order_number(order) for order in orders(count).tolist()] == list(range(math.factorial(count)))


def test_sequences_are_bordered_and_at_most_five_long():
    assert not sequences(["a", "@"])
    three = sequences(["a", "@", "b"])
    assert "HI BOS BOS a" in three and "HI b EOS EOS" in three and "HI EOS EOS EOS" not in three
    assert max(len(name.split()) for name in sequences(list("abcdefg"))) == 6


def observed(rows, head=NOUN):
    found = Observed()
    for before, after, times in rows:
        for _ in range(times):
            found.add(head, before, after)
    return found


FRENCH = [([DET], [ADJ], 9), ([DET, ADJ], [], 3), ([DET], [NMOD], 5), ([DET], [ADJ, NMOD], 4), ([DET, ADJ], [NMOD], 1)]


def test_the_likelihood_is_the_product_of_the_probabilities():
    data = observed(FRENCH)
    likelihood = Likelihood(data)
    values = torch.randn(len(likelihood.names), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model = OrderModel({NOUNS: dict(zip(likelihood.names, values.tolist()))})
    expected = sum(
        model.log_probabilities(NOUNS, elements)[order] * times
        for elements, counts in data.nodes.items()
        for order, times in counts.items()
    )
    assert float(likelihood(values)) == pytest.approx(expected, abs=1e-9)


def test_the_gradient_of_the_likelihood_is_right():
    likelihood = Likelihood(observed(FRENCH[:3]))
    values = torch.randn(len(likelihood.names), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(likelihood, (values.requires_grad_(),), eps=1e-6, atol=1e-6)


def test_a_fit_reaches_the_shares_that_were_observed():
    weights, reached = fit(observed([([DET], [ADJ], 75), ([DET, ADJ], [], 25)]), penalty=1e-3)
    model = OrderModel({NOUNS: weights})
    probabilities = np.exp(model.log_probabilities(NOUNS, (NOUN, ADJ, DET)))
    share = {tuple(order): p for order, p in zip(orders(3).tolist(), probabilities)}
    assert share[2, 0, 1] == pytest.approx(0.75, abs=0.01)
    assert share[2, 1, 0] == pytest.approx(0.25, abs=0.01)
    assert reached == pytest.approx(0.75 * math.log(0.75) + 0.25 * math.log(0.25), abs=0.01)


def test_a_fit_is_at_the_optimum_of_the_likelihood_less_the_penalty():
    data = observed(FRENCH)
    weights, _ = fit(data, penalty=0.5)
    likelihood = Likelihood(data)
    values = torch.tensor([weights[name] for name in likelihood.names], dtype=torch.float64, requires_grad=True)
    (likelihood(values) - 0.25 * values.square().sum()).backward()
    assert float(values.grad.abs().max()) / likelihood.count < 1e-4


def test_it_generalises_from_tags_and_relations_to_elements_it_has_not_seen():
    weights, _ = fit(observed([([], [ADJ], 20), ([DET], [ADJ], 20)]))
    model = OrderModel({NOUNS: weights})
    after = np.exp(model.log_probabilities(NOUNS, (NOUN, ("ADJ", "acl"))))[0]
    assert after > 0.8, "adjectives follow, whatever their relation"


def test_a_model_comes_back_from_its_file_to_the_last_bit(tmp_path):
    model = random_model([NOUN, ADJ, DET, NMOD])
    model.save(tmp_path / "model.json")
    back = OrderModel.load(tmp_path / "model.json")
    assert back.weights == model.weights
    elements = (NOUN, ADJ, DET, NMOD)
    assert (back.log_probabilities(NOUNS, elements) == model.log_probabilities(NOUNS, elements)).all()


def test_a_mixture_adds_weights_in_their_shares():
    one = OrderModel({NOUNS: {"a": 1.0, "b": 2.0}})
    other = OrderModel({NOUNS: {"b": 4.0}, VERBS: {"c": 8.0}})
    mixed = one.mixed(other, 0.25).weights
    assert mixed == {NOUNS: {"a": 0.75, "b": 2.5}, VERBS: {"c": 2.0}}
    with pytest.raises(UserError, match="same --subtypes"):
        one.mixed(OrderModel({}, subtypes=True), 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "not a model of orders"),
        ('{"kind": "order model", "format": 9}', "format 9"),
        ('{"kind": "order model", "format": 1, "weights": {"N": {"a": "b"}}}', "no numbers"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path, content, message):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        OrderModel.load(tmp_path / "model.json")
    assert "model.json" in str(error.value) and "xalign-preprocess order" in str(error.value)


SENTENCE = [
    "# text = les chats noirs",
    "1\tles\tle\tDET\t_\t_\t2\tdet\t_\t_",
    "2\tchats\tchat\tNOUN\t_\t_\t0\troot\t_\t_",
    "3\tnoirs\tnoir\tADJ\t_\t_\t2\tamod:x\t_\t_",
    "",
]


def test_the_command_fits_a_treebank_and_mixes_in_another(tmp_path, capsys):
    write_lines(tmp_path / "fr.conllu", SENTENCE * 20)
    command = ["order", "--treebank", str(tmp_path / "fr.conllu")]
    assert main([*command, "--output", str(tmp_path / "a.json")]) == 0
    assert main([*command, *("--substrate", command[2]), "--output", str(tmp_path / "b.json")]) == 0
    assert "nodes 20" in capsys.readouterr().err
    one, both = OrderModel.load(tmp_path / "a.json"), OrderModel.load(tmp_path / "b.json")
    assert both.weights[NOUNS] == pytest.approx(one.weights[NOUNS])
    assert one.weights[NOUNS]["PRE @NOUN&@ ADJ&amod"] > 0 > one.weights[NOUNS]["PRE ADJ&amod @NOUN&@"]
    about = json.loads((tmp_path / "b.json").read_text())["about"]
    assert about["substrate"]["weight"] == 0.05 and about["treebanks"][0]["name"] == "fr.conllu"


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("2\tdet", "_\tdet"), [], "fr.conllu:2: word 1 has no head"),
        (("0\troot", "3\troot"), [], "fr.conllu:2: the heads of the words go round in a circle"),
        (("NOUN", "ADJ"), [], "no noun or verb with dependents"),
        (("x", "x"), ["--penalty", "0"], "--penalty 0.0 is not a positive number"),
        (("x", "x"), ["--penalty", "inf"], "--penalty inf is not a positive number"),
        (("x", "x"), ["--max-dependents", "9"], "Give 1 to 7"),
        (("x", "x"), ["--substrate", "{treebank}", "--substrate-weight", "2"], "not a share"),
        (("x", "x"), ["--substrate-weight", "0.5"], "--substrate-weight is for a mixture with --substrate"),
    ],
)
def test_what_cannot_be_fitted_is_one_line_and_leaves_nothing(tmp_path, capsys, change, options, message):
    write_lines(tmp_path / "fr.conllu", [line.replace(*change) for line in SENTENCE])
    status = main(["order", "--treebank", str(tmp_path / "fr.conllu"), "--output", str(tmp_path / "m.json"), *options])
    assert status == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "m.json").exists()


def test_every_pair_of_elements_is_asked_in_three_views():
    names = pair_features([NOUN, DET, ADJ])
    assert ("PRE @NOUN&@ DET&det", "PRE @NOUN DET", "PRE @ det") in names
    assert ("BI BOS ADJ&amod", "BI BOS ADJ", "BI BOS amod") in names
    assert len(set(names)) == len(names) == 6 + 6 + 3 + 3 + 3 * 2


LABELS = st.sampled_from("abcde")


@given(st.lists(st.lists(LABELS, min_size=1, max_size=4).map(tuple), unique=True), st.sets(LABELS))
def test_known_sequences_over_some_labels_are_those_without_others(names, labels):
    found = list(KnownSequences(names).over(labels))
    assert sorted(found) == [(n, name) for n, name in enumerate(names) if set(name) <= labels]
