"""Attention over sequences laid end to end: of a sequence to itself, causal or not, and of one sequence to another.

A plan is made once per batch and shared by all layers. There are three kinds, with equal results; ``auto`` is the first
where it works, else the second:

* ``varlen``: flash attention over packed sequences (CUDA, half precision);
* ``buckets`` (everywhere else): sequences are sorted by length, and those of similar length are padded together; if
  all lengths are equal, this is a plain reshape without a mask;
* ``plain``: one padded block and an explicit softmax, the reference that the others are tested against.

``plan.py`` has the plans, ``compute.py`` what layers call, ``flash.py`` the kernel for GPUs, ``kernels.py`` the
gradients written by hand for the CPU.
"""

from fairseq_xalign.models.attention.compute import attend, attend_memory
from fairseq_xalign.models.attention.kernels import HALF, select_rows
from fairseq_xalign.models.attention.plan import BUCKET_PADDING, DecoderPlan, MemoryPlan, Plan, choose

__all__ = [
    "BUCKET_PADDING",
    "HALF",
    "DecoderPlan",
    "MemoryPlan",
    "Plan",
    "attend",
    "attend_memory",
    "choose",
    "select_rows",
]
