"""Make a labelled folder: jsonl files and labels.json from treebanks or tables.

pos             {split}.{lang}.conllu or UD's names (en_ewt-ud-train.conllu): words and UPOS tags (UD's 17)
classification  {split}.{lang}.tsv: label, tab, text

Files are sought below --from, .xz too; UD's "dev" becomes "valid". Where two treebanks would be the
same split of the same language, or files are named otherwise, --input says which file is which.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.constants import LABELS_FILE
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.data.formats import table as classification
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.options import named_files

EXAMPLE = """examples:
  xalign-preprocess benchmark pos --from ud --input test.en=ud/en_ewt-ud-test.conllu --output labelled/pos
  xalign-preprocess benchmark classification --from reviews --output labelled/reviews"""

FORMAT = 1
SPLITS = {"train": "train", "valid": "valid", "dev": "valid", "test": "test"}
"""Names of splits that are known, and ours."""
MISSING_TAG = conllu.MISSING_TAG
"""For a word whose UPOS is ``_``, as XTREME's loader has it."""
Row = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Benchmark:
    """How a kind of labelled data is found and read.

    Attributes:
        task: as in ``labels.json``.
        names: patterns of file names with groups ``split`` and ``lang``.
        rows: the rows of a file; what it mends is counted.
        labels: of a row.
        fixed_labels: that are listed even if no row has them.
    """

    task: str
    names: tuple[re.Pattern[str], ...]
    rows: Callable[[Path, Counter[str]], Iterator[Row]]
    labels: Callable[[Row], Iterable[str]]
    fixed_labels: frozenset[str] = frozenset()


def pos_rows(path: Path, mended: Counter[str]) -> Iterator[Row]:
    """Rows of a treebank: syntactic words and their UPOS; ids are those of the sentences.

    Raises:
        UserError: for a tag that is none of UD's 17, and for a file in which every UPOS is ``_``.
    """
    untagged, words = f"words without tag, taken for {MISSING_TAG}", 0
    for sentence in conllu.read(path):
        tags = sentence.column(conllu.UPOS)
        mended["multiword ranges skipped"] += sentence.ranges
        mended["empty nodes skipped"] += sentence.empty_nodes
        for tag, line in zip(tags, sentence.lines):
            if tag not in conllu.UPOS_TAGS and tag != conllu.NO_TAG:
                raise unknown_tag(tag, path, line)
        mended[untagged] += tags.count(conllu.NO_TAG)
        tags = [MISSING_TAG if tag == conllu.NO_TAG else tag for tag in tags]
        words += len(tags)
        yield {"id": sentence.name, "tokens": sentence.column(conllu.FORM), "tags": tags}
    if words and mended[untagged] == words:
        raise UserError(f"none of its {words:,} words has a tag", path, remedy="Put UPOS tags into the fourth column")


def unknown_tag(tag: str, path: Path, line: int) -> UserError:
    """The error for a tag that UD does not have: what it is called there, or what there is."""
    known = conllu.OLDER_TAGS.get(tag, tag.upper())
    remedy = (
        f"UD calls it {known}: rename it"
        if known in conllu.UPOS_TAGS
        else f"Map it to one of UD's: {', '.join(sorted(conllu.UPOS_TAGS))}, or _ for none"
    )
    return UserError(f"unknown UPOS tag {tag!r}", path, line, remedy)


def classification_rows(path: Path, mended: Counter[str]) -> Iterator[Row]:
    """Rows of a table; the id is the line. Empty lines are skipped and counted."""
    for example in classification.read(path):
        if not example.empty:
            yield {"id": str(example.line), "text": example.text, "label": example.label.strip()}
        else:
            mended["empty lines skipped"] += 1


