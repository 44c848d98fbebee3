"""Parallel text as numbers: every pair of words that meets has one number, whatever is sorted at once."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairseq_xalign.data.words import space_words
from preprocess.aligners import numbered_text
from preprocess.aligners.numbered_text import number_text
from tests.support.made_up import parallel
from tests.support.samples import write_lines


def written(folder, pairs):
    return tuple(str(write_lines(folder / f"text{side}", [pair[side] for pair in pairs])) for side in (0, 1))


@pytest.mark.parametrize(("held", "threads"), [(1 << 21, 1), (64, 1), (64, 2)])
@pytest.mark.parametrize("packed", [True, False])
def test_every_pair_of_words_has_one_number(tmp_path, monkeypatch, held, threads, packed):
    monkeypatch.setattr(numbered_text, "SORTED", held)
    monkeypatch.setattr(numbered_text, "CHUNK", 50)
    if not packed:  # what the numbers of very many words leave no room for
        monkeypatch.setattr(numbered_text, "BITS", 0)
    texts = parallel(tmp_path, 60)
    text = number_text(texts, "space", str(tmp_path), threads)
    lines = [[space_words(line) for line in Path(path).read_text().lower().splitlines()] for path in texts]
    seen = {}
    for chunk in text.chunks:
        ids = text.ids_of(chunk)
        assert ids.shape == chunk.shape
        for place, line in enumerate(text.order[chunk.first : chunk.last]):
            for t, target in enumerate(lines[1][line]):
                for s, source in enumerate(lines[0][line]):
                    number = int(ids[place, t, s])
                    assert seen.setdefault(number, (source, target)) == (source, target)
    assert len(set(seen.values())) == len(seen) == len(text.pairs[0])
    keys = list(zip(text.pairs[0].tolist(), text.pairs[1].tolist()))
    assert keys == sorted(set(keys))
    assert text.cells == sum(len(one) * len(other) for one, other in zip(*lines))


def test_frequent_words_come_first_and_ties_as_they_occur(tmp_path):
    text = number_text(written(tmp_path, [("b a A", "x"), ("c", "y y")]), "space", str(tmp_path), 1)
    assert text.words == (3, 2)
    assert [tokens.tolist() for tokens in text.tokens] == [[1, 0, 0, 2], [1, 0, 0]]


def test_only_pairs_with_words_on_both_sides_are_used_and_too_long_ones_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(numbered_text, "LONGEST", 6)
    pairs = [("a b", "x"), ("", "y"), ("c", ""), ("a a a", "x y z"), ("  ", "\t"), ("a b c", "x y")]
    text = number_text(written(tmp_path, pairs), "space", str(tmp_path), 1)
    assert text.order.tolist() == [0, 5] and text.too_long == 1
    assert Counter(text.lengths[0].tolist()) == Counter([2, 0, 1, 3, 0, 3])


def test_a_text_without_any_pair_has_no_cells(tmp_path):
    text = number_text(written(tmp_path, [("", ""), ("a", "")]), "space", str(tmp_path), 1)
    assert text.cells == 0 and text.chunks == [] and len(text.pairs[0]) == 0
    assert np.array_equal(text.starts[0], [0, 0, 1])
