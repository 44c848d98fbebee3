"""Scores of translations: averages by hand, baselines beside them, and files that are checked when they are read."""

import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.translations import (
    Translations,
    averages,
    check_same_test_set,
    is_translations,
    merged,
    read_translations,
    translations_text,
)


def entry(bleu, pairs=None, **changes):
    figures = {"chrf": 2 * bleu, "off_target": 1.0, "unknown": 0.0, "repetition": 0.0, "copies": None}
    return {"sentences": 100, "pairs": pairs, "bleu": bleu, **figures, "references_sha256": "r", **changes}


DIRECTIONS = {
    "en-de": entry(30.0, 2_000_000),
    "de-en": entry(40.0, 2_000_000),
    "en-sw": entry(10.0, 35_000, off_target=None),
    "sw-en": entry(20.0, 35_000),
    "de-sw": entry(5.0),
}


def test_averages_are_unweighted_means_over_the_directions_of_a_group():
    found = averages(DIRECTIONS, 1_000_000)
    assert {name: (group["directions"], group["bleu"]) for name, group in found.items()} == {
        "all": (5, 21.0),
        "into English": (2, 30.0),
        "out of English": (2, 20.0),
        "without English": (1, 5.0),
        "high resource": (2, 35.0),
        "low resource": (2, 15.0),
    }
    assert found["all"]["off_target"] == 1.0 and found["all"]["copies"] is None
    assert found["high resource"]["chrf"] == 70.0


@pytest.mark.parametrize(("threshold", "high"), [(35_000, 4), (35_001, 2), (3_000_000, 0)])
def test_the_threshold_separates_high_from_low_resource(threshold, high):
    found = averages(DIRECTIONS, threshold)
    assert found.get("high resource", {"directions": 0})["directions"] == high


def test_the_ratio_of_lengths_is_shown_and_averaged_with_two_decimals():
    directions = {"en-de": entry(30.0, length_ratio=0.914), "de-en": entry(40.0, length_ratio=1.0)}
    rows = [line.split("  ") for line in translations_text(Translations("a", directions)).splitlines()]
    cells = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert cells["direction"][3] == "length ratio"
    assert cells["en-de"][1:4] == ["30.0", "60.0", "0.91"] and cells["average, all (2)"][:3] == ["35.0", "70.0", "0.96"]


def test_codes_of_three_letters_are_english_too():
    assert set(averages({"eng-deu": entry(1.0), "deu-eng_Latn": entry(2.0)}, 1)) == {
        "all", "into English", "out of English"
    }  # fmt: skip


def test_a_baseline_stands_beside_the_directions_that_it_has():
    ours = Translations("ours", DIRECTIONS)
    theirs = merged([Translations("a", {"en-de": entry(31.5)}), Translations("b", {"sw-en": entry(17.0)})])
    rows = [line.split("  ") for line in translations_text(ours, theirs).splitlines()]
    cells = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert cells["direction"][-2:] == ["baseline BLEU", "difference"]
    assert cells["en-de"][-2:] == ["31.5", "-1.5"] and cells["sw-en"][-2:] == ["17.0", "+3.0"]
    assert cells["de-en"][-2:] == ["–", "–"]
    assert cells["average, all (5)"][-2:] == ["24.2", "0.8"]  # (31.5 + 17) / 2 and (-1.5 + 3) / 2
    assert cells["average, high resource (2)"][-2:] == ["31.5", "-1.5"]
    assert cells["average, without English (1)"][-2:] == ["–", "–"]
    assert "high resource: at least 1,000,000 training pairs" in translations_text(ours)


def test_two_baselines_of_one_direction_are_refused():
    with pytest.raises(UserError, match="en-de is in a.json too"):
        merged([Translations("a", {"en-de": entry(1.0)}, path="a.json"), Translations("b", {"en-de": entry(2.0)})])
    assert merged([]) is None


def test_scores_on_other_references_are_not_compared():
    ours, other = Translations("a", DIRECTIONS), Translations("b", {"en-de": entry(3.0, references_sha256="s")})
    check_same_test_set(ours, Translations("b", {"en-de": entry(3.0), "fr-en": entry(1.0, references_sha256="s")}))
    with pytest.raises(UserError, match="en-de: scored against other references"):
        check_same_test_set(ours, other)


def test_what_is_written_is_read_back(tmp_path):
    ours = Translations("ours", DIRECTIONS, {"beam": 4}, averages(DIRECTIONS, 1), 1)
    (tmp_path / "bleu.json").write_text(json.dumps(ours.record()))
    assert read_translations(tmp_path) == ours == read_translations(tmp_path / "bleu.json")
    assert is_translations(tmp_path) and is_translations(tmp_path / "bleu.json")
    assert not is_translations(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "labels"}, "not the scores of translations"),
        ({"format": 2}, '"format" is 2, not 1'),
        ({"directions": {"en-de": {"bleu": "high", "chrf": 1}}}, 'damaged: "directions"'),
        ({"directions": {"en-de": {"bleu": 1.0, "chrf": float("nan")}}}, 'damaged: "directions"'),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, change, message):
    (tmp_path / "bleu.json").write_text(json.dumps(Translations("a", DIRECTIONS).record() | change))
    with pytest.raises(UserError, match=message):
        read_translations(tmp_path)
    with pytest.raises(UserError, match=r"no bleu.json there"):
        read_translations(tmp_path / "nowhere")
