"""A device that is not there is one line, the same in every command that takes one."""

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.models.device import choose_device, inference_precision

NO_GPU = not torch.cuda.is_available()
WRONG = [
    ("gpu", "--device gpu is not a device. Choose cpu, cuda or cuda:N"),
    ("", "--device  is not a device"),
    ("cuda:x", "--device cuda:x is not a device"),
    ("meta", "--device meta is not supported"),
    ("cpu:1", "--device cpu:1 is not supported"),
    ("cuda:99", "--device cuda:99: "),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_a_wrong_device_is_named(name, message):
    with pytest.raises(UserError) as caught:
        choose_device(name)
    assert message in str(caught.value) and caught.value.remedy


@pytest.mark.skipif(not NO_GPU, reason="needs a machine without a GPU")
def test_a_missing_gpu_is_said():
    with pytest.raises(UserError, match="--device cuda: no GPU is available. Choose another, or leave --device out"):
        choose_device("cuda")


def test_without_a_name_a_gpu_is_used_where_there_is_one():
    assert choose_device(None).type == ("cpu" if NO_GPU else "cuda")
    assert choose_device("cpu") == torch.device("cpu")


COMMANDS = [
    ["predict", "--checkpoint", "none", "--text", "{text}", "--output", "{out}"],
    ["retrieve", "--checkpoint", "none", "--source", "en={text}", "--target", "de={text}"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_a_command_refuses_a_device_in_one_line_before_any_work(tmp_path, capsys, arguments, device):
    (tmp_path / "text").write_text("a\n", "utf-8")
    filled = [a.format(text=tmp_path / "text", out=tmp_path / "out") for a in arguments]
    assert main([*filled, "--device", device]) == 1
    error = capsys.readouterr().err
    assert f"--device {device}" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_bfloat16_is_used_where_it_is_asked_for_and_a_callers_own_autocast_stays():
    device, x = torch.device("cpu"), torch.ones(2, 2)
    with inference_precision(device, True):
        assert (x @ x).dtype == torch.bfloat16
    with inference_precision(device, False):
        assert (x @ x).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16), inference_precision(device, False):
        assert (x @ x).dtype == torch.bfloat16
