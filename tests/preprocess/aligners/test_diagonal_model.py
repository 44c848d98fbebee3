"""The aligner's model: a plain reference in double precision, and numbers worked out by hand."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.aligners import diagonal_model as model
from preprocess.aligners.diagonal import PARTS, Direction, directions
from preprocess.aligners.diagonal_model import Settings
from preprocess.aligners.numbered_text import number_text
from tests.support.samples import write_lines

TEXT = [
    ("the house is small", "das haus ist klein"),
    ("the house", "das haus"),
    ("a small book", "ein kleines buch"),
    ("the book is the book", "das buch ist das buch"),
    ("a house , a book", "ein haus und ein buch ."),
    ("book", "buch"),
    ("", "nichts"),
    ("nothing", ""),
    ("house the", "haus das"),
]
TOLERANCE = 2e-6


def digamma(x):
    """psi by its recurrence and Stirling's series far out."""
    total = 0.0
    while x < 40:
        total -= 1 / x
        x += 1
    return total + math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4)


class Reference:
    """The model of one direction, word by word, as the paper writes it; ``given`` words emit the others."""

    def __init__(self, pairs, how):
        self.vocabulary = {word for _, emitted in pairs for word in emitted}  # each may come from the empty word
        self.pairs = [(g, e) for g, e in pairs if g and e]
        self.how, self.tension = how, how.tension
        self.t = defaultdict(lambda: 1 / len(self.vocabulary))

    def prior(self, i, j, n, m, tension):
        weights = [math.exp(-tension * abs(k / n - j / m)) for k in range(1, n + 1)]
        return (1 - self.how.null) * weights[i - 1] / sum(weights)

    def score(self, given_words, emitted, i, j, tension):
        if i == 0:
            return self.how.null * self.t[None, emitted[j - 1]]
        prior = self.prior(i, j, len(given_words), len(emitted), tension)
        return prior * self.t[given_words[i - 1], emitted[j - 1]]

    def round(self, uniform):
        counts = {(None, word): 0.0 for word in self.vocabulary}
        linked = []  # (posterior, i, j, n, m)
        likelihood = 0.0
        tension = 0.0 if uniform else self.tension
        for given_words, emitted in self.pairs:
            n, m = len(given_words), len(emitted)
            for j in range(1, m + 1):
                scores = [self.score(given_words, emitted, i, j, tension) for i in range(n + 1)]
                likelihood += math.log(sum(scores))
                for i, score in enumerate(scores):
                    key = (given_words[i - 1] if i else None, emitted[j - 1])
                    counts[key] = counts.get(key, 0.0) + score / sum(scores)
                    if i:
                        linked.append((score / sum(scores), i, j, n, m))
        self.maximise(counts)
        if self.how.learn_tension and not uniform:
            self.tension = self.newton(linked)
        return likelihood

    def maximise(self, counts):
        alpha = self.how.alpha
        totals = defaultdict(float)
        for (word, _), count in counts.items():
            totals[word] += count + alpha
        for (word, other), count in counts.items():
            if alpha:
                self.t[word, other] = math.exp(digamma(count + alpha) - digamma(totals[word]))
            else:
                self.t[word, other] = count / totals[word]

    def expected(self, linked, tension):
        """The expected log-likelihood of the places, as a function of the tension."""
        return sum(p * math.log(self.prior(i, j, n, m, tension)) for p, i, j, n, m in linked)

    def newton(self, linked, by=1e-3):
        low, here, high = (self.expected(linked, self.tension + move) for move in (-by, 0, by))
        slope, curvature = (high - low) / (2 * by), (high - 2 * here + low) / by**2
        step = min(max(self.tension - slope / curvature, self.tension / 2), self.tension * 2)
        return min(max(step, 0.1), 14.0)

    def links(self):
        for given_words, emitted in self.pairs:
            found = set()
            for j in range(1, len(emitted) + 1):
                scores = [self.score(given_words, emitted, i, j, self.tension) for i in range(len(given_words) + 1)]
                best = scores.index(max(scores))
                found |= {(best - 1, j - 1)} if best else set()
            yield found


def written(folder, pairs=TEXT):
    return tuple(
        str(write_lines(folder / name, [pair[side] for pair in pairs])) for side, name in ((0, "source"), (1, "target"))
    )


def numbered(folder, pairs=TEXT):
    """The text as numbers, and the words of each side by number."""
    text = number_text(written(folder, pairs), "space", str(folder), 1)
    names = []
    for side in (0, 1):
        words = " ".join(pair[side] for pair in pairs).split()
        names.append({int(number): word for number, word in zip(text.tokens[side], words)})
    return text, names


VARIANTS = [
    Settings(),
    Settings(5, 0, 0.01, 0.08, 4.0, False),  # as published, but for the tension
    Settings(alpha=0.0, iterations=3),
    Settings(alpha=0.3, uniform=2, null=0.2, tension=6.0, learn_tension=True),
]


