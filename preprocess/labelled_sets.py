"""Create a labelled folder: JSON lines and labels.json from treebanks, columns of tags or tables.

Your own files, by what their labels are:

{tasks}

Published sets, from their original files:

{sets}

Files are looked for below --from, including compressed ones (.gz, .xz); "dev" becomes "valid". If two treebanks have
the same split of the same language, or files have other names, --input says which file to use. Whatever
`xalign-evaluate score` would refuse is refused here, with the file and the line.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.constants import LABELS_FILE, SPLIT_ALIASES, SPLITS
from fairseq_xalign.data.formats import header, table
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.labelled.folder import FORMAT, OWN_ID
from fairseq_xalign.labelled.kind import FileRow, Kind, Task
from fairseq_xalign.labelled.registry import TASKS, kind_of
from fairseq_xalign.options import language_code, name_list, named_files
from preprocess.corpora.catalogue import CORPORA
from preprocess.sets import SETS
from preprocess.sets.published import Part, PublishedSet, checked

_WIDTH = max(map(len, TASKS)) + 2
__doc__ = __doc__.replace("{tasks}", "\n".join(f"{t.name:{_WIDTH}}{t.files}" for t in TASKS.values()))
_SET_WIDTH = max(map(len, SETS)) + 2
__doc__ = __doc__.replace("{sets}", "\n".join(f"{s.name:{_SET_WIDTH}}{s.files}" for s in SETS.values()))

EXAMPLE = """examples:
  xalign-preprocess benchmark pos --from ud --input test.en=ud/en_ewt-ud-test.conllu --output labelled/pos
  xalign-preprocess benchmark classification --from reviews --output labelled/reviews
  xalign-preprocess benchmark xnli --from XNLI-1.0 --output labelled/xnli"""

OWN_SENTENCE_ID = f"{OWN_ID}. In CoNLL-U that is its # sent_id; a sentence without one has its number"
KEEP_ALL = "none"
"""What --drop says to keep every example."""
Key = tuple[str, str]
"""Split and language."""
Rows = Callable[[Counter[str]], Iterable[FileRow]]
"""Reads the examples of a split of a language."""
Parts = dict[Key, tuple[Path, Rows]]
"""The source and the reader of each split of each language."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-preprocess benchmark``."""
    parser.add_argument("name", metavar="NAME", help="What the labels are, or a published set.")
    parser.add_argument("--from", dest="folder", metavar="DIR", help="Folder below which files are looked for.")
    parser.add_argument(
        "--input",
        action="append",
        metavar="SPLIT.LANG=FILE",
        help="Use this file for this split and language, whatever is found below --from. Repeat it for more files.",
    )
    header.add_option(parser, table.RECOGNISED)
    parser.add_argument(
        "--output", required=True, metavar="LABELLED", help="Labelled folder to write; an existing one is replaced."
    )
    parser.add_argument(
        "--drop",
        metavar="LABEL,LABEL",
        help="Labels whose examples are left out, separated by commas; none keeps all (default: what the papers leave "
        "out of a set: neutral in semeval2017).",
    )
    parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")


def run(args: argparse.Namespace) -> None:
    """Make the folder and print what is in it."""
    dropped = None if args.drop is None else [] if args.drop == KEEP_ALL else name_list(args.drop)
    report, labels = benchmark(
        args.name, args.output, folder=args.folder, inputs=args.input, has_header=args.header, dropped=dropped
    )
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return
    for place, counts in report.items():
        changes = "".join(f", {count:,} {reason}" for reason, count in counts["changes"].items())
        print(
            f"{place:12} {counts['examples']:>8,} examples {counts['labels']:>10,} labels  {counts['source']}{changes}"
        )
    print(f"{len(labels)} labels in all")


