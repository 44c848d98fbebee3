"""Settings that crash fairseq are refused in one line; unpatched, it still crashes."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest
import torch

from fairseq_xalign import compat
from fairseq_xalign.errors import UserError
from tests.support.trainings import ALL, TINY, train, wait

ROOT = Path(__file__).parents[2]
INTERVALS = ("log-interval", "save-interval", "validate-interval")


@pytest.mark.parametrize("option", ["fp16", "bf16", "amp"])
def test_reduced_precision_on_a_cpu_is_refused_and_the_option_to_use_is_named(tiny, tmp_path, option):
    process = train([tiny, *TINY, f"--{option}", "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(rf"fairseq-train: --{option} does not work on a CPU.*--autocast bf16.*", lines[-1]), lines
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lr", "-1"], "--optimizer adamw or --lr-scheduler fixed does not work with its settings: Invalid learning"),
        (["--adam-betas", "0.9"], "--optimizer adamw or --lr-scheduler fixed does not work with its settings: "),
        (["--adam-betas", "(0.9, 2)"], "--optimizer adamw or --lr-scheduler fixed does not work with its settings: "),
        (["--lr-scheduler", "pass_through"], "--optimizer adamw or --lr-scheduler pass_through does not work with its"),
        (["--lr-scheduler", "polynomial_decay"], "--total-num-update is missing. Give it, or choose another --lr-sch"),
        *(([f"--{name}", "0"], f"--{name} 0 is too small. Choose 1 or more") for name in INTERVALS),
        (["--seed", "-1"], "--seed is out of range. Choose a whole number from 0 to 4294967295"),
        (["--ddp-backend", "fully_sharded"], "--ddp-backend fully_sharded needs fairscale, which is not installed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_that_nothing_can_be_made_of_are_refused_in_one_line(tiny, tmp_path, options, said):
    ours = ["--user-dir", ROOT / "fairseq_xalign", "--optimizer", "adamw"]
    process = train([tiny, *TINY, *ours, *options, "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    text = (tmp_path / "log").read_text()
    assert re.search(f"^fairseq-train: {said}", text.splitlines()[-1]), text[-1500:]
    assert "Traceback" not in text and "Error when composing" not in text


@pytest.mark.parametrize(
    "options", [["--lr-scheduler", "polynomial_decay"], ["--seed", "-1"], *([f"--{name}", "0"] for name in INTERVALS)]
)
def test_fairseq_alone_ends_with_a_traceback_that_names_no_option(tiny, tmp_path, options):
    process = train([tiny, *TINY, *options, "--save-dir", tmp_path], tmp_path / "log")
    assert wait(process) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert any("Traceback" in line for line in lines) and options[0] not in lines[-1]


@pytest.mark.parametrize("option", ["fp16", "bf16"])
def test_fairseq_alone_crashes_with_reduced_precision_on_a_cpu(tiny, tmp_path, option):
    process = train([tiny, *TINY, f"--{option}", "--max-update", "2", "--save-dir", tmp_path], tmp_path / "log")
    assert wait(process) == 1
    assert "Traceback" in (tmp_path / "log").read_text()


def test_precision_is_free_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    common = types.SimpleNamespace(cpu=False, fp16=True, bf16=False, amp=False)
    compat.check_precision(types.SimpleNamespace(common=common))
    common.cpu = True
    with pytest.raises(UserError):
        compat.check_precision(types.SimpleNamespace(common=common))


def _settings(**common):
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    cfg = OmegaConf.structured(FairseqConfig())
    for name, value in common.items():
        cfg.common[name] = value
    return cfg


def test_fairseq_alone_takes_bf16_for_a_tpu():
    from fairseq import options, utils

    arguments = ["data", "--task", "masked_lm", "--arch", "roberta_base", "--bf16"]
    parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
    assert parsed.tpu, "fairseq tells a GPU from a TPU now: the workaround may go"
    assert utils.xm is None
    with pytest.raises(AttributeError, match="xla_device"):
        utils.get_tpu_device()


@pytest.mark.parametrize(("torch_xla", "stays"), [(None, False), (object(), True)], ids=["none", "torch_xla"])
def test_bf16_trains_on_the_gpu_where_there_is_no_tpu(monkeypatch, torch_xla, stays):
    from fairseq import utils

    monkeypatch.setattr(utils, "xm", torch_xla)
    cfg = _settings(bf16=True, tpu=True)
    compat.keep_bf16_on_the_gpu(cfg)
    assert cfg.common.tpu == cfg.distributed_training.tpu == stays
    assert cfg.common.bf16


def test_a_tpu_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="--tpu needs torch_xla.*Leave it out"):
        compat.keep_bf16_on_the_gpu(_settings(tpu=True))
