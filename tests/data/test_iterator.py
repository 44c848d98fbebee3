"""The iterator: one global order for any number of workers and loader processes, resumable anywhere."""

import signal
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.iterator import APART, BatchIterator, ValidationIterator
from fairseq_xalign.data.windows import Place, Planner, one_pass
from fairseq_xalign.errors import UserError
from tests.support.toy import bitext, collater, mono, planner

LANGUAGES = {"en": 1, "de": 2}


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    lengths = [2 + i * 7 % 13 for i in range(90)]
    return [
        mono(folder, "en", lengths),
        mono(folder, "de", lengths[:40], seed=2),
        bitext(folder, ("en", "de"), lengths[:30]),
    ]


def iterator(streams, rank=0, world=1, freq=1, workers=0, updates=12, seed=1, fingerprint=None):
    plan = planner(streams, [0.6, 0.25, 0.15], window=16, seed=seed)
    return BatchIterator(
        plan, collater(streams, LANGUAGES), fingerprint or {"--seed": seed}, rank, world, [freq], updates, workers
    )


def flat(sample) -> tuple:
    """Everything in a sample that training sees, comparable."""
    return tuple(
        (kind, *(tuple(v.tolist()) if isinstance(v, torch.Tensor) else v for v in values.values()))
        for kind, values in sorted(sample["streams"].items())
    )


def epochs(it, count=1) -> list[list[tuple]]:
    return [[flat(s) for s in it.next_epoch_itr()] for _ in range(count)]


def test_loader_processes_change_nothing(streams):
    alone = epochs(iterator(streams), 2)
    for workers in (1, 2, 3):
        assert epochs(iterator(streams, workers=workers), 2) == alone


def test_masks_differ_from_epoch_to_epoch_with_loader_processes(streams):
    """fairseq's epoch-keyed data sets repeat the first epoch's masks there (workers never see the epoch)."""
    it = iterator(streams, workers=2, updates=40)
    seen: dict[tuple, set[tuple]] = {}
    for _ in range(3):
        for sample in it.next_epoch_itr():
            batch = sample["streams"].get("mono")
            if batch is None:
                continue
            starts = batch["starts"].tolist()
            for unit, a, b in zip(map(tuple, sample["units"]["mono"].tolist()), starts, starts[1:]):
                seen.setdefault(unit, set()).add(tuple(batch["tokens"][a:b].tolist()))
    repeated = [u for u, texts in seen.items() if len(texts) > 1]
    assert len(repeated) > len(seen) / 2


WHOLE: list = []


def whole_run(streams):
    """Two epochs on one worker, made once."""
    if not WHOLE:
        WHOLE.extend(epochs(iterator(streams, freq=4, updates=6), 2))
    return WHOLE


def test_loader_processes_resume_in_the_middle_of_an_epoch(streams):
    it = iterator(streams, workers=2)
    taken = it.next_epoch_itr()
    first = [flat(next(taken)) for _ in range(5)]
    again = iterator(streams, workers=3)
    again.load_state_dict(it.state_dict())
    assert first + epochs(again)[0] == epochs(iterator(streams))[0]
    taken.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_loader_processes_go_on_after_a_signal_to_every_process_of_the_job(streams, number):
    taken = iterator(streams, workers=2).next_epoch_itr()
    found = [flat(next(taken)) for _ in range(2)]  # one from each: both have begun
    loaders = torch.multiprocessing.active_children()
    assert len(loaders) == 2
    for loader in loaders:  # from a process that is not their parent
        subprocess.run(["kill", f"-{int(number)}", str(loader.pid)], check=True)
    found += [flat(sample) for sample in taken]
    assert found == epochs(iterator(streams))[0]
    taken.close()


def test_loader_processes_end_at_once_when_their_parent_ends_them(streams):
    taken = iterator(streams, workers=2).next_epoch_itr()
    next(taken)
    loaders = torch.multiprocessing.active_children()
    assert len(loaders) == 2
    for loader in loaders:
        loader.terminate()
        loader.join(20)
        assert not loader.is_alive()


