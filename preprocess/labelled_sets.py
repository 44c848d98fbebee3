"""Create a labelled folder: JSON lines and labels.json from treebanks, columns of tags or tables.

Your own files, by what their labels are:

{tasks}

Published sets, from their original files:

{sets}

Files are looked for below --from, including compressed ones (.gz, .xz); "dev" becomes "valid". Where a split of a
treebank is in several files, all of them are read. If two treebanks have the same split of the same language, or files
have other names, --input says which file to use. Whatever `xalign-evaluate score` would refuse is refused here, with
the file and the line.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.constants import LABELS_FILE
from fairseq_xalign.data.formats import header, table
from fairseq_xalign.data.formats.columns import OUTSIDE
from fairseq_xalign.errors import UserError, first_of, no_folder, unknown_name
from fairseq_xalign.labelled.folder import FORMAT, OWN_ID, is_labelled_file
from fairseq_xalign.labelled.kind import FileRow, Kind, Task
from fairseq_xalign.labelled.registry import TASKS, kind_of
from fairseq_xalign.options import name_list
from fairseq_xalign.outputs import refuse_to_remove
from preprocess.corpora.catalogue import CORPORA
from preprocess.labelled_files import NAMED, Key, find_files
from preprocess.sets import BY_TASK, SETS
from preprocess.sets.published import Part, PublishedSet, checked

_WIDTH = max(map(len, TASKS)) + 2
__doc__ = __doc__.replace("{tasks}", "\n".join(f"{t.name:{_WIDTH}}{t.files}" for t in TASKS.values()))
_SET_WIDTH = max(map(len, SETS)) + 2
__doc__ = __doc__.replace("{sets}", "\n".join(f"{s.name:{_SET_WIDTH}}{s.files}" for s in SETS.values()))

EXAMPLE = """examples:
  xalign-preprocess benchmark pos --from ud --input test.en=ud/en_ewt-ud-test.conllu --output labelled/pos
  xalign-preprocess benchmark classification --from reviews --output labelled/reviews
  xalign-preprocess benchmark ner --from SSEA --map-types NEP=PER,NEL=LOC,NEO=ORG --output labelled/ssea
  xalign-preprocess benchmark xnli --from XNLI-1.0 --output labelled/xnli"""

OWN_SENTENCE_ID = f"{OWN_ID}. In CoNLL-U that is its # sent_id; a sentence without one has its number"
KEEP_ALL = "none"
"""What --drop says to keep every example."""
Rows = Callable[[Counter[str]], Iterable[FileRow]]
"""Reads the examples of a split of a language."""
Parts = dict[Key, tuple[Path, Rows]]
"""The source and the reader of each split of each language."""
MAP_TYPES = "--map-types"
MAPPING = re.compile(r"(?P<old>[^\s=]+)=(?P<new>[^\s=]+)")


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
        "--output",
        required=True,
        metavar="LABELLED",
        help="Labelled folder to write; an existing one is replaced, unless it holds other things too.",
    )
    parser.add_argument(
        "--drop",
        metavar="LABEL,LABEL",
        help="Labels whose examples are left out, separated by commas; none keeps all (default: what the papers leave "
        "out of a set: neutral in semeval2017, suzuki2019 and sail2015).",
    )
    parser.add_argument(
        MAP_TYPES,
        metavar="OLD=NEW,OLD=NEW",
        help="Rename types of entities, so that sets with other names of them can be compared; a type named O is no "
        "entity any more, and types that are not named stay. For example NEP=PER,NEL=LOC,NEO=ORG,NETI=O.",
    )
    parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")


def run(args: argparse.Namespace) -> None:
    """Make the folder and print what is in it."""
    dropped = None if args.drop is None else [] if args.drop == KEEP_ALL else name_list(args.drop)
    report, labels = benchmark(
        args.name,
        args.output,
        folder=args.folder,
        inputs=args.input,
        has_header=args.header,
        dropped=dropped,
        types=None if args.map_types is None else mapped_types(args.map_types),
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
    types: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Make the labelled folder ``output`` of a task.

    Args:
        name: the task, or a published set.
        folder: where files are looked for by their names.
        inputs: files named by hand, each ``SPLIT.LANG=FILE``.
        has_header: whether a table's first row names its columns: auto, yes or no.
        dropped: labels whose examples are left out; None for what the papers leave out of a set.
        types: new names of types of entities by their old ones; ``O`` for a type that is no entity any more.

    Returns:
        Counts of each file (``examples``, ``labels``, ``source``, ``by label``, and ``changes``: what was corrected,
        skipped or repeated), and the labels.
    """
    known = SETS.get(name)
    task = _task_of(name)
    kind = kind_of(task.name)
    if not (folder or inputs):
        raise UserError("nothing to read", remedy="Give --from DIR or --input SPLIT.LANG=FILE")
    if types is not None and task.retyped is None:
        raise UserError(f"{MAP_TYPES}: the labels of {name} have no types", remedy="Leave it out; it is for ner")
    if known is not None:
        parts = _parts_of_set(known, folder, inputs, dropped)
        if known.published and name not in CORPORA:
            cli.say(f"{name}: no checksum of its files is known; columns and labels are checked")
    elif dropped:
        raise UserError(f"--drop: the task {name} reads your own files", remedy="Leave these examples out of them")
    else:
        found = find_files(task, folder, inputs)
        parts = {key: (files_of.source, _own_rows(task, files_of.paths, has_header)) for key, files_of in found.items()}
    met: Counter[str] = Counter()
    if types is not None:
        parts = {key: (path, _retyped_rows(task, rows, types, met)) for key, (path, rows) in parts.items()}
    output = Path(output)
    if output.exists() and not (output / LABELS_FILE).exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError("exists and is not a labelled folder", output, remedy="Choose another --output")
    refuse_to_remove(output, is_labelled_file, "a labelled folder")
    labels = set(task.fixed_labels)
    report: dict[str, Any] = {}
    with files.atomic_folder(output) as made:
        for (split, language), (path, rows) in sorted(parts.items(), key=lambda part: part[0]):
            place = f"{split}.{language}"
            report[place] = _write_split(kind, task, rows, path, made / f"{place}.jsonl", place)
            labels.update(report[place]["by label"])
        for place in _without_examples(report, {".".join(key): path for key, (path, _) in parts.items()}):
            del report[place]
            (made / f"{place}.jsonl").unlink()
        description = {"format": FORMAT, "task": kind.name, "labels": sorted(labels), "name": task.name}
        description |= {} if known is None else {"set": known.name}
        description |= {"pieces": known.pieces} if known is not None and known.pieces else {}
        files.write_json(made / LABELS_FILE, description)
    if absent := [old for old in types or () if not met[old]]:
        cli.say(f"{MAP_TYPES}: no entity has the type {' or '.join(absent)}; check the spelling")
    return report, sorted(labels)


