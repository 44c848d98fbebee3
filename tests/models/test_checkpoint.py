"""Which file a checkpoint's name stands for, and what cannot be one."""

import os

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import find_checkpoint


def test_a_pipe_is_refused_as_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="cannot be read from a pipe"):
        find_checkpoint(tmp_path / "pipe")
