"""Settings that crash fairseq are refused in one line; unpatched, it still crashes."""

from __future__ import annotations

import re
import types

import pytest
import torch

from fairseq_xalign import compat
from fairseq_xalign.errors import UserError
from tests.support.trainings import ALL, TINY, train, wait


@pytest.mark.parametrize("option", ["fp16", "bf16", "amp"])
def test_reduced_precision_on_a_cpu_is_refused_and_the_option_to_use_is_named(tiny, tmp_path, option):
    process = train([tiny, *TINY, f"--{option}", "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(rf"fairseq-train: --{option} does not work on a CPU.*--autocast bf16.*", lines[-1]), lines
    assert not any("Traceback" in line for line in lines)


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
