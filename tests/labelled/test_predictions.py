"""Which prediction belongs to which gold label: what differs is refused, and nothing is scored twice or lost."""

import gzip
import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.labelled.predictions import read_items, set_of


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def folder(path, *rows):
    path.mkdir()
    labels = {"format": 1, "task": "classification", "labels": ["a", "b"], "name": "classification"}
    (path / "labels.json").write_text(json.dumps(labels), "utf-8")
    return write(path / "test.en.jsonl", *rows)


def test_gold_labels_of_another_text_are_refused_though_their_ids_are_the_same(tmp_path):
    predictions = write(tmp_path / "p.jsonl", {"id": "1", "language": "en", "text": "good film", "prediction": "a"})
    gold = write(tmp_path / "g.jsonl", {"id": "1", "text": "bad film", "label": "a"})
    with pytest.raises(UserError, match=r"p\.jsonl:1: the text 'good film', but .*g\.jsonl:1 has 'bad film'"):
        read_items("classification", predictions, gold)
    pair = {"id": "1", "text": "x", "text_pair": "y", "prediction": "a"}
    gold = write(tmp_path / "pairs.jsonl", {"id": "1", "text": "x", "text_pair": "z", "label": "a"})
    with pytest.raises(UserError, match="the text pair 'y'"):
        read_items("pairs", write(tmp_path / "q.jsonl", pair), gold)


def test_a_table_of_predictions_with_other_texts_is_refused(tmp_path):
    (tmp_path / "gold.tsv").write_text("label\ttext\na\tone\nb\ttwo\n", "utf-8")
    (tmp_path / "predicted.tsv").write_text("a\tone\nb\tother\n", "utf-8")
    with pytest.raises(UserError, match=r"predicted\.tsv:2: the text 'other', but .*gold\.tsv:3 has 'two'"):
        read_items("classification", tmp_path / "predicted.tsv", tmp_path / "gold.tsv")


def test_gold_labels_without_ids_have_those_that_predict_makes(tmp_path):
    gold = folder(tmp_path / "lab", *({"text": t, "label": "ab"[t != "one"]} for t in ("one", "two", "three")))
    made = [("en:2", "three", "b"), ("en:1", "two", "b"), ("en:0", "one", "a")]
    rows = [{"id": name, "language": "en", "text": text, "prediction": label} for name, text, label in made]
    items = read_items("classification", write(tmp_path / "p.jsonl", *rows), gold)
    assert [item.gold == item.prediction for item in items] == [True] * 3


def test_a_line_without_an_id_is_never_taken_for_another_whose_id_is_its_number(tmp_path):
    gold = write(tmp_path / "g.jsonl", {"id": "2", "label": "a"}, {"label": "b"})
    predictions = write(tmp_path / "p.jsonl", {"id": "2", "prediction": "a"})
    with pytest.raises(UserError, match=r"g\.jsonl:2: id '2' is also that of line 1"):
        read_items("classification", predictions, gold)


def test_two_lines_of_one_id_are_one_item_too_many_when_one_of_them_says_its_language(tmp_path):
    rows = [{"id": "1", "prediction": "a", "gold": "a"}, {"id": "1", "language": "en", "prediction": "a", "gold": "a"}]
    with pytest.raises(UserError, match="id '1' is also that of line 1"):
        read_items("classification", write(tmp_path / "p.jsonl", *rows), language="en")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("language", ["en"], '"language" must be a text'), ("tokens", "ab", '"tokens" must be a list')],
)
def test_values_of_the_wrong_type_are_refused(tmp_path, key, value, message):
    with pytest.raises(UserError, match=message):
        read_items("pos", write(tmp_path / "p.jsonl", {"id": "1", "prediction": ["X"], "gold": ["X"], key: value}))


def test_a_set_that_is_no_name_is_none(tmp_path):
    row = {"id": "1", "prediction": "a", "gold": "a"}
    assert set_of("classification", write(tmp_path / "p.jsonl", row | {"set": ["pos"]})) is None
    assert set_of("classification", write(tmp_path / "q.jsonl", row | {"set": "xsid"})) == "xsid"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "text": "cat \\ud83d", "prediction": "x", "gold": "x"}', ":1: \\ud83d is half a character"),
        ('{"a":' * 100000, ":1: not valid JSON: too many brackets within brackets"),
        ('{"id": ' + "1" * 5000 + "}", ":1: a whole number of thousands of digits"),
    ],
    ids=["surrogate", "depth", "digits"],
)
def test_json_that_cannot_be_used_is_refused_with_its_line(tmp_path, capsys, text, message):
    (tmp_path / "p.jsonl").write_text(text + "\n", "utf-8")
    assert main(["score", "--task", "classification", "--predictions", str(tmp_path / "p.jsonl")]) == 1
    assert message in capsys.readouterr().err


