"""Which file a checkpoint's name stands for, what cannot be one, and what memory its weights take."""

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import find_checkpoint, release


def test_a_pipe_is_refused_as_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="cannot be read from a pipe"):
        find_checkpoint(tmp_path / "pipe")


def in_memory_of_files() -> int:
    """How many bytes of this process's memory are pages of files."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssFile:\s+(\d+)", status)[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes memory back on request")
def test_released_weights_leave_memory_and_keep_their_values(tmp_path):
    torch.save({"mapped": torch.arange(1 << 23, dtype=torch.float32)}, tmp_path / "weights.pt")
    mapped = torch.load(tmp_path / "weights.pt", mmap=True, weights_only=True)["mapped"]
    own = torch.arange(1 << 20, dtype=torch.float32)
    total = mapped.double().sum()
    before = in_memory_of_files()
    release([mapped, own, torch.ones(3)])
    assert before - in_memory_of_files() > 0.9 * mapped.nbytes
    assert mapped.double().sum() == total
    assert torch.equal(own, mapped[: 1 << 20])
