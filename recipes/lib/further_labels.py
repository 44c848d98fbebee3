"""The English splits of labelled folders as the files that ``xalign-preprocess derive`` reads: train, valid and test.

    further_labels.py LABELLED... OUTPUT

Writes ``{train,valid,test}.en.tsv``: tokens and tags in columns, or pairs of texts with their label. Some sets have no
training split: every tenth example of the development set is then validated on, and the others are learned from. A set
without a development split gives up a tenth of its training examples in the same way. Where several folders have a
split, that of the last one is taken: MultiNLI is trained on, and XNLI after it is validated and tested on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.files import atomic_file

SPLITS = ("train", "valid", "test")
EVERY = 10
Rows = list[dict[str, Any]]


def splits_of(labelled: Sequence[Path]) -> dict[str, Rows]:
    """The examples of each split; none of them is in two splits."""
    found: dict[str, Rows] = {}
    for split in SPLITS:
        files = [path for folder in labelled if (path := folder / f"{split}.en.jsonl").exists()]
        found[split] = [row for _, row in json_lines.read(files[-1])] if files else []
    learned, held_out = found["train"], found["valid"]
    if not (learned and held_out):
        everything = learned or held_out
        found["train"] = [row for n, row in enumerate(everything, 1) if n % EVERY]
        found["valid"] = everything[EVERY - 1 :: EVERY]
    if not all(found.values()):
        names = ", ".join(map(str, labelled))
        raise SystemExit(f"{names}: no English examples to learn from, to validate on or to test on")
    return found


def lines(row: dict[str, Any]) -> str:
    """An example as it stands in a file."""
    if "tags" in row:
        return "".join(f"{word}\t{tag}\n" for word, tag in zip(row["tokens"], row["tags"], strict=True)) + "\n"
    texts = (" ".join(str(row[name]).split()) for name in ("text", "text_pair", "label"))
    return "\t".join(texts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labelled", type=Path, nargs="+", help="labelled folders with English examples")
    parser.add_argument("output", type=Path, help="folder to write")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for split, rows in splits_of(args.labelled).items():
        with atomic_file(args.output / f"{split}.en.tsv") as out:
            out.writelines(lines(row) for row in rows)


if __name__ == "__main__":
    main()
