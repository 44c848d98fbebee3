"""Public parallel corpora of English with many languages, by the names of mtdata, split for a recipe.

Takes a table with a line per language: our code, mtdata's code, and the names of its corpora, separated by spaces. Has
mtdata download and merge them, and writes ``{train,valid,test}.en-XX.{en,XX}.txt``, line by line, whatever their size.

Whether an English sentence is held out is a function of the sentence alone (a hash of its words): one that is held out
in one language is trained on in none. ``--exclude`` names texts, such as a test set's, that are not trained on in
either language. A language whose files are there is not fetched again.

Example:
  python recipes/lib/mtdata_corpora.py --table recipes/mmte/conf/paper.tsv --languages "de fr" --output OUT --dry-run
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fairseq_xalign.files import atomic_file, read_lines
from preprocess.corpora.interface import english_key, usable

SPLITS = ("train", "valid", "test")
SHARE = 200
"""One English sentence of so many may be validated with, and one of so many tested on."""


def read_table(path: Path) -> dict[str, tuple[str, list[str]]]:
    """mtdata's code and the corpora of each language."""
    rows = (line.split("\t") for _, line in read_lines(path) if line and not line.startswith("#"))
    return {language: (code, names.split()) for language, code, names in rows}


def command(code: str, names: list[str], folder: Path) -> list[str]:
    """What fetches the corpora of a language and puts one after the other."""
    pair = "-".join(sorted(("eng", code)))
    return [sys.executable, "-m", "mtdata", "get", "-l", pair, "-tr", *names, "--merge", "-o", str(folder)]


def split_of(key: str) -> str:
    """Where an English sentence belongs, by the hash of its key."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % SHARE
    return {0: "valid", 1: "test"}.get(number, "train")


def key_of(text: str) -> str:
    return english_key(text) or " ".join(text.split())


def split_pairs(
    source: Path, code: str, language: str, output: Path, lines: int | None, held_out: int, excluded: set[str]
) -> dict[str, int]:
    """Write the pairs of a language, and return how many there are of each split."""
    counts, sides = dict.fromkeys(SPLITS, 0), ("en", language)
    most = {"train": lines, "valid": held_out, "test": held_out}
    seen: set[str] = set()  # English sentences that are held out: each once
    texts = [(line for _, line in read_lines(source / f"train.{side}")) for side in ("eng", code)]
    with contextlib.ExitStack() as files:
        outs = {
            split: [files.enter_context(atomic_file(output / f"{split}.en-{language}.{side}.txt")) for side in sides]
            for split in SPLITS
        }
        for pair in zip(*texts, strict=True):
            english, other = (" ".join(text.split()) for text in pair)
            key = key_of(english)
            if usable(english, other) or key in excluded or key_of(other) in excluded:
                continue
            split = split_of(key)
            if split != "train":
                if key in seen or counts[split] >= held_out:
                    continue
                seen.add(key)
            limit = most[split]
            if limit is not None and counts[split] >= limit:
                continue
            counts[split] += 1
            for out, text in zip(outs[split], (english, other)):
                out.write(f"{text}\n")
        empty = [split for split in SPLITS if not counts[split]]
        if empty:
            raise SystemExit(f"{source}: no {empty[0]} pair of en-{language}; leave {language} out of the languages")
    return counts


def excluded_keys(files: Iterable[Path]) -> set[str]:
    return {key_of(line) for file in files for _, line in read_lines(file)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="Table of languages and corpora.")
    parser.add_argument("--languages", required=True, help="Languages beside English, separated by spaces.")
    parser.add_argument(
        "--output", type=Path, required=True, help="Folder to write; mtdata's files go to OUTPUT/mtdata."
    )
    parser.add_argument("--lines", type=int, help="At most this many pairs for training per language, the first ones.")
    parser.add_argument("--held-out", type=int, default=1000, help="Pairs of valid and of test (default: %(default)s).")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="Texts that are not trained on.")
    parser.add_argument("--dry-run", action="store_true", help="Print the commands of mtdata.")
    args = parser.parse_args(argv)
    table, languages = read_table(args.table), args.languages.split()
    unknown = [language for language in languages if language not in table]
    if unknown:
        raise SystemExit(f"{args.table}: no corpora for {', '.join(unknown)}; add a line, or leave the language out")
    if not args.dry_run:
        args.output.mkdir(parents=True, exist_ok=True)
        excluded = excluded_keys(args.exclude)
    for language in languages:
        code, names = table[language]
        folder = args.output / "mtdata" / language
        fetch = command(code, names, folder)
        if args.dry_run:
            print(shlex.join(["mtdata", *fetch[3:]]))
        elif not (args.output / f"test.en-{language}.{language}.txt").is_file():
            if subprocess.run(fetch, check=False).returncode:
                raise SystemExit(f"{shlex.join(fetch[2:])} failed; install it with pip install mtdata, or see above")
            counts = split_pairs(folder, code, language, args.output, args.lines, args.held_out, excluded)
            print(f"en-{language}: {counts['train']} pairs for training", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
