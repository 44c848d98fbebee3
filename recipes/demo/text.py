"""The demo's English text: running text for pre-training, a part of it as parallel text, a labelled corpus.

Takes sentences spread evenly over the corpus, and the labelled corpus's own training sentences, so that
pre-training has seen the words that the task needs. The labelled corpus is a treebank (CoNLL-U) or texts with
a label each (tables).
"""

from __future__ import annotations

import argparse
import lzma
from pathlib import Path

from fairseq_xalign.files import atomic_file, read_lines

SPLITS = {"train": "train", "valid": "dev", "test": "test"}


def labelled_text(folder: Path, split: str) -> tuple[str, str]:
    """The content of a split's file and its suffix, whether named train.en.conllu, as UD names it, or train.en.tsv."""
    patterns = (f"{split}.en.conllu*", f"*-{SPLITS[split]}.conllu*", f"{split}.en.tsv")
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    if not files:
        raise SystemExit(f"{folder}: no CoNLL-U file and no table for {split}")
    opener = lzma.open if files[0].suffix == ".xz" else open
    with opener(files[0], "rt", encoding="utf-8") as stream:
        return stream.read(), "tsv" if files[0].suffix == ".tsv" else "conllu"


def sentences(content: str, suffix: str) -> list[str]:
    """Each example's text; of a treebank its words, separated by spaces (tagging sees them so)."""
    if suffix == "tsv":
        return [line.split("\t")[1] for line in content.split("\n") if line]
    found, words = [], []
    for line in [*content.splitlines(), ""]:
        if line and not line.startswith("#"):
            number, word = line.split("\t")[:2]
            if number.isdigit():
                words.append(word)
        elif not line and words:
            found.append(" ".join(words))
            words = []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--lines", type=int, required=True)
    parser.add_argument("--valid-lines", type=int, required=True)
    parser.add_argument("--parallel-share", type=float, required=True)
    args = parser.parse_args()
    total = sum(1 for _ in read_lines(args.corpus))
    wanted = min(total, args.lines + args.valid_lines)
    picked = [
        line for i, (_, line) in enumerate(read_lines(args.corpus)) if i * wanted // total != (i + 1) * wanted // total
    ]
    every = max(2, len(picked) // args.valid_lines)
    valid = picked[::every][: args.valid_lines]
    train = [line for i, line in enumerate(picked) if i % every or i // every >= args.valid_lines]
    labelled = {split: labelled_text(args.labelled, split) for split in SPLITS}
    train += sentences(*labelled["train"])
    step = max(1, round(1 / args.parallel_share))
    for name, lines in (("train", train), ("valid", valid), ("parallel", train[::step])):
        with atomic_file(args.output / f"{name}.en.txt") as out:
            out.writelines(line + "\n" for line in lines)
    for split, (content, suffix) in labelled.items():
        with atomic_file(args.output / f"{split}.en.{suffix}") as out:
            out.write(content)


if __name__ == "__main__":
    main()
