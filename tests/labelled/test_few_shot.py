"""Few-shot examples are drawn by a seed alone, without repetition, and repeated equally often."""

from __future__ import annotations

from collections import Counter

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.few_shot import FewShot
from fairseq_xalign.labelled.kind import Encoded, Example

ROWS = [{"id": f"r{i}"} for i in range(40)]


def ids(rows):
    return [row["id"] for row in rows]


def test_the_draw_is_a_function_of_seed_language_and_rows():
    drawn = ids(FewShot(5).draw(ROWS, "de", "f"))
    assert drawn == ids(FewShot(5, 77).draw(list(ROWS), "de", "g"))
    assert len(set(drawn)) == 5 and drawn == sorted(drawn, key=lambda name: int(name[1:]))
    assert drawn != ids(FewShot(5, seed=2).draw(ROWS, "de", "f")) != ids(FewShot(5, seed=2).draw(ROWS, "fr", "f"))
    assert drawn == ["r0", "r5", "r21", "r22", "r38"], "published results name their examples by the seed"


def test_every_row_is_drawn_equally_often_over_seeds():
    counts = Counter(name for seed in range(2000) for name in ids(FewShot(10, seed=seed).draw(ROWS, "de", "f")))
    expected = 2000 * 10 / 40
    assert sum((counts[row["id"]] - expected) ** 2 / (expected * 0.75) for row in ROWS) < 66  # chi-square, 39 df, 0.4 %


def test_all_rows_may_be_drawn_and_more_are_refused():
    assert FewShot(40).draw(ROWS, "de", "f") == ROWS
    with pytest.raises(UserError, match="train.de.jsonl: 40 rows, fewer than --few-shot-examples 41"):
        FewShot(41).draw(ROWS, "de", "train.de.jsonl")


def test_ten_examples_become_a_thousand_a_hundred_times_each():
    encoded = Encoded("de", [Example([i], [], [0], i) for i in range(10)])
    assert Counter(e.row for e in FewShot().repeated(encoded).examples) == dict.fromkeys(range(10), 100)


def test_a_row_in_several_sequences_is_repeated_as_a_whole_and_a_remainder_goes_to_the_first():
    encoded = Encoded("de", [Example([5], [], [0], 0), Example([6], [], [0], 0), Example([7], [], [0], 1)], cut=3)
    repeated = FewShot(2, 5).repeated(encoded)
    assert [e.ids[0] for e in repeated.examples] == [5, 6, 7, 5, 6, 7, 5, 6] and repeated.cut == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [((0, 10), "--few-shot-examples 0 is too small"), ((10, 9), "--few-shot-upsample 9 is below --few-shot-examples")],
)
def test_numbers_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        FewShot(*settings).check()
