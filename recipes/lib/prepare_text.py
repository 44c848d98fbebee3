"""English text for a recipe: running text for pre-training, parts of it as parallel text, and a labelled corpus.

Takes sentences spread evenly over the corpora, and the labelled corpus's own training sentences, so that
pre-training has seen the words that the task needs. The labelled corpus is a treebank (CoNLL-U) or a table of texts
with one label each. Writes ``{train,valid}.en.txt``, ``parallelN.en.txt`` for N per cent of the training sentences,
and ``{train,valid,test}.en.{conllu,tsv}``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_xalign.data.formats import conllu, table
from fairseq_xalign.files import atomic_file, read_lines

LABELLED_SPLITS = {"train": "train", "valid": "dev", "test": "test"}
"""Our names of a labelled corpus's splits, and UD's."""


def labelled_file(folder: Path, split: str) -> tuple[Path, str]:
    """A split's file and its suffix, whether named train.en.conllu, as UD names it, or train.en.tsv."""
    patterns = (f"{split}.en.conllu*", f"*-{LABELLED_SPLITS[split]}.conllu*", f"{split}.en.tsv*")
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    if not files:
        raise SystemExit(f"{folder}: no CoNLL-U file and no table for {split}")
    return files[0], "tsv" if ".tsv" in files[0].suffixes else "conllu"


def example_texts(path: Path, suffix: str) -> list[str]:
    """The text of each example; for a treebank its words, separated by spaces, as tagging sees them."""
    if suffix == "tsv":
        return [example.text for example in table.read(path) if not (example.empty or example.header)]
    return [" ".join(sentence.column(conllu.FORM)) for sentence in conllu.read(path)]


def spread(corpora: list[Path], lines: int) -> list[str]:
    """``lines`` sentences spread evenly over the corpora, one after the other; all of them if there are fewer."""
    total = sum(1 for corpus in corpora for _ in read_lines(corpus))
    wanted = min(total, lines)
    numbered = enumerate(line for corpus in corpora for _, line in read_lines(corpus))
    return [line for i, line in numbered if i * wanted // total != (i + 1) * wanted // total]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, action="append", required=True, help="running text; may be repeated")
    parser.add_argument("--labelled", type=Path, required=True, help="folder of the labelled corpus")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--lines", type=int, required=True, help="sentences for pre-training")
    parser.add_argument("--valid-lines", type=int, required=True, help="sentences for validation")
    parser.add_argument(
        "--parallel-share", type=float, action="append", required=True, help="share of parallel text; may be repeated"
    )
    args = parser.parse_args()
    if not all(0 < share <= 1 for share in args.parallel_share):
        raise SystemExit("--parallel-share must be above 0 and at most 1")
    picked = spread(args.corpus, args.lines + args.valid_lines)
    every = max(2, len(picked) // args.valid_lines)
    valid = picked[::every][: args.valid_lines]
    train = [line for i, line in enumerate(picked) if i % every or i // every >= args.valid_lines]
    labelled = {split: labelled_file(args.labelled, split) for split in LABELLED_SPLITS}
    train += example_texts(*labelled["train"])
    parallel = {f"parallel{share * 100:g}": train[:: max(1, round(1 / share))] for share in args.parallel_share}
    for name, lines in {"train": train, "valid": valid, **parallel}.items():
        with atomic_file(args.output / f"{name}.en.txt") as out:
            out.writelines(line + "\n" for line in lines)
    for split, (path, suffix) in labelled.items():
        with atomic_file(args.output / f"{split}.en.{suffix}") as out:
            out.writelines(line + "\n" for _, line in read_lines(path))


if __name__ == "__main__":
    main()
