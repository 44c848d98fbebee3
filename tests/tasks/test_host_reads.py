"""A training step reads nothing back from the device: the host would wait there for all work that it has queued.

On a CPU there is nothing to wait for. Tensors of a class of their own stand for those on a device: whatever is computed
from one of them is one too, and each operation that gives the host a value or a size that depends on values is noted.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import torch
from fairseq import tasks, utils

import fairseq_xalign
from fairseq_xalign import compat
from fairseq_xalign.criterions.checked import CheckedCriterion
from fairseq_xalign.models import transformer
from fairseq_xalign.models.attention import flash
from tests.support.attention import flash_by_loop
from tests.support.quick_hydra import compose
from tests.support.running import CRITERIONS, FINETUNING, OPTIONS, SHAPE, TRANSLATION, pretrain

PACKAGE = str(Path(fairseq_xalign.__file__).parent)
READS = {
    getattr(torch.Tensor, name)
    for name in ("item", "tolist", "numpy", "cpu", "nonzero", "unique", "bincount", "masked_select", "equal",
                 "__bool__", "__int__", "__float__", "__index__", "__contains__")
} | {torch.nonzero, torch.bincount, torch.masked_select, torch.unique, torch.equal}  # fmt: skip
REPEATS = {torch.repeat_interleave, torch.Tensor.repeat_interleave}
INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class OnDevice(torch.Tensor):
    """A tensor that stands for one on a device; ``read`` names the lines of this project that read one back."""

    read: list[str] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        chosen = func in INDEXING and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], tuple) else (args[1],))
        )
        if func in READS or chosen or (func in REPEATS and kwargs.get("output_size") is None):
            frames = [f for f in traceback.extract_stack() if f.filename.startswith(PACKAGE)]
            if frames:
                cls.read.append(f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}")
        return super().__torch_function__(func, types, args, kwargs)


def flash_on_device(*arguments):
    """The kernel for GPUs: what its stand-in reads for itself does not count."""
    plain = [x.as_subclass(torch.Tensor) if isinstance(x, torch.Tensor) else x for x in arguments]
    out, *others = flash_by_loop(*plain)
    return out.as_subclass(OnDevice), *others


@pytest.fixture(params=["varlen", "buckets"])
def reads(request, monkeypatch):
    """``reads(*arguments of fairseq-train) -> lines`` that read something back in the first training step."""
    monkeypatch.setattr(transformer, "choose", lambda *_: request.param)
    monkeypatch.setattr(flash, "kernel", lambda: flash_on_device)
    monkeypatch.setattr(CheckedCriterion, "settle", lambda self: None)  # once per update, and not part of a step
    monkeypatch.setattr(OnDevice, "read", [])

    def first_step(*arguments: object) -> list[str]:
        compat.register()
        cfg = compose(*arguments)
        task = tasks.setup_task(cfg.task)
        model, criterion = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
        train = cfg.dataset.train_subset
        task.load_dataset(train, epoch=1)
        batches = task.get_batch_iterator(
            task.datasets[train], cfg.dataset.max_tokens, cfg.dataset.batch_size, update_epoch_batch_itr=True
        )
        sample = next(iter(batches.next_epoch_itr()))
        sample = utils.apply_to_sample(lambda tensor: tensor.as_subclass(OnDevice), sample)
        model.train()
        criterion.train()
        loss, _, logs = criterion(model, sample)
        assert isinstance(loss, OnDevice) and isinstance(logs["loss"], OnDevice)
        loss.backward()
        return OnDevice.read

    return first_step


PRETRAINING = {
    **CRITERIONS,
    "ppa": ["--criterion", "ppa", "--moco-queue", "64"],
    "ppa, mean": ["--criterion", "ppa", "--moco-queue", "64", "--moco-pooling", "mean"],
    "ppa, denominator": ["--criterion", "ppa", "--moco-queue", "64", "--moco-denominator", "queue-only"],
    "tpp": ["--criterion", "tpp"],
    "tpp, mean": ["--criterion", "tpp", "--tpp-head", "mean"],
    "tpp, ranking": ["--criterion", "xalign", "--objectives", "tpp", "--tpp-loss", "ranking"],
    "tpp, corpus": ["--criterion", "tpp", "--tpp-negatives", "corpus-either-lang", "--tpp-num-negatives", "2"],
    "sum": ["--criterion", "xalign", "--objectives", "mlm,tlm,tpp", "--objective-mix", "sum"],
}


@pytest.mark.parametrize("name", PRETRAINING)
def test_pre_training_reads_nothing_back(reads, data, tmp_path, name):
    assert not reads(data, *OPTIONS, *PRETRAINING[name], "--save-dir", tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        ["weam"],
        ["weam", "--weam-link-agg", "first", "--weam-unlinked", "bias"],
        ["xalign", "--objectives", "wordalign", "--wordalign-hold-side", "source"],
    ],
    ids=lambda options: " ".join(options[-2:]),
)
def test_objectives_about_linked_words_read_nothing_back(reads, linked, tmp_path, options):
    assert not reads(linked, *OPTIONS, "--criterion", *options, "--save-dir", tmp_path)


@pytest.mark.parametrize("name", TRANSLATION)
def test_translation_reads_nothing_back(reads, parallel, tmp_path, name):
    assert not reads(parallel, *OPTIONS, *TRANSLATION[name], "--save-dir", tmp_path)


@pytest.fixture(scope="module")
def begun(data, tmp_path_factory):
    """A checkpoint to start from."""
    run = pretrain(data, tmp_path_factory.mktemp("begun"), "mlm", 1)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir / "checkpoint_last.pt"


@pytest.mark.parametrize("head", ["linear", "mmte"])
def test_fine_tuning_reads_nothing_back(reads, begun, labelled, tmp_path, head):
    options = ["--task", "xling_tagging", *SHAPE, *FINETUNING, "--head", head, "--finetune-from-model", begun]
    assert not reads(labelled, *options, "--save-dir", tmp_path)


def test_what_is_read_back_is_found():
    OnDevice.read.clear()
    import numpy as np

    from fairseq_xalign.objectives.fingerprint import KnownPairs

    value = torch.arange(3).as_subclass(OnDevice)
    KnownPairs(np.arange(2)).has(value, value)
    assert OnDevice.read and OnDevice.read[0].startswith("fingerprint.py:")
    OnDevice.read.clear()
