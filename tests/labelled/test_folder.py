"""A labelled folder is checked where it enters: whatever `score` would refuse is refused with file and line."""

import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.folder import LabelledFolder

LABELS = {"pos": ["NOUN", "VERB"], "ner": ["B-PER", "I-PER", "O"], "classification": ["no", "yes"]}


def folder(path, name, *rows, **changes):
    kind = "classification" if name == "classification" else "tagging"
    description = {"format": 1, "task": kind, "labels": LABELS[name], "name": name} | changes
    (path / "labels.json").write_text(json.dumps(description), "utf-8")
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (path / "test.en.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return path


def tagged(tokens, tags, **fields):
    return {"tokens": tokens, "tags": tags} | fields


GOOD = tagged(["a"], ["NOUN"], id="1")
# task, second row, what the message says
FAULTS = [
    ("pos", GOOD, "id '1' is already in line 1"),
    ("pos", GOOD | {"id": 1}, "id '1' is already in line 1"),
    ("pos", GOOD | {"id": ["x"]}, "must be a text or a whole number, not ['x']"),
    ("pos", GOOD | {"id": ""}, "must be a text or a whole number, not ''"),
    ("pos", GOOD | {"id": True}, "must be a text or a whole number, not True"),
    ("pos", tagged(["a", "b"], ["NOUN"]), "2 tokens, 1 tags"),
    ("pos", tagged(["a"], [""]), '"tags" must be a list of strings, none of them empty'),
    ("pos", tagged(["a"], [7]), '"tags" must be a list of strings'),
    ("pos", tagged(["a"], "N"), '"tags" must be a list of strings'),
    ("pos", tagged("ab", ["NOUN", "VERB"]), '"tokens" must be a list of strings'),
    ("pos", {"tokens": ["a"]}, "no 'tags'"),
    ("pos", "[1]", "each line must be a JSON object"),
    ("pos", '{"tokens"', "not valid JSON"),
    ("ner", tagged(["a"], ["NOUN"]), "tag 'NOUN' (number 1 of its tags) is not an IOB2 tag"),
    ("classification", {"text": "a", "label": 1}, '"label" must be a string, not int'),
    ("classification", {"text": "a", "label": " "}, "an empty label"),
    ("classification", {"text": ["a"], "label": "yes"}, '"text" must be a string, not list'),
    ("classification", {"label": "yes"}, "no 'text'"),
]


@pytest.mark.parametrize(("task", "row", "message"), FAULTS)
def test_what_score_would_refuse_is_refused_with_file_and_line(tmp_path, task, row, message):
    first = {"id": "1", "text": "a", "label": "yes"} if task == "classification" else GOOD
    first = tagged(["a"], ["O"], id="1") if task == "ner" else first
    with pytest.raises(UserError) as caught:
        list(LabelledFolder.open(folder(tmp_path, task, first, row)).rows("test", "en"))
    assert message in str(caught.value) and caught.value.remedy
    assert (caught.value.where, caught.value.line) == (tmp_path / "test.en.jsonl", 2)


def test_an_example_without_an_id_gets_one_from_its_number(tmp_path):
    rows = [tagged(["a"], ["NOUN"]), tagged(["\u00a0"], ["VERB"], id=None), tagged(["c"], ["VERB"], id=7)]
    found = list(LabelledFolder.open(folder(tmp_path, "pos", *rows)).rows("test", "en"))
    assert [row["id"] for row in found] == ["en:0", "en:1", "7"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "not a labels file of this version"),
        ({"labels": [1, 2]}, '"labels" must be a list of names'),
        ({"labels": "NOUN"}, '"labels" must be a list of names'),
        ({"labels": ["NOUN", ""]}, '"labels" must be a list of names'),
        ({"labels": ["NOUN", "VERB", "NOUN"]}, "label 'NOUN' is listed twice"),
        ({"task": "parsing"}, "not a labels file of this version"),
        ({"format": 2}, "not a labels file of this version"),
    ],
)
def test_a_damaged_list_of_labels_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError) as caught:
        LabelledFolder.open(folder(tmp_path, "pos", GOOD, **changes))
    assert message in str(caught.value) and str(caught.value.where) == str(tmp_path / "labels.json")
