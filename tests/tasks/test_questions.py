"""Question answering from SQuAD's files to scores: it learns, reports what it leaves out, and answers from Python."""

import json
import os
import re
import subprocess
import sys

import pytest

import fairseq_xalign
from fairseq_xalign.evaluate.__main__ import main as evaluate
from tests.support.questions import write_questions
from tests.support.running import FINETUNING, ROOT, SHAPE, finetune, pretrain
from tests.tasks.conftest import run as preprocess


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    for split, count, seed in (("train", 300, 1), ("valid", 20, 2), ("test", 40, 3)):
        write_questions(folder / f"{split}.en.json", count, seed)
    train = json.loads((folder / "train.en.json").read_text("utf-8"))
    lost = train["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]
    lost["text"] = "Atlantis"
    (folder / "train.en.json").write_text(json.dumps(train), "utf-8")
    preprocess("benchmark", "qa", "--from", folder, "--output", folder / "QA")
    return folder / "QA"


@pytest.fixture(scope="module")
def trained(questions, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    start = pretrain(data, folder / "start", "mlm", 2)
    options = ["--max-length", 48, "--stride", 24, "--max-answer-length", 8, "--batch-size", 32]
    options += ["--dropout", 0, "--head-dropout", 0]
    run = finetune(questions, start.save_dir, folder / "qa", "qa", 300, *options)
    assert run.status == 0, run.text[-2000:]
    return run


def test_it_learns_which_word_a_question_asks_for(trained, questions, tmp_path, capsys):
    assert "questions left out whose answer has no place in the context: 1" in trained.text
    predicted = tmp_path / "p.jsonl"
    arguments = ["--checkpoint", trained.save_dir, "--data", questions, "--output", predicted, "--n-best", 3]
    assert evaluate(["predict", *map(str, arguments)]) == 0
    lines = [json.loads(line) for line in predicted.read_text("utf-8").splitlines()]
    assert len(lines) == 80 and all(len(line["n_best"]) == 3 for line in lines)
    capsys.readouterr()
    assert evaluate(["score", "--task", "qa", "--predictions", str(predicted), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scores"]["en"]["f1"] >= report["scores"]["en"]["exact_match"] > 60
    assert "norm:mlqa|articles:en|tokens:words" in report["signatures"]["en"]["f1"]


def test_code_switched_questions_are_trained_on_and_counted_as_recipes_count_passes(questions, trained, tmp_path):
    """The "translation" is English. A long context is several sequences; two switched questions are a unit."""
    for name in ("labels.json", "train.en.jsonl", "valid.en.jsonl"):
        (tmp_path / name).write_bytes((questions / name).read_bytes())
    rows = (questions / "train.en.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "train.xx.jsonl").write_text("\n".join(rows[1:41]) + "\n", "utf-8")  # the first answer is Atlantis
    start = trained.save_dir.parents[1] / "start" / "checkpoints"
    options = ["--max-length", 32, "--stride", 8, "--train-languages", "en,xx", "--disable-validation"]
    counts = []
    for switch in ([], ["--code-switch", "en"]):
        run = finetune(tmp_path, start, tmp_path / f"run{len(switch)}", "qa", 1, *options, *switch)
        assert run.status == 0, run.text[-2000:]
        said = re.findall(r"train (\w+): [\d,]+ rows? in ([\d,]+) sequences?", run.text)
        found = {language: int(n.replace(",", "")) for language, n in said}
        units = found["en"] + (40 if switch else found["xx"])
        command = [tmp_path, "--user-dir", ROOT / "fairseq_xalign", "--task", "xling_qa", *SHAPE, *FINETUNING]
        command += ["--finetune-from-model", start, *options, *switch]
        counted = subprocess.run(
            [sys.executable, ROOT / "recipes" / "lib" / "count_examples.py", *map(str, command)],
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert counted.returncode == 0, counted.stderr[-2000:]
        assert int(counted.stdout) == units and found["en"] > len(rows)
        counts.append(found["xx"])
    assert counts[1] == 2 * counts[0]


def test_python_answers_as_the_command_does(trained, questions, tmp_path):
    model = fairseq_xalign.load_qa(trained.save_dir, device="cpu")
    rows = [json.loads(line) for line in (questions / "test.en.jsonl").read_text("utf-8").splitlines()][:10]
    predicted = tmp_path / "p.jsonl"
    evaluate(["predict", "--checkpoint", str(trained.save_dir), "--data", str(questions), "--output", str(predicted)])
    lines = [json.loads(line) for line in predicted.read_text("utf-8").splitlines()][:10]
    together = model.answer([row["question"] for row in rows], [row["context"] for row in rows])
    for row, line, answer in zip(rows, lines, together):
        alone = model.answer(row["question"], row["context"])
        assert (alone.text, alone.start) == (answer.text, answer.start)
        assert (answer.text, answer.start) == (line["prediction"], line["answer_start"])
        assert row["context"][answer.start : answer.end] == answer.text
        assert answer.probability == pytest.approx(line["probability"], abs=1e-4)


def test_options_of_answers_are_refused_for_other_models_and_out_of_range(trained, questions, tmp_path, capsys):
    arguments = [
        "predict",
        "--checkpoint",
        str(trained.save_dir),
        "--data",
        str(questions),
        "--output",
        str(tmp_path / "p"),
    ]
    assert evaluate([*arguments, "--n-best", "21"]) == 1
    assert "there are 20 answers at most" in capsys.readouterr().err
    assert evaluate([*arguments, "--max-answer-length", "0"]) == 1
    text = tmp_path / "text"
    text.write_text("a question without a context\n", "utf-8")
    arguments[3:5] = ["--text", str(text)]
    assert evaluate(arguments) == 1
    assert f"{text}:1: 1 columns instead of 2" in capsys.readouterr().err and not (tmp_path / "p").exists()
