"""The mathematics of word alignment with a preference for the diagonal (Dyer, Chahuneau and Smith, NAACL 2013).

A sentence of n *given* words emits a sentence of m words, each from one given word or from the empty word:

    P(e_j, a_j = i) = p(a_j = i) t(e_j | g_i),   p(a_j = 0) = p0,   p(a_j = i) = (1 - p0) exp(-lambda h(i, j)) / Z_j

with h(i, j) = |i / n - j / m|, positions counted from 1 (equations (1) to (3)). It is IBM Model 2 with one parameter
for all positions, the tension lambda. Expectation-maximisation estimates t and lambda; t has a Dirichlet prior and is
estimated by variational Bayes (section 2, after Riley and Gildea 2012).

Arrays have one row for each position of the target and one column for each of the source, whichever emits:
[B, m, n] of B sentence pairs of equal lengths, with m target and n source words. Everything here is a function of
numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TENSION = 4.0
"""lambda at the start: the value of the authors' program."""
TENSION_BOUNDS = 0.1, 14.0
"""Where the estimate of lambda is kept, as in the authors' program."""
NULL_PROBABILITY = 0.15
"""p0, the probability that a word comes from the empty word; the paper has 0.08 (section 2). See ``Settings``."""
ALPHA = 0.1
"""Parameter of the Dirichlet prior of t; the paper has 0.01 (section 2). See ``Settings``."""
SMALLEST = 1e-20
"""The least t: single precision reaches down to 1e-38, and products with the position's probability have to fit."""


@dataclass(frozen=True)
class Settings:
    """How the model is estimated.

    The defaults were chosen among round values by the error rate with grow-diag-final-and on two gold alignments: KFTT,
    Japanese-English, 582 pairs, and the Greek New Testament with the English words of the BSB, 7,919 verses. They have
    65.5 and 38.3 per cent; with the paper's values and its program's rounds (alpha 0.01, p0 0.08, 5 rounds, lambda
    learned) it is 71.3 and 41.9, and fast_align itself has 70.2 and 40.6. `benchmarks/links.py` prints what each
    choice does on KFTT.

    Attributes:
        iterations: rounds of expectation-maximisation. More change little.
        uniform: how many of them, from the first, ignore positions (IBM Model 1): a text of few pairs has not yet shown
            which words belong together when positions are first believed.
        alpha: of the Dirichlet prior; 0 for the most likely t.
        null: p0.
        tension: lambda at the start.
        learn_tension: whether it is estimated. It then rises from round to round (to 7 and more). A fixed 4 is better
            on KFTT (64.4), the smallest text, and hardly on the Greek one (38.1; worse with the other ways to combine
            directions). On 57,404 pairs English-German the estimate is better: F1 against the links of eflomal, which
            makes fewer errors on both gold alignments, is 82.1 with it and 81.0 without.
    """

    iterations: int = 6
    uniform: int = 1
    alpha: float = ALPHA
    null: float = NULL_PROBABILITY
    tension: float = TENSION
    learn_tension: bool = True


@dataclass
class Expected:
    """What one round of expectation sums up.

    Attributes:
        counts: [number of word pairs] expected links of each, float64.
        null: [number of emitted words] expected links of each to the empty word, float64.
        slope, curvature: first and (negated) second derivative of the expected log-likelihood in lambda.
        log_likelihood: of the text under the parameters of this round.
    """

    counts: np.ndarray
    null: np.ndarray
    slope: float = 0.0
    curvature: float = 0.0
    log_likelihood: float = 0.0


@dataclass(frozen=True)
class Places:
    """Where words are linked, whatever the words are; one pair of lengths, one direction.

    Attributes:
        chances: [m, n] p(a_j = i), float32; they add to 1 - p0 over the given words.
        distances: [m, n] h.
        mean, variance: [emitted] of h under the chances, divided by 1 - p0.
    """

    chances: np.ndarray
    distances: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def places(shape: tuple[int, int], given: int, tension: float, null: float) -> Places:
    """The chances of each place.

    Args:
        shape: m target and n source words.
        given: the axis of the given words: 1 if the source is given, 0 if the target is.
    """
    target, source = ((np.arange(size) + 1) / size for size in shape)
    distances = np.abs(target[:, None] - source[None, :])  # [m, n]
    chances = np.exp(-tension * distances)
    chances /= chances.sum(given, keepdims=True)
    mean = (chances * distances).sum(given)
    variance = (chances * distances**2).sum(given) - mean**2
    return Places(((1 - null) * chances).astype(np.float32), distances, mean, variance)


