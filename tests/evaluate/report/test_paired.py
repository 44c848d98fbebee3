"""p values of differences between rows: those of a bootstrap written out by hand, in time that grows with the items."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.significance import SEED
from fairseq_xalign.evaluate.report.language_rows import SCORE, LanguageRow, LanguageTable
from fairseq_xalign.evaluate.report.paired import PairedTests, predictions_of
from tests.support.runs import result


def table(training="zero-shot"):
    return LanguageTable("classification", None, "accuracy", "en", training, SCORE, ["en", "de"], ["en", "de"], [])


def run(folder, name, right, seed=1, language="de", condition="zs", ids=None, gold="y"):
    """A run whose predictions are right where ``right`` is true."""
    folder.mkdir(exist_ok=True)
    lines = [
        {
            "id": str(number),
            "language": language,
            "task": "classification",
            "gold": gold,
            "prediction": gold if hit else "z",
        }
        for number, hit in zip(ids if ids is not None else range(len(right)), right)
    ]
    file = folder / f"{name}-{seed}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = {condition: {"accuracy": 100 * sum(map(int, right)) / len(lines)}}
    return result(name, pair="en-de", task="classification", seed=seed, scores=scores, path=str(folder / "result.json"),
                  settings={"predictions": {condition: file.name}})  # fmt: skip


def row(name, *runs):
    return LanguageRow(name, {}, runs=list(runs))


def reference(ours, theirs, samples):
    """The p value, from the definition: resample items, score each seed, average, compare with the observed one."""
    draws = np.random.default_rng(SEED).integers(len(ours[0]), size=(samples, len(ours[0])))
    first, second = (
        np.mean([100 * np.array(seed, float)[draws].mean(1) for seed in side], 0) for side in (ours, theirs)
    )
    observed = 100 * (np.mean(ours) - np.mean(theirs))
    differences = first - second
    extreme = np.abs(differences - differences.mean()) >= abs(observed) - 1e-9
    return (1 + extreme.sum()) / (samples + 1)


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 25), st.integers(1, 3), st.integers(1, 2))
def test_the_p_value_is_that_of_a_bootstrap_written_out(tmp_path_factory, data, items, seeds, base_seeds):
    folder = tmp_path_factory.mktemp("runs")
    answers = st.lists(st.booleans(), min_size=items, max_size=items)
    ours, theirs = ([data.draw(answers) for _ in range(count)] for count in (seeds, base_seeds))
    sides = [
        row(name, *(run(folder, name, right, seed) for seed, right in enumerate(rights)))
        for name, rights in (("weam", ours), ("mlm", theirs))
    ]
    assert PairedTests(200)(table(), *sides, "de") == pytest.approx(reference(ours, theirs, 200), abs=1e-12)


def test_items_are_paired_by_id_not_by_their_place_in_the_file(tmp_path):
    right = [True] * 6 + [False] * 4
    ours, theirs = run(tmp_path, "weam", right), run(tmp_path, "mlm", right[::-1], ids=range(9, -1, -1))
    assert PairedTests(200)(table(), row("weam", ours), row("mlm", theirs), "de") == 1.0


@pytest.mark.parametrize("changes", [{"ids": range(1, 5)}, {"gold": "n"}])
def test_rows_of_other_items_or_gold_labels_are_not_compared(tmp_path, changes):
    ours, theirs = run(tmp_path, "weam", [1, 0, 1, 1]), run(tmp_path, "mlm", [1, 0, 0, 1], **changes)
    with pytest.raises(UserError, match="predictions of weam and mlm in 'de' are of different items"):
        PairedTests(200)(table(), row("weam", ours), row("mlm", theirs), "de")


def test_the_condition_of_the_table_decides_which_predictions_are_read(tmp_path):
    zero_shot, supervised = run(tmp_path / "zs", "weam", [1, 0]), run(tmp_path / "sup", "weam", [1, 1], condition="sup")
    assert predictions_of(zero_shot, "zs").name == "weam-1.jsonl" and predictions_of(zero_shot, "sup") is None
    tests = PairedTests(200)
    assert tests(table("in-language"), row("weam", supervised), row("mlm", supervised), "de") == 1.0
    assert tests(table("in-language"), row("weam", zero_shot), row("mlm", zero_shot), "de") is None


def test_a_pair_of_rows_without_files_has_no_p_value_and_each_reason_is_told_once(tmp_path):
    there = run(tmp_path, "weam", [1, 0])
    gone = replace(there, settings={"predictions": {"zs": "gone.jsonl"}})
    silent = replace(there, settings={})
    tests = PairedTests(200)
    for other in (gone, silent, gone):
        assert tests(table(), row("weam", there), row("mlm", other), "de") is None
    assert list(tests.untested) == [
        f"{tmp_path}/gone.jsonl is no longer there",
        "mlm records no predictions (`result` does so since version 0.3.0)",
    ]


def test_a_language_that_the_predictions_do_not_have_is_an_error_with_the_file(tmp_path):
    ours = run(tmp_path, "weam", [1, 0], language="fr")
    with pytest.raises(UserError, match="has no predictions in 'de'"):
        PairedTests(200)(table(), row("weam", ours), row("mlm", ours), "de")


def test_the_time_of_a_test_grows_with_the_items_not_with_their_square(tmp_path):
    right = np.arange(20_000) % 3 > 0
    ours, theirs = run(tmp_path, "weam", right), run(tmp_path, "mlm", ~right)
    tests = PairedTests(1)  # what is timed is the matching of items
    start = time.process_time()
    assert tests(table(), row("weam", ours), row("mlm", theirs), "de") is not None
    assert time.process_time() - start < 10
