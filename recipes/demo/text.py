"""The demo's English text: running text for pre-training, a part of it as parallel text, a treebank.

Takes sentences spread evenly over the corpus, and the treebank's own training sentences, so that
pre-training has seen the words that tagging needs.
"""

from __future__ import annotations

import argparse
import lzma
from pathlib import Path

from fairseq_xalign.files import atomic_file, read_lines

SPLITS = {"train": "train", "valid": "dev", "test": "test"}


def conllu_text(folder: Path, split: str) -> str:
    """The CoNLL-U text of a split, whether named train.en.conllu or as UD names it."""
    patterns = (f"{split}.en.conllu*", f"*-{SPLITS[split]}.conllu*")
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    if not files:
        raise SystemExit(f"{folder}: no CoNLL-U file for {split}")
    opener = lzma.open if files[0].suffix == ".xz" else open
    with opener(files[0], "rt", encoding="utf-8") as stream:
        return stream.read()


def sentences(conllu: str) -> list[str]:
    """Each sentence as its words, separated by spaces (tagging sees them so)."""
    found, words = [], []
    for line in [*conllu.splitlines(), ""]:
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
    parser.add_argument("treebank", type=Path)
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
    treebank = {split: conllu_text(args.treebank, split) for split in SPLITS}
    train += sentences(treebank["train"])
    step = max(1, round(1 / args.parallel_share))
    for name, lines in (("train", train), ("valid", valid), ("parallel", train[::step])):
        with atomic_file(args.output / f"{name}.en.txt") as out:
            out.writelines(line + "\n" for line in lines)
    for split, text in treebank.items():
        with atomic_file(args.output / f"{split}.en.conllu") as out:
            out.write(text)


if __name__ == "__main__":
    main()
