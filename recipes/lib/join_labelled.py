"""One labelled folder of parts of others: training examples of one set, test sets of several.

    join_labelled.py --output OUT --sets FOLDER --set NAME PART...

A PART is ``train.en=xsid/valid.en``: the examples of ``train`` in English are those of ``valid`` in the folder
``FOLDER/xsid``. A name that is given twice has the examples of both, whose ids then begin with their split.
``[:2000]`` takes the first 2,000 examples alone (0: all), and without languages, ``test=xquad/test``, all languages are
taken that have no part of their own yet.
"""

from __future__ import annotations

import argparse
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

from fairseq_xalign import files
from fairseq_xalign.constants import LABELS_FILE
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.folder import FORMAT, LabelledFolder

PART = re.compile(
    r"(?P<split>[a-z]+)(\.(?P<language>[^=]+))?=(?P<set>[^/]+)/(?P<from>[a-z]+)(\.(?P<other>[^\[]+))?"
    r"(\[:(?P<first>[0-9]+)\])?"
)
Sources = dict[tuple[str, str], list[tuple[Path, str, str, int | None]]]
"""By split and language: the folder, split and language that examples are taken from, and how many at most."""


def sources_of(parts: list[str], sets: Path) -> Sources:
    found: Sources = {}
    for part in parts:
        match = PART.fullmatch(part)
        if match is None or (match["language"] is None) != (match["other"] is None):
            raise UserError(f"{part!r} is not SPLIT.LANG=SET/SPLIT.LANG", remedy="Write train.en=xsid/valid.en")
        folder = sets / match["set"]
        first = int(match["first"] or 0) or None
        if match["language"]:
            source = (folder, match["from"], match["other"], first)
            found.setdefault((match["split"], match["language"]), []).append(source)
            continue
        for language in LabelledFolder.open(folder).languages(match["from"]):
            found.setdefault((match["split"], language), [(folder, match["from"], language, first)])
    return found


def join(output: Path, parts: list[str], sets: Path, name: str) -> dict[str, int]:
    """Write the folder; return the number of examples by split and language."""
    sources = sources_of(parts, sets)
    folders = {path: LabelledFolder.open(path) for ways in sources.values() for path, *_ in ways}
    kinds = {(folder.kind.name, folder.name) for folder in folders.values()}
    if len(kinds) != 1:
        raise UserError(f"sets of several tasks: {', '.join(sorted(task for _, task in kinds))}", remedy="Join one's")
    ((kind, task),) = kinds
    counts = {}
    with files.atomic_folder(output) as made:
        for (split, language), ways in sorted(sources.items()):
            with files.atomic_file(made / f"{split}.{language}.jsonl") as out:
                rows = [row for way in ways for row in _rows(folders[way[0]], way, len(ways) > 1)]
                out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            counts[f"{split}.{language}"] = len(rows)
        labels = sorted({label for folder in folders.values() for label in folder.labels})
        about = {"format": FORMAT, "task": kind, "labels": labels, "name": task, "set": name}
        files.write_json(made / LABELS_FILE, about)
    return counts


def _rows(folder: LabelledFolder, way: tuple[Path, str, str, int | None], named: bool) -> list[dict[str, Any]]:
    _, split, language, first = way
    rows = islice(folder.rows(split, language), first)
    return [{**row, "id": f"{split}:{row['id']}"} if named else row for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", metavar="PART")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True, help="Folder with the labelled folder of each set.")
    parser.add_argument("--set", required=True, help="What the joined folder calls itself.")
    args = parser.parse_args()
    try:
        counts = join(args.output, args.parts, args.sets, args.set)
    except UserError as error:
        raise SystemExit(f"join_labelled.py: {error}") from None
    print(args.output.name, *(f"{place} {count:,}" for place, count in counts.items()), sep="\n  ")


if __name__ == "__main__":
    main()
