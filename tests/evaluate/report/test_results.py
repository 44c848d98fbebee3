"""The schema of result.json: what is written reads back, what does not fit is named."""

import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report import results
from tests.support.runs import grid, result


def test_a_written_result_reads_back_equal(tmp_path):
    written = result(settings={"updates": 10})
    results.write(tmp_path, written)
    assert results.read(tmp_path / "result.json") == written
    assert json.loads((tmp_path / "result.json").read_text())["format"] == 1


def test_the_transfer_gap_is_sup_minus_zs_or_nothing():
    assert result(sup=95.0, zs=92.0).delta("accuracy") == pytest.approx(3.0)
    assert result().delta("macro_f1") is None
    assert result(scores={"sup": {"accuracy": 1.0}}).delta("accuracy") is None


def base():
    return {"format": 1, "objective": "mlm", "pair": "en-de", "transform": "natural", "task": "pos", "seed": 1} | {
        "scores": {"zs": {"accuracy": 50.0}}
    }


def test_what_is_optional_may_be_missing_or_null():
    found = results.validate(base() | {"dictionary": None, "retrieval": None, "alignment": {}})
    assert (found.dictionary, found.retrieval, found.alignment) == (None, None, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, '"format" is 2'),
        ({"objectve": "mlm"}, "Did you mean 'objective'"),
        ({"objective": ""}, '"objective" must be a text'),
        ({"task": "parsing"}, "unknown task 'parsing'"),
        ({"seed": "1"}, '"seed" must be a whole number'),
        ({"seed": True}, '"seed" must be a whole number'),
        ({"dictionary": 25}, '"dictionary" must be a text or null'),
        ({"scores": {}}, '"scores" must hold at least one'),
        ({"scores": {"test": {"accuracy": 1.0}}}, "unknown name in \"scores\" 'test'"),
        ({"scores": {"zs": 50.0}}, "must be an object of name and number"),
        ({"scores": {"zs": {"accuracy": "50"}}}, "\"scores.zs.accuracy\" is '50', not a number"),
        ({"scores": {"zs": {"accuracy": 120.0}}}, "not a per cent"),
        ({"alignment": {"all": -1}}, "not a per cent"),
        ({"retrieval": "high"}, "not a number"),
        ({"alignment": []}, '"alignment" must be an object'),
        ({"settings": [1]}, '"settings" must be an object'),
        ({"settings": "x"}, '"settings" must be an object'),
        ({"settings": {"alpha": [1]}}, '"settings.alpha" is [1], not a finite number'),
        ({"settings": {"benchmark": ["ud"]}}, "\"settings.benchmark\" is ['ud'], neither a number nor a text"),
        ({"settings": {"overlap": 1.5}}, '"settings.overlap" is 1.5, not a share from 0 to 1'),
        ({"settings": {"parts": {"rates": [1, float("nan")]}}}, '"settings.parts" is '),
        ({"settings": {"alpha": float("nan")}}, '"settings.alpha" is nan'),
        ({"settings": {"clip": float("inf")}}, '"settings.clip" is inf'),
        ({"signature": [1]}, '"signature" must be a text'),
        ({"signature": 5}, '"signature" must be a text'),
        ({"signature": {"accuracy": 5}}, '"signature" must be a text'),
    ],
)
def test_what_does_not_fit_the_schema_is_named(changes, message):
    with pytest.raises(UserError) as caught:
        results.validate(base() | changes, "run/result.json")
    assert message in str(caught.value) and "run/result.json" in str(caught.value)


def test_runs_are_found_at_any_depth_and_counted_once(tmp_path):
    grid(tmp_path / "a")
    found = results.read_runs([tmp_path, tmp_path / "a", next((tmp_path / "a").iterdir()) / "result.json"])
    assert len(found) == 10


def test_a_copy_of_a_run_is_refused(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        results.write(tmp_path / name, result())
    with pytest.raises(UserError, match="the same run as"):
        results.read_runs([tmp_path])


def test_a_folder_without_results_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no result\.json in it"):
        results.read_runs([tmp_path])
    with pytest.raises(UserError, match="no such file or folder"):
        results.read_runs([tmp_path / "missing"])


def test_a_bad_result_is_not_written(tmp_path):
    with pytest.raises(UserError, match="not a per cent"):
        results.write(tmp_path, result(retrieval=1000.0))
    assert list(tmp_path.iterdir()) == []
