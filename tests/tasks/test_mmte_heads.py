"""MMTE's heads, its presets and its frozen encoder in real runs of ``fairseq-train``, and in prediction."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task

from fairseq_xalign import compat
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.labelled.labeller import load_labeller
from fairseq_xalign.models.heads import MMTEClassificationHead, MMTETaggingHead
from fairseq_xalign.optimizers.presets import PRESETS, preset_options
from tests.support.running import Run, finetune, pretrain
from tests.tasks.conftest import TEXT
from tests.tasks.conftest import run as preprocess

HEADS = {"tagging": MMTETaggingHead, "classification": MMTEClassificationHead}


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    """A checkpoint of two updates."""
    run = pretrain(data, tmp_path_factory.mktemp("begin"), "mlm", 2)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir


@pytest.fixture(scope="module")
def folders(labelled, tmp_path_factory):
    """A labelled folder for each task; texts are classified by whether they have a comma."""
    root = tmp_path_factory.mktemp("texts")
    lines = [line for line in TEXT.read_text("utf-8").splitlines() if line]
    for split, part in (("train", lines[:200]), ("valid", lines[200:])):
        rows = [f"{'comma' if ',' in line else 'none'}\t{line}" for line in part]
        (root / f"{split}.en.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    preprocess("benchmark", "classification", "--from", root, "--output", root / "LABELLED")
    return {"tagging": labelled, "classification": root / "LABELLED"}


@pytest.fixture(scope="module", params=HEADS)
def learned(request, folders, begin, tmp_path_factory) -> tuple[str, Run]:
    task = request.param
    run = finetune(folders[task], begin, tmp_path_factory.mktemp(task), task, 80, "--head", "mmte", "--lr", 0.003)
    assert run.status == 0, run.text[-2000:]
    return task, run


def test_labels_that_follow_from_the_text_are_learned(learned, folders):
    task, run = learned
    rows = [json.loads(line) for line in (folders[task] / "valid.en.jsonl").read_text("utf-8").splitlines()]
    gold = Counter(label for row in rows for label in (row["tags"] if task == "tagging" else [row["label"]]))
    most_frequent = 100 * gold.most_common(1)[0][1] / gold.total()
    best = max(float(record["valid_accuracy"]) for record in run.records("valid"))
    assert best > most_frequent + 10, (best, most_frequent)


def test_the_head_is_in_the_checkpoint_and_predicts(learned, folders, tmp_path):
    task, run = learned
    state = run.checkpoint()["task_state"]
    assert state["head"] == "mmte" and state.get("pooling", "max") == "max"
    assert type(load_labeller(run.save_dir).head) is HEADS[task]
    out = tmp_path / "p.jsonl"
    arguments = [
        "--checkpoint",
        run.save_dir / "checkpoint_last.pt",
        "--data",
        folders[task],
        "--split",
        "valid",
        "--output",
        out,
    ]
    assert evaluate(["predict", *map(str, arguments), "--languages", "en"]) == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    gold = [label for row in rows for label in (row["gold"] if task == "tagging" else [row["gold"]])]
    found = [label for row in rows for label in (row["prediction"] if task == "tagging" else [row["prediction"]])]
    share = 100 * sum(a == b for a, b in zip(gold, found, strict=True)) / len(gold)
    valid = float(run.records("valid")[-1]["valid_accuracy"])
    assert share == pytest.approx(valid, abs=0.01), "prediction and validation see the same"


def test_a_fine_tuned_checkpoint_with_another_head_is_refused(learned, folders, tmp_path):
    task, run = learned
    again = finetune(folders[task], run.save_dir, tmp_path, task, 2)
    assert again.status == 1
    assert "--head linear: the checkpoint's head is mmte" in again.text.rstrip().splitlines()[-1]


@pytest.mark.parametrize("task", HEADS)
def test_a_frozen_encoder_keeps_its_weights_and_has_no_dropout(folders, begin, tmp_path, task):
    options = ["--head", "mmte", "--head-dropout", 0, "--freeze-encoder"]
    runs = [finetune(folders[task], begin, tmp_path / str(rate), task, 5, *options, "--dropout", rate,
                     "--attention-dropout", rate) for rate in (0.0, 0.5)]  # fmt: skip
    assert [run.status for run in runs] == [0, 0], runs[1].text[-2000:]
    assert runs[0].losses() == runs[1].losses(), "dropout made a difference"
    before = torch.load(begin / "checkpoint_last.pt", weights_only=False)["model"]
    after = runs[1].checkpoint()["model"]
    encoder = [name for name in before if name.startswith("encoder.")]
    assert encoder and all(torch.equal(before[name], after[name]) for name in encoder)
    assert runs[0].losses()[-1] < runs[0].losses()[0], "the head learns"
    whole = finetune(folders[task], begin, tmp_path / "whole", task, 5, *options[:-1], "--dropout", 0.5)
    assert whole.losses() != runs[0].losses()
    changed = whole.checkpoint()["model"]
    assert not torch.equal(before["encoder.embed_tokens.weight"], changed["encoder.embed_tokens.weight"])


def test_a_frozen_run_resumes_bit_for_bit_and_only_as_it_began(folders, begin, tmp_path):
    options = ["--head", "mmte", "--freeze-encoder"]
    task = "classification"
    whole = finetune(folders[task], begin, tmp_path / "whole", task, 6, *options)
    first = finetune(folders[task], begin, tmp_path / "cut", task, 3, *options)
    second = finetune(folders[task], begin, tmp_path / "cut", task, 6, *options)
    assert first.losses() + second.losses() == whole.losses()
    other = finetune(folders[task], begin, tmp_path / "cut", task, 8, *options[:2])
    assert other.status == 1 and "it was trained with --freeze-encoder" in other.text.rstrip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--head-hidden", 8], "--head-hidden 8: --head mmte has layers of its own"),
        (["--pooling", "mean"], "--pooling mean: --head mmte takes the maximum"),
    ],
)
def test_options_that_the_head_has_no_place_for_are_refused(folders, begin, tmp_path, options, said):
    run = finetune(folders["classification"], begin, tmp_path, "classification", 2, "--head", "mmte", *options)
    assert run.status == 1 and said in run.text.rstrip().splitlines()[-1], run.text[-1500:]


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("mmte-")])
def test_the_line_of_a_preset_trains(folders, begin, tmp_path, name):
    task = "tagging" if name == "mmte-tagging" else "classification"
    run = finetune(folders[task], begin, tmp_path, task, 3, *preset_options(name, width=32).split())
    assert run.status == 0, run.text[-2000:]
    preset = PRESETS[name]
    rates = [float(record["lr"]) for record in run.records("train_inner")]
    expected = [preset.scale * 32**-0.5 * n * preset.warmup**-1.5 for n in (1, 2, 3)]
    assert rates == pytest.approx(expected, rel=1e-3)
    assert "clipped_tensors" in run.records("train_inner")[0]
    state = run.checkpoint()
    assert state["optimizer_history"][-1]["optimizer_name"] == "FairseqAdafactor"
    assert state["task_state"]["head"] == "mmte"


def test_the_line_of_a_preset_of_epochs_trains_until_its_rate_is_zero(folders, begin, tmp_path):
    rows = len((folders["classification"] / "train.en.jsonl").read_text("utf-8").splitlines())
    line = preset_options("align-mlm-xnli", examples=rows)
    run = finetune(folders["classification"], begin, tmp_path, "classification", 100_000, *line.split())
    assert run.status == 0, run.text[-2000:]
    last = run.records("train_inner")[-1]
    assert int(last["num_updates"]) == 5 * -(-rows // 32) and float(last["lr"]) == 0.0


def test_the_line_of_pre_training_trains_a_translation_model(parallel, tmp_path):
    run = pretrain(parallel, tmp_path, "mnmt", 2, *preset_options("mmte", width=32).split())
    assert run.status == 0, run.text[-2000:]
    assert "clipped_tensors" in run.records("train_inner")[0]
    compat.register()
    ((model,), _, task) = load_model_ensemble_and_task([str(run.save_dir / "checkpoint_last.pt")])
    assert task.cfg.clip_mode == "per-tensor" and task.cfg.optimizer == "adafactor" and model.decoder is not None
    expected = [3.0 * 32**-0.5 * n * 40_000**-1.5 for n in (1, 2)]
    assert [float(r["lr"]) for r in run.records("train_inner")] == pytest.approx(expected, rel=1e-3)
