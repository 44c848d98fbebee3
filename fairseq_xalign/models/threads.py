"""Independent batches on all cores: each in a thread of its own, in which torch computes with one thread.

Splitting every matrix product between the cores leaves them waiting for each other after each, and the smaller the
model, the more so. Batches that are computed side by side wait for nothing but the last one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield ``work(item)`` of each item in order, computing up to ``threads`` of them at a time.

    Few items are read ahead, so that memory does not grow with their number. torch's number of threads is the same
    afterwards. Modes of torch that belong to a thread, such as ``inference_mode``, must be entered by ``work``.
    """
    if threads <= 1:
        yield from map(work, items)
        return
    before = torch.get_num_threads()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(before)