def test_a_loader_process_that_has_only_begun_keeps_its_parents_signal(streams):
    """It is a copy of the training process, whose own way of stopping (a flag) would end nothing there."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        for _ in range(10):  # at another moment of their beginning every time
            taken = iterator(streams, workers=2).next_epoch_itr()
            loaders = torch.multiprocessing.active_children()
            for loader in loaders:
                loader.terminate()
            for loader in loaders:
                loader.join(20)
                assert not loader.is_alive()
            taken.close()
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_workers_take_turns_in_the_one_global_order(streams):
    alone = epochs(iterator(streams, freq=4, updates=6))[0]
    for world, freq in ((2, 2), (4, 1)):
        parts = [epochs(iterator(streams, rank, world, freq, updates=6))[0] for rank in range(world)]
        assert [parts[g % world][g // world] for g in range(24)] == alone


@given(
    st.integers(0, 5),
    st.sampled_from([(1, 4), (2, 2), (4, 1)]),
    st.sampled_from([(1, 4), (2, 2), (4, 1)]),
)
@settings(max_examples=12, deadline=None)
def test_resuming_anywhere_on_any_number_of_workers_continues_the_same_order(streams, stop, before, after):
    whole = whole_run(streams)
    states = []
    for rank in range(before[0]):
        it = iterator(streams, rank, *before, updates=6)
        taken = it.next_epoch_itr()
        for _ in range(stop * before[1]):
            next(taken)
        states.append(it.state_dict())
    assert all(state == states[0] for state in states), "the place is the same on all ranks"
    rest = []
    for rank in range(after[0]):
        it = iterator(streams, rank, *after, updates=6)
        it.load_state_dict(states[0])
        rest.append(epochs(it, 2))
    for epoch in range(2):
        dealt = [rest[g % after[0]][epoch][g // after[0]] for g in range(len(rest[0][epoch]) * after[0])]
        same = dealt == whole[epoch][4 * stop if epoch == 0 else 0 :]
        assert same, (stop, before, after, epoch)


def test_a_state_taken_at_the_end_of_an_epoch_begins_the_next(streams):
    it = iterator(streams)
    first = epochs(it)[0]
    assert it.end_of_epoch() and it.next_epoch_idx == 2
    again = iterator(streams)
    again.load_state_dict(it.state_dict())
    assert again.next_epoch_idx == 2 and epochs(again) == epochs(it) != [first]


def test_prefetching_does_not_move_the_place(streams):
    it, plain = iterator(streams, workers=2), iterator(streams)
    iterators = [each.next_epoch_itr() for each in (it, plain)]
    for taken in iterators:
        for _ in range(5):
            next(taken)
    assert it.state_dict() == plain.state_dict()
    iterators[0].close()


def test_a_changed_setting_is_refused_by_name(streams):
    state = iterator(streams, fingerprint={"--max-tokens": 64}).state_dict()
    with pytest.raises(UserError, match="--max-tokens was 64, is 128.*--reset-dataloader"):
        iterator(streams, fingerprint={"--max-tokens": 128}).load_state_dict(state)


@pytest.mark.parametrize(("before", "after"), [("sum", None), (None, "sum")])
def test_a_setting_that_only_one_of_the_runs_has_is_refused(streams, before, after):
    """``--objective-mix sum`` cuts other batches than the default, which the state does not name."""
    fingerprints = [{"--seed": 1} | ({"--objective-mix": mix} if mix else {}) for mix in (before, after)]
    state = iterator(streams, fingerprint=fingerprints[0]).state_dict()
    with pytest.raises(UserError, match=f"--objective-mix was {before}, is {after}"):
        iterator(streams, fingerprint=fingerprints[1]).load_state_dict(state)


def test_a_run_that_an_earlier_version_began_goes_on_in_its_own_order(streams):
    """Its windows held as many draws as asked for, and what they drew again beside what it repeats."""

    def made(window, apart, fingerprint):
        plan = Planner(streams, np.array([0.6, 0.25, 0.15]), window, Budget(sequences=4), 1, apart=apart, asked=300)
        return BatchIterator(plan, collater(streams, LANGUAGES), fingerprint, 0, 1, [1], 12, 0)

    old, new = {"--seed": 1, "window": 300}, {"--seed": 1, "window": 20, APART: True}
    before = made(300, False, old)
    epochs(before)
    state = before.state_dict()
    resumed = made(20, True, new)
    resumed.load_state_dict(state)
    assert epochs(resumed, 2) == epochs(before, 2) != epochs(made(20, True, new), 3)[1:]
    assert resumed.state_dict()["fingerprint"] == old
    with pytest.raises(UserError, match="window was 250, is 20"):
        made(20, True, new).load_state_dict(state | {"fingerprint": old | {"window": 250}})


def test_a_state_of_fairseqs_own_iterator_is_refused_with_a_remedy(streams):
    with pytest.raises(UserError, match="--finetune-from-model"):
        iterator(streams).load_state_dict({"epoch": 1, "version": 2, "iterations_in_epoch": 3, "shuffle": True})


def test_an_epoch_is_about_one_pass_over_the_largest_stream_by_default(streams):
    it = iterator(streams, updates=None)
    draws = sum(len(s["units"].get("mono", [])) + len(s["units"].get("bitext", [])) for s in it.next_epoch_itr())
    assert draws == pytest.approx(90 / 0.6, rel=0.25)


def huge(pass_in_batches, **options):
    """An iterator over one stream of that many batches per pass, of which only the first window is planned."""
    window = SimpleNamespace(batches=[None] * 8)
    plan = SimpleNamespace(
        streams=[range(pass_in_batches * 16), range(16)], probabilities=[1.0, 0.0], window=128,
        plan=lambda place: window, start=lambda: Place(),
    )  # fmt: skip
    return BatchIterator(plan, None, {}, 0, options.pop("world", 1), [options.pop("freq", 1)], None, 0, **options)


@pytest.mark.parametrize(("world", "freq", "updates"), [(1, 1, 410_000), (2, 1, 205_000), (2, 4, 51_250)])
def test_whole_passes_have_no_cap(world, freq, updates):
    """As with PPA's pairs: five epochs are five passes, not 50,000 updates."""
    assert huge(410_000, world=world, freq=freq, whole_passes=True).updates_per_epoch == updates
    assert huge(410_000, world=world, freq=freq).updates_per_epoch == 10_000