def benchmark(
    name: str,
    output: str | Path,
    *,
    folder: str | Path | None = None,
    inputs: list[str] | None = None,
    has_header: str = header.AUTO,
    dropped: Sequence[str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Make the labelled folder ``output`` of a task.

    Args:
        name: the task, or a published set.
        folder: where files are looked for by their names.
        inputs: files named by hand, each ``SPLIT.LANG=FILE``.
        has_header: whether a table's first row names its columns: auto, yes or no.
        dropped: labels whose examples are left out; None for what the papers leave out of a set.

    Returns:
        Counts of each file (``examples``, ``labels``, ``source``, ``by label``, and ``changes``: what was corrected,
        skipped or repeated), and the labels.
    """
    known = SETS.get(name)
    if known is None and name not in TASKS:
        raise unknown_name("benchmark", name, [*TASKS, *SETS])
    if not (folder or inputs):
        raise UserError("nothing to read", remedy="Give --from DIR or --input SPLIT.LANG=FILE")
    task = TASKS[name if known is None else known.task]
    kind = kind_of(task.name)
    if known is not None:
        parts = _parts_of_set(known, folder, inputs, dropped)
        if known.published and name not in CORPORA:
            cli.say(f"{name}: no checksum of its files is known; columns and labels are checked")
    elif dropped:
        raise UserError(f"--drop: the task {name} reads your own files", remedy="Leave these examples out of them")
    else:
        found = find_files(task, folder, inputs)
        parts = {key: (path, _own_rows(task, path, has_header)) for key, path in found.items()}
    output = Path(output)
    if output.exists() and not (output / LABELS_FILE).exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError("exists and is not a labelled folder", output, remedy="Choose another --output")
    labels = set(task.fixed_labels)
    report: dict[str, Any] = {}
    with files.atomic_folder(output) as made:
        for (split, language), (path, rows) in sorted(parts.items(), key=lambda part: part[0]):
            place = f"{split}.{language}"
            report[place] = _write_split(kind, task, rows, path, made / f"{place}.jsonl", place)
            labels.update(report[place]["by label"])
        description = {"format": FORMAT, "task": kind.name, "labels": sorted(labels), "name": task.name}
        description |= {} if known is None else {"set": known.name}
        description |= {"pieces": known.pieces} if known is not None and known.pieces else {}
        files.write_json(made / LABELS_FILE, description)
    return report, sorted(labels)


def _own_rows(task: Task, path: Path, has_header: str) -> Rows:
    """Reads a user's own file."""
    return lambda counts: task.rows(path, counts, has_header)


def _parts_of_set(
    known: PublishedSet, folder: str | Path | None, inputs: list[str] | None, dropped: Sequence[str] | None
) -> Parts:
    """The parts of a published set below a folder, with readers that check labels and leave examples out."""
    if inputs or folder is None:
        raise UserError(f"{known.name} has files of its own names", remedy="Give the folder with them: --from DIR")
    if not Path(folder).is_dir():
        raise UserError("no such folder", folder, remedy="Name the folder with the set's original files")
    unknown = next((label for label in dropped or () if known.labels and label not in known.labels), None)
    if unknown is not None:
        raise unknown_name("label", unknown, known.labels)
    left_out = known.dropped if dropped is None else tuple(dropped)
    parts: Parts = {}
    for part in known.find(Path(folder)):
        key = part.split, part.language
        if key in parts:
            raise UserError(
                f"{parts[key][0]} and {part.source} are both files for {'.'.join(key)}",
                remedy="Give a --from DIR that has one of them",
            )

        def rows(counts: Counter[str], part: Part = part) -> Iterator[FileRow]:
            return checked(known, left_out, part, counts)

        parts[key] = part.source, rows
    if not parts:
        raise UserError(
            f"no file of {known.name}", folder, remedy=f"It reads {known.files}; get them from {known.address}"
        )
    return parts


def find_files(task: Task, folder: str | Path | None, explicit: list[str] | None) -> dict[Key, Path]:
    """The file of each (split, language): those named by hand, then those whose names say it."""
    chosen = _named_by_hand(explicit)
    if folder is not None and not Path(folder).is_dir():
        raise UserError("no such folder", folder, remedy="Name one with --from; xalign-preprocess fetch makes some")
    found: dict[Key, Path] = {}
    for path in sorted(Path(folder).rglob("*")) if folder is not None else []:
        key = _key(task, path)
        if key is None or key in chosen or not path.is_file():
            continue
        if key in found:
            both = ".".join(key)
            what = f"{found[key]} and {path} are both files for {both}"
            raise UserError(what, remedy=f"Choose one with --input {both}=FILE")
        found[key] = path
    if not (chosen or found):
        raise UserError(f"no file that {task.name} reads", folder, remedy=f"It reads {task.files}")
    return found | chosen


def _key(task: Task, path: Path) -> Key | None:
    """What a file is by its name; None for a file of something else."""
    match = next(filter(None, (pattern.fullmatch(path.name) for pattern in task.file_names)), None)
    said = (match["split"], match["lang"]) if match else task.place(path)
    split = _split_name(said[0]) if said else None
    return (split, said[1]) if said and split else None


def _named_by_hand(explicit: list[str] | None) -> dict[Key, Path]:
    chosen: dict[Key, Path] = {}
    for place, file in named_files(explicit, "--input"):
        name, dot, language = place.partition(".")
        if not (dot and language):
            raise UserError(
                f"--input {place}={file}: {place!r} is not of the form SPLIT.LANG",
                remedy="Write, for example, test.en=FILE",
            )
        split = _split_name(name)
        if split is None:
            raise unknown_name("split", name, [*SPLITS, *SPLIT_ALIASES])
        language_code(language, "--input")
        if (split, language) in chosen:
            raise UserError(f"--input names {place} twice", remedy="Keep one: a split of a language is one file")
        chosen[split, language] = Path(file)
    return chosen


def _split_name(name: str) -> str | None:
    """Our name of a split; None for what is not one."""
    name = SPLIT_ALIASES.get(name, name)
    return name if name in SPLITS else None


def _write_split(kind: Kind, task: Task, rows: Rows, source: Path, target: Path, name: str) -> dict[str, Any]:
    """Write the rows of one file, each checked as ``predict`` and ``score`` will; returns its counts."""
    changes: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    lines: dict[str, int] = {}
    contents: set[str] = set()
    with files.atomic_file(target) as stream:
        for found in cli.progress(rows(changes), name):
            row = found.row
            if row["id"] in lines:
                raise UserError(
                    f"id {row['id']!r} is already that of line {lines[row['id']]}", source, found.line, OWN_SENTENCE_ID
                )
            lines[row["id"]] = found.line
            try:
                kind.check_row(row, task)
            except UserError as error:
                raise UserError(error.what, source, found.line, error.remedy) from None
            content = json.dumps({key: value for key, value in row.items() if key != "id"}, sort_keys=True)
            changes["examples that repeat an earlier one, kept"] += content in contents
            contents.add(content)
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            counted.update(kind.labels_of(row))
    if not lines:
        raise UserError("no example in the file", source, remedy="Give it examples, or remove it")
    return {
        "examples": len(lines),
        "labels": counted.total(),
        "source": source.name,
        "changes": {reason: count for reason, count in changes.items() if count},
        "by label": dict(sorted(counted.items())),
    }
