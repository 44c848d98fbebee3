"""Batches in one global order, resumable at any point: what fairseq's trainer iterates over.

An *epoch* is a number of updates. Batch g of the endless global sequence goes to rank ``g mod W``
as its micro-batch ``g div W``; loader process k of n prepares micro-batches ``m mod n = k``. The place
that follows a batch travels with it, so that prefetching does not matter. The state is (window, batch):
it is the same on all ranks, and valid for any number of workers, loader processes or micro-batches.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fairseq_xalign.data.windows import Place, Planner, Window
from fairseq_xalign.errors import UserError

Collate = Callable[[Window, int], dict[str, Any]]
"""Builds the sample of one batch of a window."""
STATE_VERSION = 2
"""fairseq reads ``iterations_in_epoch`` from states of version 2."""
APART = "repeats apart"
"""What the state of a run says whose windows put what they draw again into other batches."""
MOST_UPDATES_AN_EPOCH = 10_000
"""Longest epoch of a run that has no ``--max-epoch``: validation and checkpoints come at the end of an epoch."""


@contextlib.contextmanager
def _born_without_sigterm() -> Iterator[None]:
    """Start loader processes with SIGTERM blocked from their first instruction on.

    Otherwise one that comes before `_outlive_a_stop_signal` has run meets the handler of the training process, of which
    a loader process is a copy, and is lost: whoever waits for the end of the process then waits for ever.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS does not say who sent a signal
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outlive_a_stop_signal(_: int) -> None:
    """Let a loader process ignore the first SIGTERM that is not its parent's, and SIGUSR1.

    Batch systems signal every process of a job. Training itself then saves a checkpoint after the current update, for
    which it needs its loader processes. The parent's own SIGTERM, with which torch and multiprocessing end them, ends
    them at once: otherwise the parent would wait for them for ever. SIGTERM is blocked (`_born_without_sigterm`), and
    a thread takes it and sees who sent it.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_when_told, args=(os.getppid(),), daemon=True).start()


def _end_when_told(parent: int) -> None:
    """End this process at its parent's SIGTERM, or at the second one of anybody else."""
    for ignored in (True, False):
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == parent or not ignored:
            os._exit(0)


class _Walk(IterableDataset):
    """A rank's micro-batches from a place on, with the place that follows each round."""

    def __init__(self, planner: Planner, collater: Collate, place: Place, steps: int, rank: int, world: int) -> None:
        self.planner, self.collater, self.place = planner, collater, place
        self.steps, self.rank, self.world = steps, rank, world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        if worker is None:
            yield from self._samples(0, 1)
            return
        try:
            yield from self._samples(worker.id, worker.num_workers)
        except UserError as error:  # raised here, torch would wrap it in the text of a traceback
            yield {"error": error}

    def _samples(self, k: int, n: int) -> Iterator[dict[str, Any]]:
        """Every ``n``-th micro-batch from number ``k`` on."""
        place, batch = self.place, self.place.batch
        window = self.planner.plan(place)
        for m in range(self.steps):
            mine: tuple[Window, int, Place] | None = None
            for r in range(self.world):
                while batch >= len(window.batches):
                    place, batch = window.following, 0
                    window = self.planner.plan(place)
                if r == self.rank:
                    mine = (window, batch, place)
                batch += 1
            assert mine is not None
            if m % n != k:
                continue
            sample = self.collater(mine[0], mine[1])
            sample["number"] = [mine[2].window, mine[1]]
            sample["place"] = {**place.to_dict(), "batch": batch}
            yield sample


class EpochIterator:
    """One epoch's micro-batches of one rank, with fairseq's ``CountingIterator`` interface."""

    def __init__(self, batches: Iterator[dict[str, Any]], start: int, total: int, consumed: Callable) -> None:
        self._batches, self.n, self.total, self._consumed = batches, start, total, consumed

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> EpochIterator:
        return self

    def has_next(self) -> bool:
        return self.n < self.total

    def take(self, n: int) -> EpochIterator:
        self.total = min(self.total, n)
        return self

    def __next__(self) -> dict[str, Any]:
        if not self.has_next():
            raise StopIteration
        begin = time.perf_counter()
        sample = next(self._batches)
        if "error" in sample:
            self.close()
            raise sample["error"]
        self.n += 1
        self._consumed(sample, time.perf_counter() - begin)
        if not self.has_next():
            self.close()
        return sample

    def close(self) -> None:
        """End the loader processes now; if this is left to the garbage collector, torch waits five seconds for each."""
        self._batches = iter(())


