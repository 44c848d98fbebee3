"""What version 0.1.0 wrote still opens, trains on, predicts and scores as it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.evaluate.__main__ import main as evaluate
from preprocess.__main__ import main as preprocess
from tests.support.running import SHAPE, Run
from tests.support.trainings import command, run_function, wait

FOLDER = Path(__file__).parent / "data" / "first_version"
ROOT = Path(__file__).parents[1]
SMALLER = ["--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "16"]
SETTINGS = """--criterion align_mlm --tokens-per-sample 64 --max-tokens 512 --optimizer adamw --lr 0.01 --seed 1 --cpu
    --num-workers 0 --no-epoch-checkpoints --log-format json --log-interval 1""".split()


def train(folder: Path, *arguments: object) -> Run:
    """Run fairseq-train with the settings the fixtures were made with."""
    command_line = ["--user-dir", ROOT / "fairseq_xalign", *SHAPE, *SMALLER, *arguments]
    folder.mkdir(exist_ok=True)
    process = run_function(command, "fairseq_cli.train", [str(a) for a in command_line], log=folder / "log", plain=True)
    return Run(wait(process, 120), folder / "log", folder / "checkpoints")


def test_a_data_folder_of_the_first_version_opens_and_passes_its_check(capsys):
    folder = DataFolder.open(FOLDER / "data")
    assert folder.languages == ["en", "xx"] and len(folder.tokenizer) == 405
    assert {name: len(tokens) for name, tokens in folder.mono("train").items()} == {"en": 120, "xx": 120}
    assert preprocess(["check", str(FOLDER / "data")]) == 0


def test_a_checkpoint_of_the_first_version_resumes_with_the_losses_it_had_then(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(FOLDER / "pretrained" / "checkpoint_last.pt", tmp_path / "checkpoints")
    run = train(tmp_path, FOLDER / "data", "--task", "align_mlm", *SETTINGS, "--max-update", 24,
                "--save-dir", tmp_path / "checkpoints")  # fmt: skip
    assert run.status == 0, run.text[-2000:]
    expected = json.loads((FOLDER / "continued.json").read_text("utf-8"))
    found = {
        r["num_updates"]: {k: r[k] for k in ("loss", "mlm_loss", "align_cosine")} for r in run.records("train_inner")
    }
    assert found == expected


def test_a_pretrained_checkpoint_of_the_first_version_can_be_fine_tuned_on_its_labelled_folder(tmp_path):
    run = train(tmp_path, FOLDER / "labelled", "--task", "xling_tagging", "--criterion", "xling", "--batch-size", 4,
                "--finetune-from-model", FOLDER / "pretrained" / "checkpoint_last.pt", "--optimizer", "adamw",
                "--lr", 0.01, "--seed", 1, "--cpu", "--num-workers", 0, "--max-update", 2, "--log-format", "json",
                "--save-dir", tmp_path / "checkpoints")  # fmt: skip
    assert run.status == 0, run.text[-2000:]


def test_a_fine_tuned_checkpoint_of_the_first_version_predicts_what_it_did_then(tmp_path, capsys):
    output = tmp_path / "predictions.jsonl"
    arguments = ["predict", "--checkpoint", FOLDER / "finetuned", "--data", FOLDER / "labelled", "--output", output]
    assert evaluate([str(a) for a in arguments]) == 0
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert {line.pop("task") for line in lines} == {"pos"}, "lines say their task now"
    assert lines == [json.loads(line) for line in (FOLDER / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_predictions_of_the_first_version_can_be_scored(capsys):
    assert evaluate(["score", "--task", "pos", "--predictions", str(FOLDER / "predictions.jsonl"), "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["scores"]["en"]["accuracy"] < 100