def _without_examples(report: Mapping[str, Any], sources: Mapping[str, Path]) -> list[str]:
    """The parts without an example, which are said; a file may have other parts (all languages of XNLI are in one).

    Raises:
        UserError: for a file that gives no example of any part, with what was left out of it and why.
    """
    absent = [place for place, counts in report.items() if not counts["examples"]]
    read = {sources[place] for place in report if place not in absent}
    for source in dict.fromkeys(sources[place] for place in absent):
        here = [place for place in absent if sources[place] == source]
        reasons: Counter[str] = Counter()
        for place in here:
            reasons.update(report[place]["changes"])
        why = "".join(f"; {count:,} {reason}" for reason, count in reasons.items())
        what = f"no example in the file for {first_of(here, NAMED)}{why}"
        if source not in read:
            raise UserError(what, source, remedy="Give it examples, or remove it")
        cli.say(f"{source}: {what}")
    return absent


def _task_of(name: str) -> Task:
    """The task of a published set, or the task itself, by what ``benchmark`` calls it."""
    if name in BY_TASK:
        task = BY_TASK[name].task
        raise UserError(
            f"{name} is read by the names of its files", remedy=f"Run xalign-preprocess benchmark {task} --from DIR"
        )
    if name not in SETS and name not in TASKS:
        raise unknown_name("benchmark", name, [*TASKS, *SETS])
    return TASKS[SETS[name].task if name in SETS else name]