_LANGUAGE = r"(?P<lang>[A-Za-z][A-Za-z0-9_-]*)"
BENCHMARKS = {
    "pos": Benchmark(
        "tagging",
        (
            re.compile(rf"(?P<split>[a-z]+)\.{_LANGUAGE}\.conllu(\.xz)?"),
            re.compile(r"(?P<lang>[a-z]{2,3})_[A-Za-z0-9]+-ud-(?P<split>train|dev|test)\.conllu(\.xz)?"),
        ),
        pos_rows,
        lambda row: row["tags"],
        conllu.UPOS_TAGS,
    ),
    "classification": Benchmark(
        "classification",
        (re.compile(rf"(?P<split>[a-z]+)\.{_LANGUAGE}\.tsv(\.xz)?"),),
        classification_rows,
        lambda row: [row["label"]],
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--from", dest="folder", metavar="DIR", help="folder below which the files are sought")
    parser.add_argument(
        "--input",
        action="append",
        metavar="SPLIT.LANG=FILE",
        help="this file for this split and language, whatever stands below --from (repeatable)",
    )
    parser.add_argument(
        "--output", required=True, metavar="LABELLED", help="the labelled folder; replaced if it exists"
    )
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    if args.name not in BENCHMARKS:
        raise unknown_name("benchmark", args.name, list(BENCHMARKS))
    benchmark = BENCHMARKS[args.name]
    if not (args.folder or args.input):
        raise UserError("nothing to read", remedy="Give --from DIR or --input SPLIT.LANG=FILE")
    found = find_files(benchmark, args.name, args.folder, args.input)
    output = Path(args.output)
    if output.exists() and not (output / LABELS_FILE).exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError("exists and is not a labelled folder", output, remedy="Choose another --output")
    labels = set(benchmark.fixed_labels)
    report: dict[str, Any] = {}
    with files.atomic_folder(output) as folder:
        for (split, language), path in sorted(found.items()):
            report[f"{split}.{language}"] = _write_split(
                benchmark, path, folder / f"{split}.{language}.jsonl", labels, f"{split}.{language}"
            )
        description = {"format": FORMAT, "task": benchmark.task, "labels": sorted(labels), "name": args.name}
        files.write_json(folder / LABELS_FILE, description)
    _print(report, len(labels), args.json)
    return 0


def find_files(benchmark: Benchmark, name: str, folder: str | None, explicit: list[str] | None) -> dict[Key, Path]:
    """The file of each (split, language): those named by hand, then those whose names say it."""
    chosen: dict[Key, Path] = {}
    for place, file in named_files(explicit, "--input"):
        split, dot, language = place.partition(".")
        if not (dot and language):
            raise UserError(
                f"--input {place}={file}: {place!r} is not of the form SPLIT.LANG", remedy="Write: test.en=FILE"
            )
        if split not in SPLITS:
            raise unknown_name("split", split, list(SPLITS))
        if (SPLITS[split], language) in chosen:
            raise UserError(f"--input names {place} twice", remedy="Keep one: a split of a language is one file")
        chosen[SPLITS[split], language] = Path(file)
    if folder is not None and not Path(folder).is_dir():
        raise UserError("no such folder", folder, remedy="Name one with --from; xalign-preprocess fetch makes some")
    found: dict[Key, Path] = {}
    for path in sorted(Path(folder).rglob("*")) if folder is not None else []:
        match = next(filter(None, (pattern.fullmatch(path.name) for pattern in benchmark.names)), None)
        if match is None or match["split"] not in SPLITS or not path.is_file():
            continue
        key = SPLITS[match["split"]], match["lang"]
        if key in chosen:
            continue
        if key in found:
            both = ".".join(key)
            raise UserError(f"{found[key]} and {path} are both {both}", remedy=f"Choose with --input {both}=FILE")
        found[key] = path
    if not (chosen or found):
        raise UserError(
            f"no file that {name} reads", folder, remedy="xalign-preprocess benchmark --help lists the names"
        )
    return found | chosen


def _write_split(benchmark: Benchmark, source: Path, target: Path, labels: set[str], name: str) -> dict[str, Any]:
    mended: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    rows = 0
    with files.atomic_file(target) as stream:
        for row in cli.progress(benchmark.rows(source, mended), name):
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            rows += 1
            counted.update(benchmark.labels(row))
    if not rows:
        raise UserError("no example in the file", source, remedy="Fill it or take it away")
    labels.update(counted)
    return {
        "examples": rows,
        "labels": counted.total(),
        "source": source.name,
        "mended": {reason: count for reason, count in mended.items() if count},
        "by label": dict(sorted(counted.items())),
    }


def _print(report: dict[str, Any], labels: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, ensure_ascii=False))
        return
    for place, counts in report.items():
        mended = "".join(f", {count:,} {reason}" for reason, count in counts["mended"].items())
        print(
            f"{place:12} {counts['examples']:>8,} examples {counts['labels']:>10,} labels  {counts['source']}{mended}"
        )
    print(f"{labels} labels in all")