OVER_GIVEN = ("bmn->bn", "bmn->bm")
"""Sums over the given words: over axis 0 of [m, n] if the target is given, over axis 1 if the source is."""


def expect(
    sums: Expected,
    ids: np.ndarray,
    emitted: np.ndarray,
    translation: np.ndarray,
    null: np.ndarray,
    where: Places,
    given: int,
) -> None:
    """Add the expected links of B sentence pairs of equal lengths to ``sums``.

    Args:
        ids: [B, m, n] int64, the number of each pair of words.
        emitted: [B, emitted] int64, the emitted words.
        translation: t of each pair of words, float32.
        null: p0 t(e | empty word) of each emitted word, float32.
        where: of these lengths.
        given: the axis of the given words in ``where``.
    """
    chances = translation.take(ids, mode="clip")  # [B, m, n]; "clip" saves a check of each number
    chances *= where.chances
    nothing = null.take(emitted, mode="clip")  # [B, emitted]
    total = np.einsum(OVER_GIVEN[given], chances) + nothing
    chances /= np.expand_dims(total, given + 1)
    nothing /= total
    np.add.at(sums.counts, ids.ravel(), chances.ravel().astype(np.float64))
    np.add.at(sums.null, emitted.ravel(), nothing.ravel().astype(np.float64))
    sums.log_likelihood += float(np.log(total, dtype=np.float64).sum())
    linked = chances.sum(0, dtype=np.float64)  # [m, n]
    mass = linked.sum(given)  # [emitted]
    sums.slope += float(mass @ where.mean - (linked * where.distances).sum())
    sums.curvature += float(mass @ where.variance)


def next_tension(tension: float, sums: Expected) -> float:
    """One step of Newton's method towards the lambda that explains the expected links best; the function is concave.

    A step at most doubles or halves lambda. More steps in one round would need the derivatives elsewhere, which cost
    another pass over all lengths; the rounds of estimation take them instead.
    """
    if sums.curvature <= 0:  # all sentences have one word, or nothing is linked
        return tension
    wanted = tension + sums.slope / sums.curvature
    return float(np.clip(np.clip(wanted, tension / 2, tension * 2), *TENSION_BOUNDS))


def exp_digamma(x: np.ndarray) -> np.ndarray:
    """exp(psi(x)) for x > 0, in float64, to nine digits.

    psi(x) = psi(x + 6) - sum_{k<6} 1 / (x + k); the sum is one fraction, and psi(y) = log y - 1/(2y) - 1/(12 y^2) + ...
    """
    u = x * (x + 5)
    fraction = (2 * x + 5) * (3 * u * u + 20 * u + 24) / (u * (u + 4) * (u + 6))
    y = x + 6
    r = 1 / y
    r2 = r * r
    series = r * 0.5 + r2 * (1 / 12 - r2 * (1 / 120 - r2 * (1 / 252 - r2 * (1 / 240))))
    return y * np.exp(-series - fraction)


BLOCK = 1 << 18
"""Word pairs whose probabilities are computed at once."""


def maximise(counts: np.ndarray, given: np.ndarray, words: int, alpha: float, out: np.ndarray) -> None:
    """Write t of each pair of words: exp(psi(c + alpha) - psi(sum)), or c / sum if alpha is 0.

    Args:
        counts: [number of pairs] expected links c.
        given: [number of pairs] the given word of each.
        words: how many given words there are.
        out: [number of pairs] t, float32.
    """
    totals = np.zeros(words)
    for begin in range(0, len(counts), BLOCK):
        part = slice(begin, begin + BLOCK)
        totals += np.bincount(given[part], counts[part] + alpha, words)
    totals = np.maximum(totals, np.finfo(float).tiny)  # a word whose links are all impossible
    totals = exp_digamma(totals) if alpha else totals
    for begin in range(0, len(counts), BLOCK):
        part = slice(begin, begin + BLOCK)
        wanted = exp_digamma(counts[part] + alpha) if alpha else counts[part]
        out[part] = np.maximum(wanted / totals[given[part]], SMALLEST)


def best(
    ids: np.ndarray, emitted: np.ndarray, translation: np.ndarray, null: np.ndarray, where: Places, given: int
) -> np.ndarray:
    """[B, emitted] The place of the given word that each word most probably comes from, counted from 1, or 0.

    Ties go to the empty word, then to the first. The arguments are those of :func:`expect`.
    """
    chances = translation.take(ids, mode="clip")
    chances *= where.chances
    found = chances.argmax(given + 1)
    likeliest = np.take_along_axis(chances, np.expand_dims(found, given + 1), given + 1).squeeze(given + 1)
    return np.where(likeliest > null.take(emitted, mode="clip"), found + 1, 0)