def mapped_types(text: str) -> dict[str, str]:
    """The types of entities that ``--map-types`` renames, old names and new ones."""
    types: dict[str, str] = {}
    for each in name_list(text):
        match = MAPPING.fullmatch(each)
        if match is None:
            raise UserError(f"{MAP_TYPES} {each!r} is not of the form OLD=NEW", remedy="Write, for example, NEP=PER")
        old, new = match["old"], match["new"]
        if old.startswith(("B-", "I-")) or new.startswith(("B-", "I-")):
            plain = "=".join(re.sub(r"^[BI]-", "", side) for side in (old, new))
            raise UserError(f"{MAP_TYPES} {each!r} names tags, not types", remedy=f"Write {plain}")
        if old in types:
            raise UserError(f"{MAP_TYPES} names {old} twice", remedy="Name it once")
        types[old] = new
    if not types:
        raise UserError(f"{MAP_TYPES} names no type", remedy="Write, for example, NEP=PER,NEL=LOC,NEO=ORG")
    return types


def _retyped_rows(task: Task, rows: Rows, types: Mapping[str, str], met: Counter[str]) -> Rows:
    """Reads the same examples with other types of entities; counts what was renamed, over all files in ``met``."""

    def read(counts: Counter[str]) -> Iterator[FileRow]:
        assert task.retyped is not None, "refused before"
        here: Counter[str] = Counter()
        for found in rows(counts):
            yield replace(found, row=task.retyped(found.row, types, here))
        met.update(here)
        for old, count in here.items():
            what = "no longer marked as entities" if types[old] == OUTSIDE else f"renamed {types[old]}"
            counts[f"entities of the type {old} {what}"] += count

    return read


def _own_rows(task: Task, paths: Sequence[Path], has_header: str) -> Rows:
    """Reads a user's own file, or the parts of one, in order."""

    def read(counts: Counter[str]) -> Iterator[FileRow]:
        for path in paths:
            for found in task.rows(path, counts, has_header):
                yield found if len(paths) == 1 else replace(found, path=path)

    return read


def _parts_of_set(
    known: PublishedSet, folder: str | Path | None, inputs: list[str] | None, dropped: Sequence[str] | None
) -> Parts:
    """The parts of a published set below a folder, with readers that check labels and leave examples out."""
    if inputs or folder is None:
        raise UserError(f"{known.name} has files of its own names", remedy="Give the folder with them: --from DIR")
    if not Path(folder).is_dir():
        raise no_folder(folder, "Name the folder with the set's original files")
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


def _write_split(kind: Kind, task: Task, rows: Rows, source: Path, target: Path, name: str) -> dict[str, Any]:
    """Write the rows of one file, each checked as ``predict`` and ``score`` will; returns its counts."""
    changes: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    places: dict[str, FileRow] = {}
    contents: set[str] = set()
    with files.atomic_file(target) as stream:
        for found in cli.progress(rows(changes), name):
            row = found.row
            if row["id"] in places:
                earlier = places[row["id"]].place_beside(found)
                raise found.fault(f"id {row['id']!r} is already that of {earlier}", source, OWN_SENTENCE_ID)
            places[row["id"]] = replace(found, row={}, lines=())
            try:
                kind.check_row(row, task)
            except UserError as error:
                raise found.fault(error.what, source, error.remedy) from None
            content = json.dumps({key: value for key, value in row.items() if key != "id"}, sort_keys=True)
            changes["examples that repeat an earlier one, kept"] += content in contents
            contents.add(content)
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            counted.update(kind.labels_of(row))
    return {
        "examples": len(places),
        "labels": counted.total(),
        "source": source.name,
        "changes": {reason: count for reason, count in changes.items() if count},
        "by label": dict(sorted(counted.items())),
    }