@pytest.mark.parametrize("how", VARIANTS)
@pytest.mark.parametrize("side", [0, 1])
def test_estimation_equals_a_plain_reference_in_double_precision(tmp_path, how, side):
    text, names = numbered(tmp_path)
    pairs = [tuple(line.split() for line in pair) for pair in TEXT]
    reference = Reference([pair[:: -1 if side else 1] for pair in pairs], how)
    direction = Direction(text, side, how)
    for number in range(how.iterations):
        uniform = number < how.uniform
        for part in range(PARTS):
            direction.expect(part, uniform)
        reached = direction.sums.log_likelihood
        direction.maximise(how.learn_tension and not uniform)
        assert reached == pytest.approx(reference.round(uniform), rel=TOLERANCE)
        assert direction.tension == pytest.approx(reference.tension, rel=1e-4)  # the reference differentiates by steps
    for source, target, t in zip(*text.pairs, direction.translation):
        word, other = (names[0][source], names[1][target])[:: -1 if side else 1]
        assert t == pytest.approx(reference.t[word, other], rel=1e-3, abs=1e-6)
    for number, t in enumerate(direction.null):
        assert t == pytest.approx(reference.t[None, names[1 - side][number]], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("how", VARIANTS)
def test_the_links_are_those_of_the_reference(tmp_path, how):
    found = list(directions(*written(tmp_path), "space", how, 1))
    assert [found[6], found[7]] == [(set(), set())] * 2  # a side is empty
    pairs = [tuple(line.split() for line in pair) for pair in TEXT]
    for side in (0, 1):
        reference = Reference([pair[:: -1 if side else 1] for pair in pairs], how)
        for number in range(how.iterations):
            reference.round(number < how.uniform)
        expected = [{link[:: -1 if side else 1] for link in links} for links in reference.links()]
        assert [both[side] for number, both in enumerate(found) if number not in (6, 7)] == expected


def test_one_round_by_hand():
    """One pair, a given word and two emitted: each is linked with 0.8 or to nothing with 0.2, whatever the tension."""
    where = model.places((2, 1), 1, tension=4.0, null=0.2)
    assert where.chances.ravel().tolist() == pytest.approx([0.8, 0.8])
    assert where.distances.ravel().tolist() == [0.5, 0.0]
    sums = model.Expected(np.zeros(2), np.zeros(2))
    ids, emitted = np.array([[[0], [1]]]), np.array([[0, 1]])
    half = np.full(2, 0.5, np.float32)
    model.expect(sums, ids, emitted, half, 0.2 * half, where, 1)
    assert sums.counts.tolist() == pytest.approx([0.8, 0.8]) and sums.null.tolist() == pytest.approx([0.2, 0.2])
    assert sums.log_likelihood == pytest.approx(2 * math.log(0.5))
    assert (sums.slope, sums.curvature) == (0, 0)  # there is no other place
    assert model.next_tension(4.0, sums) == 4.0


def test_the_diagonal_by_hand():
    """Two given, two emitted words: h = 0 on the diagonal and 1/2 beside it."""
    where = model.places((2, 2), 1, tension=2 * math.log(3), null=0.0)
    assert where.chances.ravel().tolist() == pytest.approx([0.75, 0.25, 0.25, 0.75])
    assert where.mean.tolist() == pytest.approx([0.125] * 2)
    assert where.variance.tolist() == pytest.approx([0.25 * 0.25 - 0.125**2] * 2)
    other = model.places((2, 3), 0, tension=1.0, null=0.08)
    assert other.chances.sum(0).tolist() == pytest.approx([0.92] * 3)


def test_the_tension_reached_explains_the_expected_links_best():
    """Of ten links eight lie on the diagonal of two by two words: exp(-lambda / 2) = 2 / 8."""
    tension = 4.0
    for _ in range(30):
        where = model.places((2, 2), 1, tension, 0.0)
        sums = model.Expected(np.zeros(1), np.zeros(1))
        linked = np.array([[4.0, 1.0], [1.0, 4.0]])
        mass = linked.sum(1)
        sums.slope = float(mass @ where.mean - (linked * where.distances).sum())
        sums.curvature = float(mass @ where.variance)
        tension = model.next_tension(tension, sums)
    assert tension == pytest.approx(2 * math.log(4), rel=1e-9)


def test_the_tension_stays_within_its_bounds():
    steep = model.Expected(np.zeros(1), np.zeros(1), slope=1e9, curvature=1.0)
    assert model.next_tension(4.0, steep) == 8.0 and model.next_tension(12.0, steep) == 14.0
    flat = model.Expected(np.zeros(1), np.zeros(1), slope=-1e9, curvature=1.0)
    assert model.next_tension(4.0, flat) == 2.0 and model.next_tension(0.15, flat) == 0.1


def test_the_likelihood_never_falls_without_a_prior(tmp_path):
    text, _ = numbered(tmp_path)
    direction = Direction(text, 0, Settings(alpha=0.0))
    reached = []
    for _ in range(12):
        for part in range(PARTS):
            direction.expect(part, False)
        reached.append(direction.sums.log_likelihood)
        direction.maximise(True)
    assert all(later >= earlier - 1e-6 for earlier, later in zip(reached, reached[1:]))


@settings(max_examples=200)
@given(st.floats(5e-3, 1e7))
def test_exp_digamma_is_the_exponential_of_psi(x):
    expected = digamma(x)
    assert math.log(model.exp_digamma(np.array([x]))[0]) == pytest.approx(expected, rel=1e-8, abs=1e-8)
