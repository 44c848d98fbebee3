"""The streams of a split that translation reads: its directions, and text for objectives on the encoder beside it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from fairseq_xalign.data.directions import (
    Direction,
    DirectionStream,
    Limits,
    available_directions,
    direction_counts,
)
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.streams import BitextStream, MonoStream, Stream
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.view import BITEXT, MONO, Settings
from fairseq_xalign.options import pair_name

logger = logging.getLogger(__name__)


def direction_streams(
    folder: DataFolder, split: str, directions: Sequence[Direction], limits: Limits, tagged: bool, training: bool
) -> list[DirectionStream]:
    """Return the streams of some directions; says in the log how many pairs each has, and how many are left out.

    Args:
        tagged: whether a ``<2xx>`` comes with each pair.
        training: whether every direction must have text; for validation one of them is enough.

    Raises:
        UserError: a direction has no text, or no pair that is neither empty nor too long.
    """
    bitext = folder.bitext(split)
    texts = {d: sides for d, sides in available_directions(bitext).items() if len(sides[0])}
    counted = direction_counts(folder.lengths(BITEXT, split), bitext)
    missing = [pair_name(direction) for direction in directions if direction not in texts]
    if missing and (training or len(missing) == len(directions)):
        raise UserError(
            f"no {split} text for {missing[0]} (it has {', '.join(map(pair_name, texts)) or 'none for any direction'})",
            folder.path,
            remedy=f"Add some with `xalign-preprocess binarize --split {split} --bitext`, or choose other --directions"
            + ("" if training else ", --valid-subset or --disable-validation"),
        )
    if missing:
        logger.info(f"{split}: no text for {', '.join(missing)}: these directions are not validated")
    streams = [
        DirectionStream(*direction, texts[direction], limits, tagged, counted.get(direction))
        for direction in directions
        if direction in texts
    ]
    for stream in streams:
        _report(folder, split, stream)
    return streams


def _report(folder: DataFolder, split: str, stream: DirectionStream) -> None:
    """Log how many pairs a direction has, and how many of them are left out; refuse one that has none left."""
    left_out = stream.left_out()
    said = f"{split} {pair_name(stream.languages)}: {len(stream)} pairs"
    logger.info(f"{said}, {left_out}" if left_out.total else said)
    if left_out.total == len(stream):
        raise UserError(
            f"every one of the {len(stream)} pairs of {split} {pair_name(stream.languages)} is empty or longer than "
            f"{stream.limits}",
            folder.path,
            remedy="Raise --max-source-positions, --max-target-positions or --max-tokens, "
            + ("lower --tokens-per-sample, " if stream.limits.batch else "")
            + "or leave it out of --directions",
        )


def encoder_streams(
    folder: DataFolder,
    split: str,
    kinds: Collection[str],
    directions: Sequence[Direction],
    settings: Settings,
    length: int,
    training: bool,
) -> list[Stream]:
    """Return the text that objectives on the encoder read, in the languages of the directions.

    Args:
        kinds: ``mono``, ``bitext``, both or neither.
        settings: how it becomes sequences.
        length: the longest sequence.
        training: whether there must be text of each kind.

    Raises:
        UserError: there is none, or none that fits.
    """
    trained = {language for direction in directions for language in direction}
    streams: list[MonoStream | BitextStream] = []
    if MONO in kinds:
        mono = folder.require(MONO, split) if training else folder.mono(split)
        ours = [(name, text) for name, text in mono.items() if name in trained and len(text)]
        if training and not ours:
            raise UserError(
                f"--mlm-weight: no monolingual {split} text in {', '.join(sorted(trained))}",
                folder.path,
                remedy=f"Add some with `xalign-preprocess binarize --split {split} --mono XX=FILE`",
            )
        counts, mode = folder.lengths(MONO, split), settings.sample_break_mode
        streams += [MonoStream(name, text, length, mode, counts.get(name)) for name, text in ours]
    if BITEXT in kinds:
        chosen = {frozenset(direction) for direction in directions}
        counts = folder.lengths(BITEXT, split)
        streams += [
            BitextStream(*pair, files, length, settings.tlm_packing, counts.get(pair))
            for pair, files in folder.bitext(split).items()
            if frozenset(pair) in chosen and len(files[0])
        ]
    for stream in streams:
        logger.info(f"{split} {stream.name}: {len(stream)} units{stream.length_note(str(folder.path))}")
    return [*streams]
