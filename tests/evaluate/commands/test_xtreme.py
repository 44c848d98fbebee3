"""``xtreme``: the folder that XTREME's evaluate.py reads, with the scores that it computes."""

import json

import pytest
import seqeval.metrics

from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.xtreme import TASKS, Written
from fairseq_xalign.files import read_lines
from tests.support.public_data import public_files

GOLD = [["B-PER", "I-PER", "O"], ["O", "B-LOC"]]
GUESS = [["B-PER", "I-PER"], ["O", "B-ORG"]]


def predictions(path, *lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def submit(task, path, output):
    return main(["xtreme", "--task", task, "--predictions", str(path), "--output", str(output)])


def tag(language, number):
    return {"id": str(number), "language": language, "task": "ner", "prediction": GUESS[number], "gold": GOLD[number]}


def test_tags_are_one_per_line_and_a_cut_sentence_keeps_its_length(tmp_path, capsys):
    path = predictions(tmp_path / "p.jsonl", tag("de", 0), tag("de", 1), tag("en", 1))
    assert submit("panx", path, tmp_path / "out") == 0
    assert (tmp_path / "out/panx/test-en.tsv").read_text("utf-8") == "O\nB-ORG\n\n"
    text = (tmp_path / "out/panx/test-de.tsv").read_text("utf-8")
    assert text == "B-PER\nI-PER\nO\n\nO\nB-ORG\n\n"
    sentences = [block.split("\n") for block in text.strip("\n").split("\n\n")]
    assert [len(tags) for tags in sentences] == [len(tags) for tags in GOLD]
    out, said = capsys.readouterr()
    assert out == "panx de: 2 examples\npanx en: 1 examples\n"
    assert "1 without a prediction" in said and "no predictions for af ar bg bn el es" in said
    assert (
        main(["score", "--task", "ner", "--predictions", str(path), "--language", "de", "--bootstrap", "0", "--json"])
        == 0
    )
    ours = json.loads(capsys.readouterr().out)["scores"]["de"]["chunk_f1"]
    assert ours == pytest.approx(100 * seqeval.metrics.f1_score(GOLD, sentences))


def test_labels_are_one_per_line_and_answers_are_named_by_their_questions(tmp_path, capsys):
    pairs = [{"id": "1", "language": "sw", "task": "pairs", "prediction": p} for p in ("neutral", "entailment")]
    assert submit("xnli", predictions(tmp_path / "n", *pairs), tmp_path / "out") == 0
    answers = [
        {"id": "q1", "language": "zh", "task": "qa", "prediction": "北京"},
        {"id": "q2", "language": "zh", "task": "qa", "prediction": None},
    ]
    assert submit("mlqa", predictions(tmp_path / "q", *answers), tmp_path / "out") == 0
    assert (tmp_path / "out/xnli/test-sw.tsv").read_text("utf-8") == "neutral\nentailment\n"
    assert json.loads((tmp_path / "out/mlqa/test-zh.json").read_text("utf-8")) == {"q1": "北京", "q2": ""}
    assert "1 without a prediction" in capsys.readouterr().err
    assert submit("xnli", predictions(tmp_path / "n", pairs[0]), tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["mlqa", "xnli"], "the other task stays"


def test_tatoeba_has_the_line_found_for_each_english_sentence_in_xtremes_order(tmp_path):
    """XTREME sorts the English side; its own labels are then the lines of the originals in the other language."""
    english = ["Where?", "Come in.", "A dog.", "come"]
    found = [0, 1, 3, None]
    lines = [
        {"id": str(n), "language": "af", "task": "retrieval", "text": text, "prediction": row}
        for n, (text, row) in enumerate(zip(english, found))
    ]
    assert submit("tatoeba", predictions(tmp_path / "t", *lines), tmp_path / "out") == 0
    assert (tmp_path / "out/tatoeba/test-af.tsv").read_text("utf-8") == "3\n1\n0\n-1\n"


def test_xtremes_published_labels_of_tatoeba_are_the_order_of_the_originals():
    # The first ten labels of Afrikaans in XTREME's repository, mock_test_data/labels/tatoeba/test-af.tsv.
    (file,) = public_files("retrieval/tatoeba-v1/tatoeba.afr-eng.eng*")
    english = [text for _, text in read_lines(file)]
    lines = [{"id": str(n), "language": "af", "text": t, "prediction": n} for n, t in enumerate(english)]
    made = "".join(TASKS["tatoeba"].file(lines, TASKS["tatoeba"], Written()))
    assert made.split()[:10] == "308 441 713 233 757 35 93 939 872 52".split()


def test_bucc_has_the_ids_of_the_pairs_that_were_taken(tmp_path):
    pairs = [{"id": f"de-{n}", "language": "de", "prediction": p} for n, p in enumerate(("en-7", None, "en-2"))]
    assert submit("bucc2018", predictions(tmp_path / "b", *pairs), tmp_path / "out") == 0
    assert (tmp_path / "out/bucc2018/test-de.tsv").read_text("utf-8") == "de-0\ten-7\nde-2\ten-2\n"


@pytest.mark.parametrize(
    ("task", "line", "said"),
    [
        ("panx", {"language": "de"}, ':1: no "prediction"'),
        ("panx", {"language": "da", "prediction": ["O"]}, ":1: language 'da' is not one of panx's"),
        ("udpos", tag("de", 0), ":1: labels of the task ner, and udpos has those of pos"),
        ("panx", {"language": "de", "prediction": "O"}, """:1: "prediction" must be a list of tags, not 'O'"""),
        ("tatoeba", {"language": "de", "prediction": 3}, ':1: no "text"'),
        (
            "tatoeba",
            {"language": "de", "text": "a", "prediction": "3"},
            ':1: "prediction" must be the number of a line',
        ),
        ("xnli", {"language": "de", "prediction": ["a"]}, """:1: "prediction" must be a text, not ['a']"""),
    ],
)
def test_what_is_no_submission_is_refused_and_nothing_is_written(tmp_path, capsys, task, line, said):
    path = predictions(tmp_path / "p.jsonl", line)
    assert submit(task, path, tmp_path / "out") == 1
    assert f"{path}{said}" in capsys.readouterr().err and not (tmp_path / "out" / task).exists()