def test_a_resumed_run_keeps_the_epoch_it_began_with():
    """... whether or not --max-epoch is added or left out when it resumes."""
    for before, after in ((False, True), (True, False)):
        state = huge(12_271, whole_passes=before).state_dict()
        again = huge(12_271, whole_passes=after)
        again.load_state_dict(state)
        assert again.updates_per_epoch == (12_271 if before else 10_000)


def test_another_seed_gives_another_order(streams):
    one, other = epochs(iterator(streams, seed=1)), epochs(iterator(streams, seed=2))
    different = one != other
    assert different


def test_a_rank_without_a_validation_batch_still_has_a_first_batch_to_stand_in(streams):
    windows = one_pass(streams[:1], Budget(tokens=10_000), 1, 1000)
    iterators = [ValidationIterator(windows, collater(streams[:1], LANGUAGES), rank, 4) for rank in range(4)]
    assert {len(it) for it in iterators} == {1} and all(it.first_batch["ntokens"] > 0 for it in iterators)
    assert [bool(next(iter(it.next_epoch_itr()))) for it in iterators] == [True, False, False, False]


def test_a_stream_without_weight_is_never_drawn_and_does_not_set_the_epoch(streams):
    plan = planner(streams, [0.0, 1.0, 0.0], window=16)
    it = BatchIterator(plan, collater(streams, LANGUAGES), {}, 0, 1, [1], None, 0)
    samples = list(it.next_epoch_itr())
    assert {s for sample in samples for s, _ in sample["units"]["mono"].tolist()} == {1}
    assert sum(len(sample["units"]["mono"]) for sample in samples) == pytest.approx(40, abs=16)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_sees_every_unit_once_and_the_same_masks_every_time(streams, world):
    windows = one_pass(streams, Budget(tokens=64), 1, 50)
    build = collater(streams, LANGUAGES)
    units, first, second = [], [], []
    for rank in range(world):
        it = ValidationIterator(windows, build, rank, world)
        for samples, store in ((it.next_epoch_itr(), first), (it.next_epoch_itr(), second)):
            for sample in samples:
                store.append(flat(sample) if sample else None)
                if store is first and sample:
                    units += [tuple(u) for rows in sample["units"].values() for u in rows.tolist()]
    assert first == second
    assert sorted(units) == [(s, u) for s, stream in enumerate(streams) for u in range(len(stream))]
