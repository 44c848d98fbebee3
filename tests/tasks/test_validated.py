"""What validation measures besides accuracy is what `score` says of the same checkpoint on the same rows."""

import json

import pytest

from fairseq_xalign.evaluate.commands.predict import predict
from fairseq_xalign.evaluate.commands.score import score
from tests.support.questions import write_questions
from tests.support.running import finetune, pretrain
from tests.tasks.conftest import run as preprocess


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    return pretrain(data, tmp_path_factory.mktemp("encoder") / "start", "mlm", 2).save_dir


def validations(run) -> list[dict]:
    """What each validation logged."""
    lines = [line[line.index("{") :] for line in run.text.splitlines() if '"valid_loss"' in line]
    return [json.loads(line) for line in lines]


def scored(run, task, folder, tmp_path, languages) -> dict:
    """The scores of the last checkpoint on the validation set."""
    file = tmp_path / "predictions.jsonl"
    lines = predict(run.save_dir / "checkpoint_last.pt", data=folder, split="valid", languages=languages)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return score(task, file, bootstrap=0)["scores"]


def test_f1_and_exact_match_of_answers_choose_the_best_checkpoint(start, tmp_path):
    for split, count, seed in (("train", 200, 1), ("valid", 30, 2)):
        write_questions(tmp_path / f"{split}.en.json", count, seed)
    preprocess("benchmark", "qa", "--from", tmp_path, "--output", tmp_path / "QA")
    # Windows of a few words, so that most questions have several, and a stride with overlap.
    options = ["--max-length", 24, "--stride", 8, "--max-answer-length", 8, "--batch-size", 16, "--dropout", 0]
    options += ["--best-checkpoint-metric", "f1", "--maximize-best-checkpoint-metric"]
    options += ["--validate-interval-updates", 60, "--save-interval-updates", 60]
    run = finetune(tmp_path / "QA", start, tmp_path / "qa", "qa", 180, *options)
    assert run.status == 0, run.text[-2000:]
    logged, right = validations(run), scored(run, "qa", tmp_path / "QA", tmp_path, ["en"])["en"]
    assert len(logged) >= 3 and float(logged[-1]["valid_f1"]) > float(logged[0]["valid_f1"])
    assert float(logged[-1]["valid_f1"]) == pytest.approx(right["f1"], abs=0.006)
    assert float(logged[-1]["valid_exact_match"]) == pytest.approx(right["exact_match"], abs=0.006)
    best = max(float(one["valid_f1"]) for one in logged)
    assert float(logged[-1]["valid_best_f1"]) == pytest.approx(best)
    assert not any(name.startswith("valid_sum_") or "__" in name for name in logged[-1])


def test_chunk_f1_is_that_of_whole_sentences_in_each_language(start, labelled, tmp_path):
    # 16 subwords: almost every sentence is read in several sequences.
    options = ["--train-languages", "en", "--valid-languages", "en,xx", "--max-length", 16]
    options += ["--best-checkpoint-metric", "chunk_f1_xx", "--maximize-best-checkpoint-metric"]
    run = finetune(labelled, start, tmp_path / "pos", "tagging", 30, *options)
    assert run.status == 0, run.text[-2000:]
    logged = validations(run)[-1]
    right = scored(run, "pos", labelled, tmp_path, ["en", "xx"])
    for language in ("en", "xx"):
        assert float(logged[f"valid_chunk_f1_{language}"]) == pytest.approx(right[language]["chunk_f1"], abs=0.006)
        assert float(logged[f"valid_accuracy_{language}"]) == pytest.approx(right[language]["accuracy"], abs=0.006)
    assert min(right[n]["chunk_f1"] for n in right) <= float(logged["valid_chunk_f1"])


def test_a_figure_that_the_task_does_not_have_is_refused_with_those_that_it_has(start, labelled, tmp_path):
    run = finetune(labelled, start, tmp_path / "x", "tagging", 1, "--best-checkpoint-metric", "f1")
    assert run.status == 1 and "no such figure is measured" in run.text and "chunk_f1" in run.text
