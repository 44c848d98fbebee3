"""Predict labels with a fine-tuned checkpoint.

Each example becomes one line of JSON with its id, language, task, tokens (or text), prediction and gold label, which
`score` reads. The checkpoint contains the tokenizer and the labels, so the data folder of pre-training is not needed.

The output appears when it is complete. A command that was stopped keeps nothing and starts over at the first example
when it is run again: label a very long text in several files.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.files import atomic_file, read_lines
from fairseq_xalign.labelled.folder import LabelledFolder
from fairseq_xalign.labelled.kind import Kind, Row
from fairseq_xalign.labelled.labeller import Labeller, load_labeller
from fairseq_xalign.labelled.questions import Questions
from fairseq_xalign.labelled.registry import task_of
from fairseq_xalign.labelled.span_windows import POOL
from fairseq_xalign.models.checkpoint import CKPT_HELP
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.options import at_least, name_list, without_effect
from fairseq_xalign.outputs import refuse_to_replace

EXAMPLE = """example:
  xalign-evaluate predict --checkpoint runs/pos --data pos --split test --languages en,de --output pred.jsonl"""

BATCH_TOKENS = 8192
SPLIT = "test"
UNDETERMINED = "und"
"""The code of a text whose language nobody has named: that of BCP 47 and ISO 639."""
CHUNK = 10_000
"""Examples held in memory at a time; they are sorted by length within it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate predict``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=CKPT_HELP)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="LABELLED", help="Labelled folder whose examples to label.")
    source.add_argument(
        "--text",
        metavar="FILE",
        help="Plain text to label, one example per line, words separated by spaces, the two texts of a pair, "
        "or a question and its context, by a tab.",
    )
    parser.add_argument("--split", help=f"Split of the labelled folder (default: {SPLIT}).")
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="With --data: languages to label, separated by commas (default: every language of the split). With "
        f"--text: the language of the text (default: {UNDETERMINED}, undetermined, which has no language embedding).",
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE.jsonl", help="File to write the predictions to; - is standard output."
    )
    parser.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, metavar="N", help="Tokens per batch (default: %(default)s)."
    )
    parser.add_argument(
        "--n-best",
        type=int,
        metavar="N",
        help="With a model that answers questions, list the N best answers (up to "
        f"{POOL}) of each, with their probabilities (default: the best one).",
    )
    parser.add_argument(
        "--max-answer-length",
        type=int,
        metavar="N",
        help="With a model that answers questions, the longest answer in subwords (default: that of its training).",
    )
    parser.add_argument("--bf16", action="store_true", help="Compute in bfloat16.")
    parser.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)


def run(args: argparse.Namespace) -> None:
    """Write the predictions."""
    folder = Path(args.data) if args.data else None
    refuse_to_replace([args.text, *(folder.iterdir() if folder and folder.is_dir() else ())], [args.output])
    lines = predict(
        args.checkpoint,
        data=args.data,
        text=args.text,
        split=args.split,
        languages=name_list(args.languages) if args.languages else None,
        batch_tokens=args.batch_tokens,
        bf16=args.bf16,
        device=args.device,
        n_best=args.n_best,
        max_answer_length=args.max_answer_length,
    )
    count = 0
    with atomic_file(args.output) as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    cli.say(f"{args.output}: {counted(count, 'example')}")


def predict(
    checkpoint: str | Path,
    *,
    data: str | Path | None = None,
    text: str | Path | None = None,
    split: str | None = None,
    languages: Sequence[str] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    bf16: bool = False,
    device: str | None = None,
    n_best: int | None = None,
    max_answer_length: int | None = None,
) -> Iterator[Row]:
    """The predictions of a fine-tuned checkpoint, one by one, as the lines that the command writes.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        data: a labelled folder; give it or ``text``.
        text: a file of plain text, one example per line.
        split: of the labelled folder (default: ``SPLIT``).
        languages: those to label (default: every language of the split); with ``text``, its one language (default:
            ``UNDETERMINED``).
        batch_tokens: tokens per batch.
        bf16: compute in bfloat16.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.
        n_best: of a model that answers questions, how many answers to list.
        max_answer_length: of such a model, the longest answer in subwords.

    Raises:
        UserError: for a checkpoint without labels, data of another task, bad rows, a device that is not there.
    """
    if (data is None) == (text is None):
        raise UserError("predictions need one input", remedy="Give either data (a labelled folder) or text (a file)")
    if text is not None:
        without_effect("is for --data: a text has no splits", split=split)
    at_least(1, batch_tokens=batch_tokens)
    chosen_device = choose_device(device)
    labeller = load_labeller(checkpoint).to(chosen_device)
    labeller.bf16 = bf16
    _choose_answers(labeller, n_best, max_answer_length)
    if text is not None:
        rows = _text_input(text, languages, labeller.kind)
        return _predictions(labeller, rows, batch_tokens, None, _lines([text], blank=True))
    split = SPLIT if split is None else split
    folder = LabelledFolder.open(data or "")
    chosen = _chosen_languages(folder, labeller, split, languages)
    total = _lines((folder.path / f"{split}.{language}.jsonl" for language in chosen), blank=False)
    return _predictions(labeller, _rows_by_language(folder, split, chosen), batch_tokens, folder, total)


def _lines(files: Iterable[str | Path], blank: bool) -> int:
    """How many lines some files have; what is no file is for others to refuse.

    Args:
        blank: whether blank lines count.
    """
    lines = (line for file in files if Path(file).exists() for _, line in read_lines(file))
    return sum(1 for line in lines if blank or line.strip())


