"""Word alignment with fast_align (Dyer, Chahuneau and Smith, NAACL 2013), in both directions.

The package systran-align estimates the model: IBM Model 2 with a diagonal prior and variational Bayes, as the authors
recommend. Its own aligner returns directions already combined, so the best link of each word (the model's equations
(1) to (3)) is sought here, from the tables that it writes.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fairseq_xalign import cli
from fairseq_xalign.data.formats.pharaoh import Links
from fairseq_xalign.errors import UserError, counted
from preprocess.words import check_parallel, lowered, word_pairs, write_words

Words = list[str]

TENSION = 4.0
"""How strongly links keep to the diagonal: the published starting value. The estimated one is not known, as the table
of systran-align does not include it."""
NULL_PROBABILITY = 0.08
"""Probability that a word is linked to no word (Dyer et al. 2013, section 2)."""
PRUNED = -8.0
"""Natural logarithm: a table drops translations that are less probable than e^-8 of the word's best."""
UNSEEN = 1e-9
"""What stands for a probability that is not in the table, as in fast_align."""
TABLE_FORMAT = 2
ESTIMATE = """import json, sys, systran_align
systran_align.generate_alignment_probabilities(*sys.argv[2:], **json.loads(sys.argv[1]))"""
CELLS = 500_000
"""Pairs of words looked up at once: bounds the memory of the search."""
MISSING = (
    'Use --aligner diagonal, or install it with pip install "fairseq_xalign[align]" on Python 3.11: it has no wheel '
    "for later ones"
)


def directions(source: str, target: str, words: str = "split") -> Iterator[tuple[Links, Links]]:
    """The links of every line: each target word's to its best source word, and each source word's to its best target.

    Deterministic, and on one core for that reason: over several threads systran-align adds in a varying order.
    The memory of the estimation grows with the pairs of distinct words that occur in one sentence pair (some 350 MB at
    57,000 pairs), not with the number of lines otherwise.

    Raises:
        UserError: systran-align is not installed, or writes tables of another format; see also ``word_pairs``.
    """
    if find_spec("systran_align") is None:
        raise UserError("fast_align needs the package systran-align, which is not installed", remedy=MISSING)
    total = check_parallel(source, target)
    with tempfile.TemporaryDirectory(prefix="xalign-links-") as folder:
        text, forward, backward = (Path(folder) / name for name in ("text", "forward", "backward"))
        with text.open("w", encoding="utf-8", newline="\n") as stream:
            written = write_words(source, target, stream, words, empty=False)
        if not written:
            yield from ((set(), set()) for _ in range(total))
            return
        cli.say(f"fast_align: estimating two directions from {counted(written, 'sentence pair')}, on one core")
        _estimate(text, forward, backward)
        tables = Table.load(forward), Table.load(backward)
    for batch in _batches(cli.progress(word_pairs(source, target, words), "link", total)):
        there = best_links(tables[0], batch)
        back = best_links(tables[1], [(other, one) for one, other in batch])
        yield from ((one, {(s, t) for t, s in other}) for one, other in zip(there, back))


def _estimate(text: Path, forward: Path, backward: Path) -> None:
    """Write the tables of both directions.

    In a process of its own: the number of threads is fixed when the library is loaded, its memory is given back, and
    an interrupt ends it at once.
    """
    settings = {
        "favor_diagonal": True,
        "variational_bayes": True,
        "diagonal_tension": TENSION,
        "prob_align_null": NULL_PROBABILITY,
        "beam_threshold": PRUNED,
    }
    command = [sys.executable, "-c", ESTIMATE, json.dumps(settings), *map(str, (text, forward, backward))]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        why = f"was killed by signal {-done.returncode}" if done.returncode < 0 else "failed"
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise UserError(
            ": ".join([f"systran-align {why}", *last]),
            remedy="If memory ran out, give less text, or use --aligner diagonal",
        )


def _batches(pairs: Iterable[tuple[Words, Words]]) -> Iterator[list[tuple[Words, Words]]]:
    """Lower-cased pairs in lists of at most about ``CELLS`` pairs of words."""
    batch: list[tuple[Words, Words]] = []
    cells = 0
    for one, other in pairs:
        batch.append((lowered(one), lowered(other)))
        cells += (len(one) + 1) * (len(other) + 1)
        if cells >= CELLS:
            yield batch
            batch, cells = [], 0
    yield batch