class BatchIterator:
    """Endless training batches, one epoch at a time (fairseq's ``EpochBatchIterating``).

    Args:
        planner, collater: where batches come from.
        fingerprint: what the order of draws depends on; a state with another is refused.
        rank, world: of this worker.
        update_freq: micro-batches per update, for each epoch (the last value also applies to later epochs).
        updates_per_epoch: length of an epoch; None stands for about one pass over the largest stream.
        num_workers: number of loader processes; 0 loads the data in this process.
        buffer: batches that each loader process keeps ready.
        epoch: the epoch to begin with, from 1.
        pinned: whether batches are put into pinned memory, as a GPU wants them.
        whole_passes: whether an epoch of None is the whole pass, however long. Otherwise it ends after 10,000 updates.
    """

    def __init__(
        self,
        planner: Planner,
        collater: Collate,
        fingerprint: dict[str, Any],
        rank: int,
        world: int,
        update_freq: Sequence[int],
        updates_per_epoch: int | None,
        num_workers: int,
        buffer: int = 4,
        epoch: int = 1,
        whole_passes: bool = False,
        pinned: bool = False,
    ) -> None:
        self.planner, self.collater, self.fingerprint = planner, collater, fingerprint
        self.rank, self.world, self.update_freq = rank, world, list(update_freq)
        self.num_workers, self.buffer, self.epoch, self.pinned = num_workers, max(2, buffer), epoch, pinned
        self.place = planner.start()
        self.updates_per_epoch = updates_per_epoch or self._one_pass()
        if not updates_per_epoch and not whole_passes:
            self.updates_per_epoch = min(self.updates_per_epoch, MOST_UPDATES_AN_EPOCH)
        self._resume_update = 0
        self._current: EpochIterator | None = None
        self._waited, self._clock = 0.0, time.perf_counter()

    def _one_pass(self) -> int:
        """Estimate from the first window how many updates one pass over the largest stream takes."""
        window = self.planner.plan(self.planner.start())
        sizes = [len(s) for s in self.planner.streams]
        drawn_from = [i for i in range(len(sizes)) if self.planner.probabilities[i] > 0]
        largest = max(drawn_from, key=sizes.__getitem__)
        draws = sizes[largest] / self.planner.probabilities[largest]
        batches = draws * len(window.batches) / self.planner.window
        return max(1, math.ceil(batches / (self.world * self.freq(1))))

    def freq(self, epoch: int) -> int:
        """Return the micro-batches per update in this epoch (from 1), as ``--update-freq`` says."""
        return self.update_freq[min(epoch, len(self.update_freq)) - 1]

    def __len__(self) -> int:
        return self.updates_per_epoch * self.freq(self.epoch)

    @property
    def next_epoch_idx(self) -> int:
        return self.epoch + 1 if self._current is not None and self.end_of_epoch() else self.epoch

    @property
    def first_batch(self) -> dict[str, Any]:
        """Return a real batch, which fairseq keeps for ranks without one (there are none here)."""
        return next(iter(_Walk(self.planner, self.collater, self.place, 1, self.rank, self.world)))

    @property
    def iterations_in_epoch(self) -> int:
        return self._current.n if self._current is not None else self._resume_update * self.freq(self.epoch)

    def end_of_epoch(self) -> bool:
        return self._current is not None and not self._current.has_next()

    def next_epoch_itr(
        self, shuffle: bool = True, fix_batches_to_gpus: bool = False, set_dataset_epoch: bool = True
    ) -> EpochIterator:
        """The (rest of the) next epoch."""
        self.epoch = self.next_epoch_idx
        if self._current is not None:
            self._current.close()
        freq = self.freq(self.epoch)
        start, total = self._resume_update * freq, self.updates_per_epoch * freq
        self._resume_update = 0
        walk = _Walk(self.planner, self.collater, self.place, total - start, self.rank, self.world)
        # Pinned, batches are copied to a GPU while the host goes on.
        options: dict[str, Any] = {"batch_size": None, "pin_memory": self.pinned}
        if self.num_workers > 0:
            options |= {"num_workers": self.num_workers, "prefetch_factor": self.buffer}
            options |= {"multiprocessing_context": "fork", "worker_init_fn": _outlive_a_stop_signal}
        with _born_without_sigterm():
            batches: Iterator[dict[str, Any]] = iter(DataLoader(walk, **options))
        self._clock = time.perf_counter()
        self._current = EpochIterator(batches, start, total, self._delivered)
        return self._current

    def _delivered(self, sample: dict[str, Any], waited: float) -> None:
        self.place = Place(**sample.pop("place"))
        self._waited += waited

    def drawn(self) -> np.ndarray:
        """Return how many units of each stream have been given out so far, on all ranks together, int64 [streams]."""
        counts = np.array(self.place.drawn, dtype=np.int64)
        if self.place.batch:
            window = self.planner.plan(self.place)
            sequences = np.concatenate(window.batches[: self.place.batch])
            units = window.sequences[sequences + 1] - window.sequences[sequences]
            streams = np.repeat(window.stream[window.sequences[sequences]], units)
            counts += np.bincount(streams, minlength=len(counts))
        return counts

    def waiting_share(self) -> float:
        """Return the share of the time since the last call that was spent waiting for data, from 0 to 1."""
        now = time.perf_counter()
        share = self._waited / max(now - self._clock, 1e-9)
        self._waited, self._clock = 0.0, now
        return min(share, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return where the next update starts, in units that do not depend on the number of workers."""
        ended = self.end_of_epoch()
        return {
            "version": STATE_VERSION,
            "epoch": self.epoch + 1 if ended else self.epoch,
            "iterations_in_epoch": 0 if ended else self.iterations_in_epoch,
            "updates_in_epoch": 0 if ended else self.iterations_in_epoch // self.freq(self.epoch),
            "updates_per_epoch": self.updates_per_epoch,
            "place": self.place.to_dict(),
            "fingerprint": self.fingerprint,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where ``state`` was taken.

        Raises:
            UserError: if the order of draws has changed since then; the message names what differs.
        """
        if "place" not in state:
            raise UserError(
                "the checkpoint's place in the data is not one of this task's",
                remedy="Start from its weights with --finetune-from-model and another --save-dir",
            )
        before = state["fingerprint"]
        if APART in self.fingerprint and APART not in before and before.get("window") == self.planner.asked:
            self.planner.as_before()
            now = {name: value for name, value in self.fingerprint.items() if name != APART}
            self.fingerprint = now | {"window": self.planner.window}
        now = self.fingerprint
        changed = {
            name: (before.get(name), now.get(name))
            for name in {**now, **before}  # what only one of them has is a change too
            if before.get(name) != now.get(name)
        }
        if changed:
            said = "; ".join(f"{name} was {old}, is {new}" for name, (old, new) in changed.items())
            raise UserError(
                f"cannot resume at the exact place in the data: {said}",
                remedy="Restore these settings, or begin at the first draw again with --reset-dataloader (and without "
                "--finetune-from-model); another --seed then gives another order",
            )
        self.epoch = state["epoch"]
        self.updates_per_epoch = state["updates_per_epoch"]
        self._resume_update = state["updates_in_epoch"]
        self.place = Place(**state["place"])
        self._current = None


class ValidationIterator:
    """Every batch of fixed windows once, distributed over the ranks; the same at every call."""

    def __init__(self, windows: Sequence[Window], collater: Collate, rank: int, world: int) -> None:
        self.collater = collater
        everything = [(w, b) for w in windows for b in range(len(w.batches))]
        self.rounds = -(-len(everything) // world)
        self._first = everything[0] if everything else None  # a rank may have no batch of its own
        mine = everything[rank::world]
        # A rank without a batch in the last round gets an empty one, which fairseq ignores.
        self.items: list[tuple[Window, int] | None] = [*mine, *[None] * (self.rounds - len(mine))]
        self.epoch = 1

    def __len__(self) -> int:
        return self.rounds

    @property
    def first_batch(self) -> dict[str, Any] | str:
        return {**self.collater(*self._first), "number": [-1, 0]} if self._first else "DUMMY"

    def _samples(self) -> Iterator[dict[str, Any]]:
        for item in self.items:
            yield {**self.collater(*item), "number": [-1, 0]} if item else {}

    def next_epoch_itr(
        self, shuffle: bool = False, fix_batches_to_gpus: bool = False, set_dataset_epoch: bool = True
    ) -> EpochIterator:
        return EpochIterator(self._samples(), 0, self.rounds, lambda sample, waited: None)