def test_a_whole_emoji_written_as_two_halves_is_a_character(tmp_path):
    row = '{"id": "a", "text": "cat \\ud83d\\ude00", "prediction": "x", "gold": "x"}\n'
    (tmp_path / "p.jsonl").write_text(row, "utf-8")
    assert len(read_items("classification", tmp_path / "p.jsonl")) == 1


def test_an_answer_that_is_null_is_refused_as_an_answer(tmp_path, capsys):
    question = {"id": "1", "question": "q", "answers": [{"text": "cat", "answer_start": 0}]}
    gold = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "cat", "qas": [question]}]}]}
    (tmp_path / "test.en.json").write_text(json.dumps(gold), "utf-8")
    (tmp_path / "p.json").write_text('{"2": "cat", "1": null}', "utf-8")
    arguments = ["--predictions", str(tmp_path / "p.json"), "--gold", str(tmp_path / "test.en.json")]
    assert main(["score", "--task", "qa", *arguments]) == 1
    assert "the answer to '1' must be a text, not NoneType" in capsys.readouterr().err


def test_answers_of_a_language_are_normalised_whatever_code_it_has(tmp_path):
    rows = [
        {"id": "1", "language": language, "prediction": predicted, "gold": [gold]}
        for languages, predicted, gold in (
            (("zh", "zho_Hans", "cmn"), "北京市", "北京"),
            (("en", "eng_Latn", "eng"), "the cat", "cat"),
        )
        for language in languages
    ]
    from fairseq_xalign.evaluate.commands.score import score

    found = score("qa", write(tmp_path / "p.jsonl", *rows), bootstrap=0)["scores"]
    assert [round(found[name]["f1"]) for name in ("zh", "zho_Hans", "cmn")] == [80] * 3
    assert [found[name]["exact_match"] for name in ("en", "eng_Latn", "eng")] == [100] * 3


@pytest.mark.parametrize(
    ("name", "language", "f1"),
    [
        ("test.en.json", "en", 100),
        ("xquad.en.json.gz", "en", 100),
        ("test-context-en-question-de.json", "en-de", 100),
        ("test-context-de-question-en.json", "de-en", 67),
        ("squad.dev.json", "all", 67),
        ("gold.json", "all", 67),
    ],
)
def test_answers_are_normalised_by_the_language_in_the_name_of_the_gold_file(tmp_path, capsys, name, language, f1):
    asked = {"id": "1", "question": "Q?", "answers": [{"text": "cat", "answer_start": 4}]}
    squad = json.dumps({"data": [{"paragraphs": [{"context": "The cat sat", "qas": [asked]}]}]}).encode()
    (tmp_path / name).write_bytes(gzip.compress(squad) if name.endswith(".gz") else squad)
    (tmp_path / "answers.json").write_text('{"1": "the cat"}', "utf-8")
    files = ["--predictions", str(tmp_path / "answers.json"), "--gold", str(tmp_path / name)]
    assert main(["score", "--task", "qa", *files, "--bootstrap", "0", "--json"]) == 0
    found = capsys.readouterr()
    assert {key: round(of["f1"]) for key, of in json.loads(found.out)["scores"].items()} == {language: f1}
    said = (
        "no language is known: no articles are left out" if language == "all" else f"are normalised as {language}, by"
    )
    assert f"{tmp_path / name}: " in found.err and said in found.err
    assert main(["score", "--task", "qa", *files, "--bootstrap", "0", "--json", "--language", "es"]) == 0
    found = capsys.readouterr()
    assert list(json.loads(found.out)["scores"]) == ["es"] and "normalised" not in found.err


def test_predictions_that_name_no_language_are_said_to_be_scored_without_one(tmp_path, capsys):
    lines = write(tmp_path / "p.jsonl", {"id": "1", "prediction": "the cat", "gold": ["cat"]})
    assert main(["score", "--task", "qa", "--predictions", str(lines), "--bootstrap", "0"]) == 0
    assert "p.jsonl: no language is known" in capsys.readouterr().err
    lines = write(tmp_path / "p.jsonl", {"id": "1", "prediction": "a", "gold": "a"})
    assert main(["score", "--task", "classification", "--predictions", str(lines), "--bootstrap", "0"]) == 0
    assert "language" not in capsys.readouterr().err, "only the scores of answers depend on it"


def test_predict_does_not_replace_a_file_of_the_folder_that_it_reads(tmp_path, capsys):
    gold = folder(tmp_path / "lab", {"text": "one", "label": "a"})
    before = gold.read_bytes()
    arguments = ["--checkpoint", "nowhere.pt", "--data", str(tmp_path / "lab"), "--output", str(gold)]
    assert main(["predict", *arguments]) == 1
    assert "is read by this command, which would replace it" in capsys.readouterr().err
    assert gold.read_bytes() == before
