"""Tagging with a CRF from fine-tuning to predictions, in every part that reads the checkpoint."""

import json

import pytest

import fairseq_xalign
from fairseq_xalign.convert.__main__ import main as convert
from fairseq_xalign.evaluate.__main__ import main as evaluate
from tests.support.running import finetune, pretrain

pytest.importorskip("torchcrf", reason="needs pytorch-crf")


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    return pretrain(data, tmp_path_factory.mktemp("pretrained"), "mlm", 2).save_dir


@pytest.fixture(scope="module")
def tagger(labelled, begin, tmp_path_factory):
    run = finetune(labelled, begin, tmp_path_factory.mktemp("tagger"), "tagging", 60, "--crf", "--head", "linear")
    assert run.status == 0, run.text[-2000:]
    return run


def test_tags_are_learned_and_the_crf_is_in_the_checkpoint(tagger):
    accuracies = [float(record["accuracy"]) for record in tagger.records("train_inner")]
    assert sum(accuracies[-5:]) / 5 > 60 > sum(accuracies[:3]) / 3
    state = tagger.checkpoint()
    assert state["task_state"]["crf"] is True
    assert state["model"]["heads.tagging.crf.transitions"].abs().max() > 0.1, "they begin within 0.1"


def test_predictions_score_and_are_those_of_the_python_interface(tagger, labelled, tmp_path, capsys):
    output = tmp_path / "pred.jsonl"
    named = ["--checkpoint", str(tagger.save_dir), "--data", str(labelled), "--languages", "en"]
    assert evaluate(["predict", *named, "--output", str(output)]) == 0
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert evaluate(["score", "--task", "pos", "--predictions", str(output), "--json", "--bootstrap", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["en"]["accuracy"] > 60
    found = fairseq_xalign.load_tagger(tagger.save_dir, "cpu").predict([row["tokens"] for row in rows])
    assert [tagged.tags for tagged in found] == [row["prediction"] for row in rows]
    assert all(tagged.probabilities.shape[0] == len(tagged.words) for tagged in found)
    assert max(abs(tagged.probabilities.sum(1) - 1).max() for tagged in found) < 1e-4


def test_what_has_no_place_for_a_crf_says_so(tagger, labelled, begin, tmp_path, capsys):
    assert convert(["to-hf", str(tagger.save_dir), str(tmp_path / "hf")]) == 1
    assert "the head of this model is a CRF: classes of transformers have none" in capsys.readouterr().err
    assert not (tmp_path / "hf").exists()
    run = finetune(labelled, tagger.save_dir, tmp_path, "tagging", 2)
    assert run.status == 1 and "the checkpoint's head is a CRF. Give --crf" in run.text.rstrip().splitlines()[-1]
    run = finetune(labelled, begin, tmp_path / "smooth", "tagging", 2, "--crf", "--label-smoothing", 0.1)
    assert run.status == 1 and "a CRF scores whole sentences" in run.text.rstrip().splitlines()[-1]
