"""fairseq's other commands: ``fairseq-validate`` works with our tasks, the others name the command to use instead."""

import re
import shutil

import pytest

from tests.support.running import ROOT, finetune, pretrain
from tests.support.trainings import command, run_function, wait

OURS = ["--user-dir", ROOT / "fairseq_xalign", "--cpu"]


@pytest.fixture(scope="module")
def trained(data, labelled, tmp_path_factory):
    """A pre-trained and a fine-tuned run, by task."""
    folder = tmp_path_factory.mktemp("trained")
    first = pretrain(data, folder / "first", "mlm", 2)
    second = finetune(labelled, first.save_dir, folder / "second", "tagging", 2)
    assert [first.status, second.status] == [0, 0], second.text[-1500:]
    return {"align_mlm": (data, first), "xling_tagging": (labelled, second)}


def fairseq(name, log, *arguments):
    """Exit status and log of one of fairseq's commands."""
    process = run_function(command, f"fairseq_cli.{name}", [str(a) for a in arguments], ("apply",), log=log)
    return wait(process, 120), log.read_text("utf-8")


@pytest.mark.parametrize("name", ["eval_lm", "generate", "interactive"])
@pytest.mark.parametrize("task", [[], ["--task", "align_mlm"]], ids=["checkpoint", "task"])
def test_commands_that_cannot_work_name_the_one_to_use(trained, tmp_path, name, task):
    data, run = trained["align_mlm"]
    path = run.save_dir / "checkpoint_best.pt"
    status, log = fairseq(name, tmp_path / "log", data, *OURS, *task, "--path", path)
    last = log.rstrip().splitlines()[-1]
    assert status == 1 and "Traceback" not in log, log[-1500:]
    assert f"fairseq-{name.replace('_', '-')} does not work with" in last and "xalign-evaluate" in last


@pytest.mark.parametrize("task", ["align_mlm", "xling_tagging"])
def test_validate_gives_the_figures_of_training_from_a_folder_that_was_moved(trained, tmp_path, task):
    data, run = trained[task]
    moved = shutil.copytree(run.save_dir, tmp_path / "moved")
    limit = ["--max-tokens", 512] if task == "align_mlm" else ["--batch-size", 16]
    options = [*OURS, "--task", task, *limit, "--path", moved, "--log-format", "json"]
    status, log = fairseq("validate", tmp_path / "log", data, *options)
    assert status == 0, log[-2500:]
    found = float(re.search(r'"valid_loss": "?([0-9.]+)', log)[1])
    last = run.records("valid")[-1]
    assert found == pytest.approx(float(last["valid_loss"]), abs=0.002)


def test_validate_without_a_checkpoint_is_one_line(data, tmp_path):
    for path, said in (([], "Add --path CKPT"), (["--path", tmp_path / "no.pt"], "no such checkpoint")):
        arguments = [data, *OURS, "--task", "align_mlm", "--max-tokens", 512, *path]
        status, log = fairseq("validate", tmp_path / "log", *arguments)
        assert status == 1 and said in log.splitlines()[-1] and "Traceback" not in log, log[-1500:]
