"""Worker processes: results in order, errors brought home, no worker left behind."""

import itertools
import os
import signal
import time
from functools import partial

import pytest

from fairseq_xalign.errors import UserError
from preprocess.parallel import QUEUED, apart, map_in_order


def state(number=3):
    return number


def work(state, job):
    time.sleep(0.01 * (job % 3))  # later jobs may be done earlier
    return state * job, os.getpid()


def fail(state, job):
    if job == 5:
        raise UserError("bad", "file", 7, "fix it")
    if job == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    if job == 7:
        return {}["nothing"]
    return job


def fail_to_start():
    raise UserError("no tokenizer")


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(workers):
    results = list(map_in_order(partial(state, 4), work, iter(range(20)), workers))
    assert [value for value, _ in results] == [4 * job for job in range(20)]
    assert len({process for _, process in results}) == workers


def test_a_single_job_starts_no_process():
    assert list(map_in_order(state, work, [2], 4)) == [(6, os.getpid())]
    assert list(map_in_order(state, work, [], 4)) == []


def test_jobs_are_taken_as_they_are_needed():
    taken = []
    jobs = (taken.append(job) or job for job in itertools.count())
    results = map_in_order(state, work, jobs, 2)
    assert next(results)[0] == 0
    assert len(taken) <= 2 * QUEUED + 2
    results.close()


@pytest.mark.parametrize(
    "job, kind, message",
    [
        (5, UserError, "file:7: bad. fix it"),
        (6, UserError, "was killed by SIGKILL"),
        (7, RuntimeError, "KeyError: 'nothing'"),
    ],
)
def test_an_error_in_a_worker_comes_home(job, kind, message):
    results = map_in_order(state, fail, [0, 1, job, 2], 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(kind, match=message):
        list(results)


def test_a_worker_that_cannot_start_says_why():
    with pytest.raises(UserError, match="no tokenizer"):
        list(map_in_order(fail_to_start, work, [1, 2], 2))


def total(numbers, failure=None):
    if failure == "memory":
        raise MemoryError
    return sum(fail(None, number) for number in numbers), os.getpid()


def test_work_apart_is_done_in_another_process_and_answers():
    found, process = apart(total, itertools.chain(range(5), range(8, 3000)))
    assert found == sum(range(3000)) - 5 - 6 - 7 and process != os.getpid()


@pytest.mark.parametrize(
    ("job", "kind", "message"),
    [(5, UserError, "file:7: bad. fix it"), (6, UserError, "was killed by SIGKILL"), (7, RuntimeError, "KeyError")],
)
def test_an_error_of_work_apart_comes_home(job, kind, message):
    with pytest.raises(kind, match=message):
        apart(total, itertools.chain([job], range(100_000, 200_000)))


def test_memory_that_ran_out_in_work_apart_is_explained():
    with pytest.raises(UserError, match="memory ran out"):
        apart(partial(total, failure="memory"), [1])


def test_a_mistake_among_the_jobs_of_work_apart_is_reported():
    def jobs():
        yield 1
        raise UserError("bad line", "file", 2)

    with pytest.raises(UserError, match="file:2: bad line"):
        apart(total, jobs())