def _choose_answers(labeller: Labeller, n_best: int | None, max_answer_length: int | None) -> None:
    """Set what a line says of a model's answers; refused for models that do not answer questions."""
    chosen = {"n_best": n_best, "max_answer_length": max_answer_length}
    at_least(1, n_best=n_best, max_answer_length=max_answer_length)
    given = [name for name, value in chosen.items() if value is not None]
    if n_best is not None and n_best > POOL:
        raise UserError(f"--n-best {n_best}: there are {POOL} answers at most", remedy=f"Choose 1 to {POOL}")
    if given and not isinstance(labeller.kind, Questions):
        option = f"--{given[0].replace('_', '-')}"
        raise UserError(
            f"{option}: the checkpoint's task is {labeller.kind.name}", remedy=f"Leave {option} out: it is for answers"
        )
    labeller.kind = labeller.kind.configured(chosen)


def _predictions(
    labeller: Labeller,
    inputs: Iterable[tuple[str, Iterable[Row]]],
    batch_tokens: int,
    folder: LabelledFolder | None,
    total: int,
) -> Iterator[Row]:
    """The line of each row of each language; what was cut, and unknown gold labels, are reported at the end.

    Args:
        folder: where the rows are from; None for a text, which has no gold labels.
        total: how many rows there are.
    """
    cut, notes, labels = 0, Counter[str](), set(labeller.labels)
    task = task_of(labeller.kind, labeller.learned)
    with cli.bar("predicting", total) as advance:
        for language, rows in inputs:
            _note_language(labeller, language)
            for start, chunk in _chunks(rows):
                encoded = labeller.encode(chunk, language)
                cut += encoded.cut
                notes += encoded.notes
                known = [] if folder is None else [label for row in chunk for label in labeller.kind.labels_of(row)]
                for label in known:
                    other = f"gold labels {label!r}, which the model does not know and never predicts"
                    notes[other] += label not in labels
                found = labeller.predict(encoded, len(chunk), batch_tokens, advance)
                for index, (row, prediction) in enumerate(zip(chunk, found, strict=True), start):
                    line = {"id": row.get("id", f"{language}:{index}"), "language": language}
                    if task is not None:
                        line["task"] = task.name
                    if folder is not None and folder.set:
                        line["set"] = folder.set
                    yield line | labeller.kind.line(row, prediction)
    for what, number in (+notes).items():
        cli.say(f"{what}: {number:,}")
    if cut:
        cli.say(f"{labeller.kind.cut_noun} cut to {labeller.max_length} subwords: {cut:,}")


def _note_language(labeller: Labeller, language: str) -> None:
    """Say so if the model's language embeddings do not have this one."""
    if labeller.encoder.config.n_languages and language not in labeller.languages:
        known = ", ".join(labeller.languages)
        named = "a text of unknown language (name it with --languages)" if language == UNDETERMINED else language
        cli.say(f"the model has no language embedding for {named}, only for {known}; none is added")


def _chunks(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """The rows in lists of ``CHUNK``, each with the number of its first row."""
    rows, start = iter(rows), 0
    while chunk := list(islice(rows, CHUNK)):
        yield start, chunk
        start += len(chunk)


def _chosen_languages(
    folder: LabelledFolder, labeller: Labeller, split: str, languages: Sequence[str] | None
) -> list[str]:
    """The languages to label of a labelled folder, which must be of the checkpoint's kind and task."""
    if folder.kind.name != labeller.kind.name:
        raise UserError(
            f"its task is {folder.kind.name}, the checkpoint's {labeller.kind.name}",
            folder.path,
            remedy="Choose a folder of the task that the checkpoint learned",
        )
    ours, theirs = task_of(folder.kind, folder.name), task_of(labeller.kind, labeller.learned)
    if ours is not None and theirs is not None and ours is not theirs:
        raise UserError(
            f"its task is {ours.name}, the checkpoint's {theirs.name}",
            folder.path,
            remedy="Choose a folder of the task that the checkpoint learned",
        )
    chosen = list(languages) if languages else folder.languages(split)
    if not chosen:
        raise UserError(
            f"no {split} examples", folder.path, remedy=f"Choose --split: the folder has {folder.contents()}"
        )
    return chosen


def _rows_by_language(
    folder: LabelledFolder, split: str, languages: Sequence[str]
) -> Iterator[tuple[str, Iterable[Row]]]:
    for language in languages:
        if next(folder.rows(split, language), None) is None:
            raise UserError(
                f"no {split} example in {language}", folder.path, remedy="Leave the language out of --languages"
            )
        yield language, folder.rows(split, language)


def _text_input(text: str | Path, languages: Sequence[str] | None, kind: Kind) -> Iterator[tuple[str, Iterable[Row]]]:
    """The one language of a text, and its lines as rows without gold labels."""
    if languages and len(languages) > 1:
        raise UserError(
            f"--languages {','.join(languages)}: a text has one language",
            remedy="Name one, and label one file at a time",
        )
    if not any(line.strip() for _, line in read_lines(text)):
        raise UserError("no text in it", text, remedy="Give a file with one example per line")
    return iter([(languages[0] if languages else UNDETERMINED, _text_rows(text, kind))])


def _text_rows(text: str | Path, kind: Kind) -> Iterator[Row]:
    for number, line in read_lines(text):
        try:
            yield kind.text_row(line)
        except UserError as error:
            raise UserError(error.what, text, number, error.remedy) from None
