"""Workarounds are put in place once."""

from __future__ import annotations

import warnings

from fairseq_xalign import compat


def test_apply_twice_wraps_once():
    from fairseq import checkpoint_utils

    compat.apply()
    first = checkpoint_utils.torch_persistent_save
    compat.apply()
    assert checkpoint_utils.torch_persistent_save is first
    assert not hasattr(first.__wrapped__, "__wrapped__")
    assert len(warnings.filters) == len({*warnings.filters})
