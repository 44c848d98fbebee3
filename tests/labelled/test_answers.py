"""Files of questions and of predicted answers: places are corrected or counted, and scores are the official ones."""

import json
from collections import Counter

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled import answers
from fairseq_xalign.labelled.folder import LabelledFolder
from fairseq_xalign.labelled.predictions import read_items
from preprocess.__main__ import main as preprocess


def squad(path, *questions, context="The bridge is old. The bridge was built in 1987."):
    qas = [{"id": name, "question": "Q?", "answers": [{"text": t, "answer_start": s} for t, s in found]}
           for name, *found in questions]  # fmt: skip
    path.write_text(
        json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]})
    )
    return path


def test_answers_that_are_not_where_the_file_says_are_found_or_counted(tmp_path):
    counts = Counter()
    file = squad(
        tmp_path / "train.en.json",
        ("1", ("1987", 43)),
        ("2", ("1987", 3)),
        ("3", ("bridge", 9)),
        ("4",),
        ("5", ("x y", 0)),
    )
    found = {r.row["id"]: r.row["answers"][0]["answer_start"] for r in answers.rows(file, counts)}
    assert found == {"1": 43, "2": 43, "3": None, "5": None}
    assert counts == {
        "answers at another place than their answer_start, which was corrected": 1,
        "answers that are not in their context, scored but not learned from": 2,
        "questions without an answer left out": 1,
    }


def test_a_folder_is_made_of_squad_files_and_its_predictions_are_scored(tmp_path, capsys):
    gold = squad(tmp_path / "test.de.json", ("1", ("1987", 43)), ("2", ("bridge", 4)))
    assert preprocess(["benchmark", "qa", "--from", str(tmp_path), "--output", str(tmp_path / "QA")]) == 0
    rows = list(LabelledFolder.open(tmp_path / "QA").rows("test", "de", known_labels=True))
    assert [r["id"] for r in rows] == ["1", "2"]
    own = tmp_path / "predictions.json"
    own.write_text(json.dumps({"2": "die bridge", "1": "in 1987"}))
    lines = tmp_path / "lines.jsonl"
    lines.write_text(
        "".join(
            json.dumps(
                {
                    "id": r["id"],
                    "language": "de",
                    "task": "qa",
                    "prediction": p,
                    "gold": [a["text"] for a in r["answers"]],
                }
            )
            + "\n"
            for r, p in zip(rows, ("in 1987", "die bridge"))
        )
    )
    by_gold = [read_items("qa", own, gold, "de"), read_items("qa", own, tmp_path / "QA" / "test.de.jsonl", "de"),
               read_items("qa", lines, gold), read_items("qa", lines)]  # fmt: skip
    for items in by_gold:
        assert sorted((i.id, i.gold.texts, i.gold.language, i.prediction) for i in items) == [
            ("1", ("1987",), "de", "in 1987"),
            ("2", ("bridge",), "de", "die bridge"),
        ]
    with pytest.raises(UserError, match="'3' is not in"):
        own.write_text(json.dumps({"2": "x", "1": "x", "3": "x"}))
        read_items("qa", own, gold, "de")
    with pytest.raises(UserError, match="no prediction for 1 item of"):
        own.write_text(json.dumps({"2": "x"}))
        read_items("qa", own, gold, "de")
    with pytest.raises(UserError, match="must be a text, not int"):
        own.write_text(json.dumps({"2": 7, "data": 1}))
        read_items("qa", own, gold, "de")
