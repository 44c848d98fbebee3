"""``--compile``, ``--attention-kernel`` and ``--residual-precision`` in real runs of ``fairseq-train``."""

import pytest
from fairseq import tasks

from fairseq_xalign import compat
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.compiled import missing_compiler
from tests.support.quick_hydra import compose
from tests.support.running import FINETUNING, OPTIONS, SHAPE, pretrain
from tests.tasks.test_bad_input import prepare


@pytest.mark.skipif(bool(missing_compiler("cpu")), reason="torch.compile needs a C++ compiler")
def test_a_compiled_run_has_the_losses_of_another(data, tmp_path):
    losses = []
    for mode in ("on", "off"):
        options = ["--dropout", 0, "--attention-dropout", 0, "--compile", mode]
        run = pretrain(data, tmp_path / mode, "align_mlm", 4, *options)
        assert run.status == 0, run.text[-3000:]
        losses.append(run.losses())
    assert losses[0] == pytest.approx(losses[1], abs=2e-3) and len(losses[0]) == 4


def test_fine_tuning_is_compiled_on_request_only(data, labelled, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 1)
    start = ["--task", "xling_tagging", *FINETUNING, "--finetune-from-model", run.save_dir / "checkpoint_last.pt"]
    compat.register()

    def compiling(*arguments: object) -> str:
        cfg = compose(*arguments)
        return tasks.setup_task(cfg.task).build_model(cfg.model).encoder.compiling

    assert compiling(data, *OPTIONS, "--criterion", "mlm") == "auto"
    assert compiling(labelled, *start, *SHAPE) == "off"
    assert compiling(labelled, *start, *SHAPE, "--compile", "on") == "on"


PLAIN = ["--dropout", 0, "--attention-dropout", 0]


def test_every_kernel_of_attention_gives_the_same_losses(data, tmp_path):
    losses = []
    for kernel in ("auto", "buckets", "plain"):
        run = pretrain(data, tmp_path / kernel, "tlm", 4, *PLAIN, "--attention-kernel", kernel)
        assert run.status == 0, run.text[-3000:]
        losses.append(run.losses())
    assert losses[0] == losses[1] == pytest.approx(losses[2], abs=2e-3) and len(losses[2]) == 4


def test_a_kernel_that_needs_a_gpu_ends_a_run_on_a_cpu_in_one_line(data, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 1, "--attention-kernel", "varlen")
    last = run.text.strip().splitlines()[-1]
    assert run.status and last.startswith("fairseq-train: --attention-kernel varlen needs a GPU"), run.text[-2000:]
    assert "Traceback" not in run.text


def test_a_residual_stream_in_half_precision_trains_nearly_as_well(data, tmp_path):
    losses = []
    for residual in ("full", "half"):
        options = [*PLAIN, "--autocast", "bf16", "--residual-precision", residual]
        run = pretrain(data, tmp_path / residual, "mlm", 30, *options)
        assert run.status == 0, run.text[-3000:]
        losses.append(run.losses())
    assert losses[0] != losses[1] and sum(losses[1][-5:]) == pytest.approx(sum(losses[0][-5:]), rel=0.02)


def test_a_residual_stream_in_half_precision_is_refused_where_there_is_one_precision(data):
    with pytest.raises(UserError, match="--residual-precision half changes nothing .* Add --autocast bf16"):
        prepare(data, "--criterion", "mlm", "--residual-precision", "half")