class Table:
    """How probable each word is as the translation of each other: t(emitted | given).

    Attributes:
        ids: number of each word; those of the two languages share one numbering.
        keys: [n] int64, ``given * (number of words) + emitted``, ascending.
        probabilities: [n] float32.
        null: the number of the empty word among the given.
    """

    def __init__(self, ids: dict[str, int], given: np.ndarray, emitted: np.ndarray, probabilities: np.ndarray) -> None:
        self.ids = ids
        self.null = ids["<eps>"]
        self.size = len(ids) + 1
        keys = given.astype(np.int64) * self.size + emitted
        order = np.argsort(keys)
        self.keys, self.probabilities = keys[order], probabilities[order]

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a table of systran-align.

        Layout, little endian: int32 format, int32 number of words, the words each ended by NUL (numbered from 1, the
        first the empty word), int32 number of rows, then for each row int32 given word, int32 n and n times int32
        emitted word and float32 probability.
        """
        data = path.read_bytes()
        form, count = struct.unpack_from("<ii", data)
        if form != TABLE_FORMAT:
            raise UserError(
                f"this systran-align writes tables of format {form}, not {TABLE_FORMAT}",
                remedy="Install the version named in constraints.txt",
            )
        *words, rest = data[8:].split(b"\0", count)
        ids = {word.decode("utf-8"): number for number, word in enumerate(words, 1)}
        numbers = np.frombuffer(rest, "<i4")
        rows, given, place = [], [], 1
        while place < len(numbers):
            count = int(numbers[place + 1])
            rows.append(numbers[place + 2 : place + 2 + 2 * count].reshape(count, 2))
            given.append(np.full(count, numbers[place], np.int64))
            place += 2 + 2 * count
        entries = np.concatenate(rows)
        return cls(ids, np.concatenate(given), entries[:, 0], np.ascontiguousarray(entries[:, 1]).view("<f4"))

    def lookup(self, given: np.ndarray, emitted: np.ndarray) -> np.ndarray:
        """[n] t(emitted | given) of pairs of numbers, at least ``UNSEEN``."""
        wanted = given * self.size + emitted
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, np.maximum(self.probabilities[places], UNSEEN), UNSEEN)


@lru_cache(maxsize=2048)
def diagonal(given: int, emitted: int) -> np.ndarray:
    """[emitted, given + 1] The prior probability, whatever the words are, that a word is linked to the empty word
    (column 0) or to each of the given ones (equation (1), positions from 1)."""
    there = np.arange(1, given + 1) / given
    here = np.arange(1, emitted + 1) / emitted
    weights = np.exp(-TENSION * np.abs(here[:, None] - there[None, :]))
    weights *= (1 - NULL_PROBABILITY) / weights.sum(1, keepdims=True)
    return np.concatenate([np.full((emitted, 1), NULL_PROBABILITY), weights], axis=1)


def best_links(table: Table, pairs: list[tuple[Words, Words]]) -> list[Links]:
    """For each pair (given words, emitted words) the links (given place, emitted place): one for an emitted word, or
    none where the empty word explains it best. Ties go to the empty word, then to the first."""
    ids, null = table.ids, table.null
    sides = [
        (np.array([null, *(ids.get(word, 0) for word in given)]), np.array([ids.get(word, 0) for word in emitted], int))
        for given, emitted in pairs
    ]
    givens = [np.tile(given, len(emitted)) for given, emitted in sides]
    emitteds = [np.repeat(emitted, len(given)) for given, emitted in sides]
    found = table.lookup(np.concatenate(givens), np.concatenate(emitteds)) if sides else np.zeros(0)
    result, begin = [], 0
    for given, emitted in sides:
        shape = len(emitted), len(given)
        end = begin + shape[0] * shape[1]
        links: Links = set()
        if len(given) > 1 and len(emitted):
            scores = found[begin:end].reshape(shape) * diagonal(len(given) - 1, len(emitted))
            links = {(int(i) - 1, j) for j, i in enumerate(scores.argmax(1)) if i}
        result.append(links)
        begin = end
    return result
