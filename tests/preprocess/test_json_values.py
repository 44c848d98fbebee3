"""Values of JSON that are of another type than the publisher's: an error with file and line, never a traceback."""

import json
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from preprocess.__main__ import main as preprocess
from preprocess.corpora.bitext import _json_pairs
from preprocess.derive import manifest
from preprocess.derive.order_model import OrderModel
from preprocess.pairs import wikidata

MASSIVE = {"id": "1", "partition": "test", "utt": "a", "intent": "x"}
INDONLI = {"pair_id": 1, "premise": "a", "hypothesis": "b", "label": "n"}
MULTINLI = {"pairID": "1", "sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
READ = (
    ("massive", "en-US.jsonl", MASSIVE),
    ("indonli", "val.jsonl", INDONLI),
    ("multinli", "multinli_1.0_train.jsonl", MULTINLI),
)
VALUES = (5, None, True, ["a"], {"a": 1}, 1.5)


def refused(name, root, file, text, capsys):
    (root / "in").mkdir(exist_ok=True)
    (root / "in" / file).write_text(text, "utf-8")
    assert preprocess(["benchmark", name, "--from", str(root / "in"), "--output", str(root / "M")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error and not (root / "M").exists()
    return error


@pytest.mark.parametrize(
    ("name", "file", "row", "key"), [(name, file, row, key) for name, file, row in READ for key in row]
)
def test_every_value_of_every_key_is_read_or_refused_with_its_line(name, file, row, key, tmp_path, capsys):
    naming = key in ("id", "pair_id", "pairID")
    for value in VALUES:
        if naming and value == 5:
            continue  # a whole number names an example as well as a text does
        line = json.dumps({**row, key: value}) + "\n"
        error = refused(name, tmp_path, file, json.dumps(row) + "\n" + line, capsys)
        wanted = "a text or a whole number" if naming else "a text"
        assert f"{file}:2: '{key}' must be {wanted}, not {value!r}" in error
    del (other := dict(row))[key]
    error = refused(name, tmp_path, file, json.dumps(other) + "\n", capsys)
    assert f"{file}:1: no '{key}'" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["a"]\n', "val.jsonl:1: each entry of the list must be an object, not 'a'"),
        ('[\n{"pair_id": 1, "premise": "a", "hypothesis": "b", "label": "n"},\n 7]\n', "val.jsonl:3: each entry of "),
        ('[\n{"pair_id": 1,\n"premise": "a"}]\n', "val.jsonl:2: no 'hypothesis'"),
        ("[1,\n}\n", "val.jsonl:2: not valid JSON"),
        ('"a"\n', "val.jsonl:1: neither lines of JSON objects nor one list of them"),
        ('[{"a": 1, "a": 2}]\n', "val.jsonl: an object has the key 'a' twice"),
    ],
)
def test_a_list_names_the_line_on_which_an_object_of_it_begins(text, message, tmp_path, capsys):
    assert message in refused("indonli", tmp_path, "val.jsonl", text, capsys)


def test_the_labels_of_multinli_beside_its_translations_must_be_texts(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "multinli.train.de.tsv").write_text("premise\thypo\tlabel\na\tb\tneutral\n", "utf-8")
    text = json.dumps({**MULTINLI, "gold_label": 3}) + "\n"
    error = refused("xnli", tmp_path, "multinli_1.0_train.jsonl", text, capsys)
    assert "multinli_1.0_train.jsonl:1: 'gold_label' must be a text, not 3" in error


@pytest.mark.parametrize("value", VALUES)
def test_a_side_of_translation2019zh_that_is_no_text_is_no_text_of_its_name(value):
    lines = [b'{"english": "a", "chinese": "b"}\n', json.dumps({"english": "a", "chinese": value}).encode()]
    pairs = _json_pairs(lines, "zip:json")
    assert next(pairs) == ("a", "b")
    with pytest.raises(UserError, match="zip:json:2: not a pair of translation2019zh: 'chinese' must be a text"):
        next(pairs)


@pytest.mark.parametrize("part", [{}, {"value": 5}, 7, ["value"]])
def test_an_item_of_wikidata_of_another_form_is_named(part):
    names = {language: {"value": "a"} for language in ("en", "hi")}
    item = {"labels": names, "descriptions": {**names, "hi": part}}
    with pytest.raises(UserError, match=r"dump\.json:4: not an item of a JSON dump of Wikidata"):
        wikidata.parse(None, [(4, json.dumps(item).encode())], (("en", "hi"),), "dump.json")


QA = {"id": "q1", "question": "a?", "answers": [{"text": "b", "answer_start": 0}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "'id' must be a text or a whole number, not None"),
        ({"question": 5}, "the question 'q1' has no text: 5"),
        ({"answers": [{"text": 5, "answer_start": 0}]}, "an answer to the question 'q1' is not a text and a number"),
        ({"answers": [{"text": "b", "answer_start": "0"}]}, "an answer to the question 'q1' is not a text and a num"),
        ({"answers": {"text": "b"}}, "the answers to the question 'q1' are no list"),
        ({"answers": ["b"]}, "an answer to the question 'q1' is not a text and a number"),
    ],
)
def test_a_question_of_another_form_is_named_by_its_id(change, message, tmp_path, capsys):
    document = {"data": [{"paragraphs": [{"context": "b c", "qas": [{**QA, **change}]}]}]}
    assert f"xquad.de.json: not SQuAD v1.1: {message}" in refused(
        "xquad", tmp_path, "xquad.de.json", json.dumps(document), capsys
    )


MODEL = {"format": 1, "kind": "order model", "max_dependents": 6, "subtypes": False, "about": {}, "weights": {}}


@pytest.mark.parametrize("key", ["max_dependents", "subtypes", "about"])
@pytest.mark.parametrize("value", ["x", None, []])
def test_a_model_of_orders_with_other_values_is_named(key, value, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({k: v for k, v in {**MODEL, key: value}.items() if v is not None}))
    with pytest.raises(UserError, match=rf"model\.json: '{key}' must be "):
        OrderModel.load(path)


RECORD = {
    "format": 1, "kind": "derived", "reverse": False, "transforms": ["inv"], "inv_split": "none", "data_format": "text",
    "seed": 1, "overlap": None, "output": {"sha256": "x"}, "subword_sha256": None,
}  # fmt: skip


@pytest.mark.parametrize("key", [key for key in RECORD if key not in ("format", "kind")])
def test_a_manifest_with_other_values_is_named(key, tmp_path):
    derived = Path(tmp_path / "text")
    derived.write_text("a\n")
    for value in ({1: 2}, [5], "absent"):
        record = {k: v for k, v in RECORD.items() if not (k == key and value == "absent")}
        record |= {} if value == "absent" else {key: value}
        (tmp_path / "text.manifest.json").write_text(json.dumps(record))
        with pytest.raises(UserError, match=rf"text\.manifest\.json: '{key}' must be "):
            manifest.read(derived)
