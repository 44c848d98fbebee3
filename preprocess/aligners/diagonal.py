"""Our own word aligner: the model of fast_align (:mod:`preprocess.aligners.diagonal_model`) over distinct word pairs.

One process per direction, each on one core, so that the number of processes changes nothing. The text lies on disk as
numbers (:mod:`preprocess.aligners.numbered_text`): 4 bytes for each pair of words that meet in a sentence pair, each as
often as it does. Memory grows with the distinct pairs of words, 12 bytes for each and direction.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign import cli
from fairseq_xalign.data.formats.pharaoh import Links
from fairseq_xalign.errors import counted
from preprocess.aligners import diagonal_model as model
from preprocess.aligners.diagonal_model import Settings
from preprocess.aligners.numbered_text import NumberedText, mapped, number_text
from preprocess.parallel import available_cores, map_in_order
from preprocess.words import check_parallel

FEW_LINES = 2000
"""Up to so many sentence pairs one process is faster: starting another takes longer than linking them."""
PARTS = 16
"""A round of estimation is done in so many steps, after each of which the progress bar moves."""
Job = tuple[int, int, int]
"""Which side is given (0 source, 1 target), round, part of it; the round after the last one makes the links."""


class Direction:
    """One direction: the words of one side are given and emit those of the other.

    Attributes:
        given: 0 if the source is given, 1 if the target is.
        translation: [number of word pairs] t, float32.
        null: [words] t of the empty word, float32.
        tension: lambda.
    """

    def __init__(self, text: NumberedText, given: int, settings: Settings) -> None:
        self.text, self.given, self.settings = text, given, settings
        self.axis = 1 - given  # of [m, n], target and source
        self.tension = settings.tension
        words = text.words[1 - given]
        # At first all words are equally likely; only their ratio to the empty word's matters, which is 1.
        self.translation = np.full(len(text.pairs[0]), 1 / max(1, words), np.float32)
        self.null = np.full(words, 1 / max(1, words), np.float32)
        self._start()

    def _start(self) -> None:
        self.sums = model.Expected(np.zeros(len(self.translation)), np.zeros(len(self.null)))

    def expect(self, part: int, uniform: bool) -> None:
        """Sum up the expected links of one part of the text."""
        null = (self.settings.null * self.null).astype(np.float32)
        for chunk, where in self._chunks(part, 0.0 if uniform else self.tension):
            emitted = self.text.words_of(1 - self.given, chunk)
            ids = self.text.ids_of(chunk)
            model.expect(self.sums, ids, emitted, self.translation, null, where, self.axis)

    def maximise(self, learn_tension: bool) -> None:
        """Take the parameters that the expected links call for, and start anew."""
        alpha = self.settings.alpha
        model.maximise(
            self.sums.counts, self.text.pairs[self.given], self.text.words[self.given], alpha, self.translation
        )
        model.maximise(self.sums.null, np.zeros(len(self.null), np.int32), 1, alpha, self.null)
        if learn_tension:
            self.tension = model.next_tension(self.tension, self.sums)
        self._start()

    def link(self, part: int, found: np.ndarray) -> None:
        """Write the best place of each emitted word of one part of the text: [words] int32, from 1, or 0 for none."""
        null = (self.settings.null * self.null).astype(np.float32)
        side = 1 - self.given
        for chunk, where in self._chunks(part, self.tension):
            emitted = self.text.words_of(side, chunk)
            best = model.best(self.text.ids_of(chunk), emitted, self.translation, null, where, self.axis)
            begins = self.text.starts[side][self.text.order[chunk.first : chunk.last]]
            found[begins[:, None] + np.arange(best.shape[1])] = best

    def _chunks(self, part: int, tension: float) -> Iterator[tuple[Any, model.Places]]:
        """The chunks of one part, and where words are linked in them."""
        bounds = np.searchsorted(
            [chunk.begin for chunk in self.text.chunks], [self.text.cells * p / PARTS for p in (part, part + 1)]
        )
        shape, where = None, None
        for chunk in self.text.chunks[bounds[0] : bounds[1]]:
            if where is None or shape != chunk.shape[1:]:
                shape = chunk.shape[1:]
                where = model.places(shape, self.axis, tension, self.settings.null)
            yield chunk, where


class Estimation:
    """What a worker process keeps: the text and the direction or directions that it estimates."""

    def __init__(self, folder: str, words: tuple[int, int], settings: Settings) -> None:
        self.text = NumberedText(folder, words).open_pairs()
        self.settings = settings
        self.directions: dict[int, Direction] = {}

    def run(self, job: Job) -> float:
        """Do one step; return the log-likelihood of the text so far in this round."""
        given, number, part = job
        direction = self.directions.get(given)
        if direction is None:
            direction = self.directions[given] = Direction(self.text, given, self.settings)
        if number == self.settings.iterations:
            direction.link(part, mapped(Path(self.text.folder) / f"links.{given}", np.int32, "r+"))
            return 0.0
        uniform = number < self.settings.uniform
        direction.expect(part, uniform)
        reached = direction.sums.log_likelihood
        if part == PARTS - 1:
            direction.maximise(self.settings.learn_tension and not uniform)
        return reached


def directions(
    source: str, target: str, words: str = "split", settings: Settings | None = None, processes: int | None = None
) -> Iterator[tuple[Links, Links]]:
    """The links of every line: each target word's to its best source word, and each source word's to its best target.

    Args:
        source, target: text files whose lines are translations of each other.
        words: what a word is, a key of ``WORD_KINDS``.
        settings: how the model is estimated.
        processes: at most; two are used, one per direction. None takes the available cores.

    Raises:
        UserError: see ``check_parallel`` and ``read_lines``.
    """
    total = check_parallel(source, target)
    processes = min(2, processes or (available_cores() if total > FEW_LINES else 1))
    with tempfile.TemporaryDirectory(prefix="xalign-links-") as folder:
        text = number_text((source, target), words, folder, processes)
        if text.too_long:
            pairs = counted(text.too_long, "sentence pair")
            cli.say(f"{pairs} left without links, being too long (over 1,000 words on both sides)")
        if len(text.pairs[0]):
            _estimate(text, settings or Settings(), processes)
            yield from cli.progress(_linked(text), "link", total)
        else:
            yield from ((set(), set()) for _ in range(total))


def _estimate(text: NumberedText, settings: Settings, processes: int) -> None:
    """Estimate both directions and write their links."""
    for given in (0, 1):
        tokens = text.tokens[1 - given]
        with open(text.folder / f"links.{given}", "wb") as stream:  # written, so that a full disk is an error here
            for begin in range(0, len(tokens), 1 << 20):
                stream.write(bytes(4 * min(1 << 20, len(tokens) - begin)))
    cli.say(
        f"linking {counted(len(text.order), 'sentence pair')} with {len(text.pairs[0])} distinct pairs of words, "
        f"in {counted(processes, 'process', 'processes')}"
    )
    steps = settings.iterations + 1
    # Job i is done by process i mod processes: each direction stays in one.
    jobs: list[Job] = [(given, number, part) for number in range(steps) for part in range(PARTS) for given in (0, 1)]
    make = partial(Estimation, str(text.folder), text.words, settings)
    with closing(map_in_order(make, Estimation.run, jobs, processes)) as results:
        for _ in cli.progress(results, "estimate", len(jobs)):
            pass


def _linked(text: NumberedText) -> Iterator[tuple[Links, Links]]:
    """The links of both directions, line by line."""
    forward, backward = (mapped(text.folder / f"links.{given}", np.int32) for given in (0, 1))
    starts = [starts.tolist() for starts in text.starts]
    for line in range(len(starts[0]) - 1):
        there = forward[starts[1][line] : starts[1][line + 1]].tolist()
        back = backward[starts[0][line] : starts[0][line + 1]].tolist()
        yield {(s - 1, t) for t, s in enumerate(there) if s}, {(s, t - 1) for s, t in enumerate(back) if t}
