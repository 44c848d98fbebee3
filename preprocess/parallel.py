"""Work done by several processes, its results in the order of the jobs.

Each worker has a pipe of its own: when the parent is killed, even by SIGKILL, the pipe ends and so does the worker. At
most ``QUEUED`` jobs wait for each worker, so that memory does not grow with the number of jobs.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from fairseq_xalign.errors import UserError

State = TypeVar("State")
Job = TypeVar("Job")
Result = TypeVar("Result")
QUEUED = 3


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
            process.start()
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
    return UserError(f"a worker process {how}", remedy="Memory may have run out: try fewer --workers")


def _serve(pipe: Connection, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> None:
    """A worker's life: jobs in, (result, None) or (None, error) out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the team
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    state: Any = None
    ready = False
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        answer: tuple[Any, Exception | None]
        try:
            if not ready:
                state, ready = setup(), True
            answer = (work(state, job), None)
        except UserError as error:
            answer = (None, error)
        except Exception:
            answer = (None, RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))
        try:
            pipe.send(answer)
        except OSError:
            return
