"""Parallel text of English with several languages for a recipe, split by English sentence over all languages.

Takes corpora of `xalign-preprocess fetch` whose files are ``{split}.en-XX.{en,XX}.txt`` (the interface strings) or
``{split}.XX.txt``, parallel over all languages (the verses). Writes ``{train,valid,test}.en-XX.{en,XX}.txt`` for each
language, and ``counts.json``.

No English sentence of ``valid`` or ``test``, of any language, is in the training text of any other: sentences count as
equal that differ in case, digits, punctuation and placeholders only. Nor is a sentence of the other language trained on
that is the translation of a test sentence. So every direction, into English too, is tested on unseen sentences, and the
model has not seen their translations into a third language. ``--most-words`` leaves longer English sentences out of all
three.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from fairseq_xalign.files import atomic_file, read_lines
from preprocess.corpora.interface import english_key

SPLITS = ("train", "valid", "test")
Pair = tuple[str, str]


def key(text: str) -> str:
    """What decides whether two sentences are the same; scripts without letters keep their text."""
    return english_key(text) or " ".join(text.split())


def read_pairs(corpus: Path, split: str, language: str) -> list[Pair]:
    """The pairs (English, other) that a corpus has for a language, in its order; none if it does not have it."""
    named = [corpus / f"{split}.en-{language}.{side}.txt" for side in ("en", language)]
    joint = [corpus / f"{split}.{side}.txt" for side in ("en", language)]
    files = next((files for files in (named, joint) if all(file.is_file() for file in files)), None)
    if files is None:
        return []
    english, other = ([line for _, line in read_lines(file)] for file in files)
    if len(english) != len(other):
        raise SystemExit(f"{files[0]} has {len(english)} lines, but {files[1]} has {len(other)}")
    return list(zip(english, other))


def spread(pairs: list[Pair], wanted: int) -> list[Pair]:
    """``wanted`` pairs spread evenly over the list; all of them if there are fewer."""
    wanted = min(wanted, len(pairs))
    return [pair for i, pair in enumerate(pairs) if i * wanted // len(pairs) != (i + 1) * wanted // len(pairs)]


def has_words(english: str, words: range) -> bool:
    return len(english.split()) in words


def held_out(corpora: list[Path], split: str, language: str, wanted: int, words: range) -> list[Pair]:
    """``wanted`` pairs of ``valid`` or ``test``: as many of each corpus as it has room for, no English one twice."""
    chosen: list[Pair] = []
    for number, corpus in enumerate(corpora):
        pairs = {key(english): (english, other) for english, other in read_pairs(corpus, split, language)}
        taken = {key(english) for english, _ in chosen}
        fit = [p for k, p in pairs.items() if has_words(p[0], words) and k not in taken]
        chosen += spread(fit, (wanted - len(chosen)) // (len(corpora) - number))
    return chosen


def split_pairs(
    corpora: list[Path], languages: list[str], valid_lines: int, test_lines: int, words: range
) -> tuple[dict[tuple[str, str], list[Pair]], Counter[str]]:
    """The pairs of (split, language), and how many pairs of training text were left out for which reason.

    Args:
        words: how many words English may have in a held-out sentence; training text may have fewer.
    """
    wanted = {"valid": valid_lines, "test": test_lines}
    found = {
        (split, language): held_out(corpora, split, language, lines, words)
        for split, lines in wanted.items()
        for language in languages
    }
    # A sentence of the test is no sentence of the validation either, which chooses the checkpoint.
    test = {key(english) for (split, _), pairs in found.items() if split == "test" for english, _ in pairs}
    for language in languages:
        found["valid", language] = [p for p in found["valid", language] if key(p[0]) not in test]
    english_seen = {key(english) for pairs in found.values() for english, _ in pairs}
    dropped: Counter[str] = Counter()
    for language in languages:
        other_seen = {key(other) for split in wanted for _, other in found[split, language]}
        kept: dict[Pair, None] = {}
        for corpus in corpora:
            for english, other in read_pairs(corpus, "train", language):
                if len(english.split()) >= words.stop:
                    dropped["English sentence is too long"] += 1
                elif key(english) in english_seen:
                    dropped["English sentence is tested"] += 1
                elif key(other) in other_seen:
                    dropped["translation is tested"] += 1
                elif (english, other) in kept:
                    dropped["repeated"] += 1
                else:
                    kept[english, other] = None
        found["train", language] = list(kept)
    return found, dropped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, action="append", required=True, help="Folder of a corpus; repeatable.")
    parser.add_argument("--languages", required=True, help="Languages beside English, separated by spaces.")
    parser.add_argument("--output", type=Path, required=True, help="Folder to write.")
    parser.add_argument("--valid-lines", type=int, required=True, help="Pairs for validation per language.")
    parser.add_argument("--test-lines", type=int, required=True, help="Held-out pairs per language.")
    parser.add_argument("--lines", type=int, help="At most this many pairs for training per language (default: all).")
    parser.add_argument(
        "--least-words", type=int, default=4, help="Fewest English words of a held-out sentence (default: %(default)s)."
    )
    parser.add_argument(
        "--most-words", type=int, help="Most English words of a sentence, in every split (default: any number)."
    )
    args = parser.parse_args()
    languages = args.languages.split()
    words = range(args.least_words, sys.maxsize if args.most_words is None else args.most_words + 1)
    found, dropped = split_pairs(args.corpus, languages, args.valid_lines, args.test_lines, words)
    for language in languages:
        if args.lines is not None:
            found["train", language] = spread(found["train", language], args.lines)
        for split in SPLITS:
            if not found[split, language]:
                raise SystemExit(f"no {split} pair of en-{language} in {', '.join(map(str, args.corpus))}")
            for side, name in enumerate(("en", language)):
                with atomic_file(args.output / f"{split}.en-{language}.{name}.txt") as out:
                    out.writelines(f"{pair[side]}\n" for pair in found[split, language])
    counts = {language: {split: len(found[split, language]) for split in SPLITS} for language in languages}
    with atomic_file(args.output / "counts.json") as out:
        json.dump({"pairs": counts, "dropped": dict(dropped)}, out, indent=1)


if __name__ == "__main__":
    main()
