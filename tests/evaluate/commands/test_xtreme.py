"""``xtreme``: the folder that XTREME's evaluate.py reads, with the scores that it computes."""

import json

import pytest
import seqeval.metrics

from fairseq_xalign.data.formats.conllu import UPOS_TAGS
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.xtreme import TASKS, Written
from fairseq_xalign.files import read_lines
from preprocess.labelled_sets import benchmark
from preprocess.sets import SETS
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
    assert out == "panx de: 2 examples\npanx en: 1 example\n"
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


def labels_of(text):
    """The lines of a file as XTREME's evaluate.py reads labels."""
    return [line.strip() for line in text.splitlines()]


# The ten labels of each in XTREME's repository, mock_test_data/labels/pawsx/test-de.tsv and labels/xnli/test-ar.tsv
PUBLISHED = {
    "pawsx": ("paws-x", "de", "1 0 0 1 0 0 1 1 0 1".split()),
    "xnli": (
        "xnli",
        "ar",
        "contradiction entailment neutral neutral entailment contradiction contradiction entailment neutral "
        "contradiction".split(),
    ),
}


def original_file(root, name, language, labels):
    """The test set in its original layout: documented columns, made-up texts; one pair of PAWS-X is marked NS."""
    if name == "paws-x":
        path, first = root / language / "test_2k.tsv", "id\tsentence1\tsentence2\tlabel"
        lines = [f"{i}\t{'NS' if i == 3 else 'a'}\tb\t{label}" for i, label in enumerate(labels)]
    else:
        path, first = root / "xnli.test.tsv", "language\tgold_label\tsentence1\tsentence2\tpairID"
        others = [one for one in TASKS["xnli"].languages if one != language]
        lines = [f"{language}\t{label}\ta\tb\t{i}" for i, label in enumerate(labels)]
        lines += [f"{other}\tneutral\ta\tb\t0" for other in others]
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([first, *lines]) + "\n", "utf-8")


@pytest.mark.parametrize("task", PUBLISHED)
def test_right_predictions_of_our_folder_of_a_set_are_xtremes_labels_line_by_line(tmp_path, task, capsys):
    name, language, labels = PUBLISHED[task]
    original_file(tmp_path / "in", name, language, labels)
    benchmark(name, tmp_path / "L", folder=tmp_path / "in")
    rows = [json.loads(line) for line in (tmp_path / "L" / f"test.{language}.jsonl").read_text("utf-8").splitlines()]
    lines = [
        {"id": row["id"], "language": language, "task": "pairs", "prediction": row["label"], "gold": row["label"]}
        for row in rows
    ]
    assert submit(task, predictions(tmp_path / "p", *lines), tmp_path / "out") == 0
    assert labels_of((tmp_path / "out" / task / f"test-{language}.tsv").read_text("utf-8")) == labels
    size = {"pawsx": "2,000", "xnli": "5,010"}[task]
    assert f"{language}: XTREME's test set has {size} examples per language" in capsys.readouterr().err


def test_every_label_of_our_sets_is_one_of_xtremes():
    assert {label: TASKS["pawsx"].labels[label] for label in SETS["paws-x"].labels} == {
        "different": "0",
        "paraphrase": "1",
    }
    assert all(TASKS["xnli"].labels[label] == label for label in SETS["xnli"].labels)
    assert TASKS["udpos"].labels.keys() == UPOS_TAGS, "mock_test_data/labels/udpos has UD's tags"
    # mock_test_data/labels/panx/test-de.tsv, and those of the other languages
    assert {"O", "B-LOC", "I-LOC", "B-PER", "I-PER", "B-ORG", "I-ORG"} == TASKS["panx"].labels.keys()


def test_labels_are_written_as_xtreme_has_them_and_a_missing_one_keeps_its_line(tmp_path, capsys):
    said = ("paraphrase", None, "different", "1")
    lines = [{"id": str(n), "language": "ko", "prediction": p} for n, p in enumerate(said)]
    assert submit("pawsx", predictions(tmp_path / "p", *lines), tmp_path / "out") == 0
    assert (tmp_path / "out/pawsx/test-ko.tsv").read_text("utf-8") == "1\n\n0\n1\n"
    assert "1 without a prediction" in capsys.readouterr().err


def test_a_whole_test_set_needs_no_remark_about_its_size(tmp_path, capsys):
    lines = [{"id": str(n), "language": "ko", "prediction": "different"} for n in range(2000)]
    assert submit("pawsx", predictions(tmp_path / "p", *lines), tmp_path / "out") == 0
    assert "test set has" not in capsys.readouterr().err


def test_tags_that_xtreme_does_not_have_are_written_and_said(tmp_path, capsys):
    line = tag("de", 0) | {"prediction": ["B-MISC", "I-MISC", "O"]}
    assert submit("panx", predictions(tmp_path / "p", line, line | {"id": "1"}), tmp_path / "out") == 0
    assert "4 tags that panx does not have, which count as wrong: B-MISC, I-MISC" in capsys.readouterr().err
    assert (tmp_path / "out/panx/test-de.tsv").read_text("utf-8").startswith("B-MISC\nI-MISC\nO\n\n")


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
        (
            "xnli",
            {"language": "de", "prediction": "paraphrase"},
            ":1: label 'paraphrase' is not one of xnli's: contradiction entailment neutral",
        ),
        ("pawsx", {"language": "de", "prediction": "entailment"}, ":1: label 'entailment' is not one of pawsx's"),
        ("panx", {"language": "de", "prediction": ["O", ""]}, """:1: "prediction" must be a list of tags"""),
        ("panx", {"language": "de", "prediction": ["O", 1]}, """:1: "prediction" must be a list of tags"""),
        (
            "bucc2018",
            {"id": "en-7", "language": "de", "prediction": "de-1"},
            ":1: the ids en-7 and de-1 are not of a sentence in de and one in en, in this order",
        ),
    ],
)
def test_what_is_no_submission_is_refused_and_nothing_is_written(tmp_path, capsys, task, line, said):
    path = predictions(tmp_path / "p.jsonl", line)
    assert submit(task, path, tmp_path / "out") == 1
    assert f"{path}{said}" in capsys.readouterr().err and not (tmp_path / "out" / task).exists()
