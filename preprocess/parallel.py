"""Work done by several processes, its results in the order of the jobs.

Each worker has a pipe of its own: when the parent is killed, even by SIGKILL, the pipe ends and so does the worker. At
most ``QUEUED`` jobs wait for each worker, so that memory does not grow with the number of jobs.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from fairseq_xalign.errors import UserError, explained

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")
QUEUED = 3
BLOCK = 1000
"""Jobs that are sent at once where one child has them all."""
PR_SET_PDEATHSIG = 1
"""Linux's call: the signal that this process gets when its parent ends."""


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    setup: Callable[[], State], work: Callable[[State, Job], Result], jobs: Iterable[Job], workers: int
) -> Generator[Result, None, None]:
    """Yield ``work(state, job)`` for every job, in order.

    Args:
        setup: called once in every worker, makes its state.
        work: called with that state and a job. Both must pickle by name: workers are spawned.
        jobs: taken as they are needed; job number i is done by worker i mod ``workers``, after its earlier ones.
        workers: processes; with 1, or a single job, all is done in this process.

    Raises:
        UserError: whatever ``work`` raised; or a worker died.
    """
    jobs = iter(jobs)
    first = list(itertools.islice(jobs, 2))
    jobs = itertools.chain(first, jobs)
    if workers <= 1 or len(first) < 2:
        state = setup()
        for job in jobs:
            yield work(state, job)
        return
    context = multiprocessing.get_context("spawn")
    team: list[tuple[Any, Connection]] = []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, setup, work), daemon=True)
            _start(process)
            theirs.close()
            team.append((process, ours))
        waiting: deque[tuple[Any, Connection]] = deque()
        turns = itertools.cycle(team)
        for job in jobs:
            if len(waiting) == QUEUED * workers:
                yield _receive(*waiting.popleft())
            process, pipe = next(turns)
            waiting.append((process, pipe))
            _send(process, pipe, job)
        while waiting:
            yield _receive(*waiting.popleft())
    finally:
        for process, pipe in team:
            pipe.close()
            process.terminate()
            process.join()


def apart(work: Callable[[Iterator[Job]], Result], jobs: Iterable[Job]) -> Result:
    """What ``work(jobs)`` returns, computed in a child process: for a library that computes for long without Python.

    Python acts on a signal only when such a library has returned. Here this process waits, and Ctrl-C or SIGTERM ends
    the child at once.

    Args:
        work: called with an iterator of the jobs. It and its result must pickle: the child is spawned.
        jobs: taken in this process, and sent in blocks.

    Raises:
        UserError: whatever ``work`` or the iteration over ``jobs`` raised; or the child died.
    """
    context = multiprocessing.get_context("spawn")
    theirs_in, ours_out = context.Pipe(duplex=False)
    ours_in, theirs_out = context.Pipe(duplex=False)
    process = context.Process(target=_serve_once, args=(theirs_in, theirs_out, work), daemon=True)
    try:
        _start(process)
        theirs_in.close()
        theirs_out.close()
        jobs = iter(jobs)
        with contextlib.suppress(BrokenPipeError):  # it failed before it had them all, and says why
            while block := list(itertools.islice(jobs, BLOCK)):
                ours_out.send(block)
            ours_out.send([])
        return _receive(process, ours_in)
    finally:
        ours_out.close()
        ours_in.close()
        if process.pid is not None:
            process.kill()
            process.join()


def _start(process: Any) -> None:
    """Start a process that Ctrl-C at the terminal does not reach, which goes to all: its parent ends it."""
    resource_tracker.ensure_running()  # it is started along otherwise, and lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(process: Any, pipe: Connection, job: Any) -> None:
    try:
        pipe.send(job)
    except OSError:
        raise _died(process) from None


def _receive(process: Any, pipe: Connection) -> Any:
    try:
        result, error = pipe.recv()
    except (EOFError, OSError):
        raise _died(process) from None
    if error is not None:
        raise error
    return result


def _died(process: Any) -> UserError:
    process.join(5)
    code = process.exitcode
    how = (
        f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with status {code}"
    )
    return UserError(f"a worker process {how}", remedy="Memory may have run out: try fewer --workers, or less text")


def _serve_once(jobs: Connection, answers: Connection, work: Callable[[Iterator[Any]], Any]) -> None:
    """The life of the child of :func:`apart`. Linux ends it if its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    blocks = iter(jobs.recv, [])
    answer = _answer(lambda: work(itertools.chain.from_iterable(blocks)))
    jobs.close()
    answers.send(answer)


def _answer(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """(what ``work()`` returns, None) or (None, the error to raise in the parent)."""
    try:
        return work(), None
    except Exception as error:
        return None, explained(error) or RuntimeError(f"in a worker process:\n{traceback.format_exc()}")


def _serve(pipe: Connection, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
    """A worker's life: jobs in, (result, None) or (None, error) out, until the pipe ends."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    state: Any = None
    ready = False
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        if not ready:
            answer = _answer(setup)
            state, ready = answer[0], answer[1] is None
        if ready:
            answer = _answer(functools.partial(work, state, job))
        try:
            pipe.send(answer)
        except OSError:
            return
