"""A cache of made-up corpora for ``--smallest``: all that recipes fetch, 200 lines each, in the true formats.

``xalign-preprocess fetch`` finds them ready and downloads nothing. The sentences are syllables put together at random;
the second language of a pair is the first, word for word, with other syllables. The figures that come out mean nothing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import smallest_sets

from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CorpusFolder

LINES, TEST_LINES = 200, 40
SYLLABLES = "ka mo ri tu se bel dor fin gus lam pe no"
NATURAL = ("de", "es")
"""The languages beside English that a recipe may ask for."""
TREEBANKS = {
    "english": "en",
    "german": "de",
    "spanish": "es",
    "arabic": "ar",
    "french": "fr",
    "hindi": "hi",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "russian": "ru",
    "turkish": "tr",
    "chinese": "zh",
}
"""The languages of treebanks, by their names."""  # fmt: skip
FURTHER = ("ar", "hi", "ja", "fr", "zh", "bg")
"""Further languages of the parallel corpora of TPP and PPA."""
BITEXT = (
    "wikidata",
    *(f"{name}-en-{target}" for name in ("tatoeba", "wikimatrix") for target in ("ar", "hi", "ja")),
    *(f"europarl-en-{target}" for target in ("fr", "es", "de", "bg")),
    *("multiun-en-ar", "multiun-en-zh", "iitb-en-hi", "eubookshop-en-bg"),
)
TAGS = ("NOUN", "VERB", "ADJ", "X")


def sentences(count: int, seed: int) -> list[list[str]]:
    """``count`` sentences of 4 to 12 words from a vocabulary of 60."""
    draws = random.Random(seed)
    vocabulary = ["".join(random.Random(n).choices(SYLLABLES.split(), k=2 + n % 3)) for n in range(60)]
    return [draws.choices(vocabulary, k=draws.randint(4, 12)) for _ in range(count)]


def text(words: list[str], language: str) -> str:
    """A sentence as a line: outside English every word ends in the language's first letter, or its last one."""
    mark = language[0] if language in NATURAL else language[-1]
    return " ".join(words if language == "en" else [word + mark for word in words]) + " ."


def splits() -> Iterator[tuple[str, list[list[str]]]]:
    for seed, (split, count) in enumerate((("train", LINES), ("valid", TEST_LINES), ("test", TEST_LINES)), 1):
        yield split, sentences(count, seed)


def write_text(folder: CorpusFolder, name: str, lines: list[str]) -> None:
    with folder.open(name) as stream:
        for line in lines:
            stream.line(line)


def tag(word: str) -> str:
    return TAGS[len(word) % len(TAGS)]


def tree(words: list[str]) -> Iterator[tuple[int, str, str]]:
    """Number, word, and head with relation: the first verb governs nouns, what else there is depends on a neighbour."""
    root = next((n for n, word in enumerate(words, 1) if tag(word) == "VERB"), 1)
    for n, word in enumerate(words, 1):
        if n == root:
            yield n, word, "0\troot"
        elif tag(word) == "NOUN":
            yield n, word, f"{root}\t{'nsubj' if n < root else 'obj'}"
        else:
            yield n, word, f"{n + 1 if n < root else n - 1}\t{'amod' if tag(word) == 'ADJ' else 'dep'}"


def write_treebank(folder: CorpusFolder, name: str, trees: list[list[str]], language: str) -> None:
    with folder.open(name) as stream:
        for words in trees:
            words = text(words, language).split()
            rows = [f"{n}\t{word}\t_\t{tag(word)}\t_\t_\t{relation}\t_\t_" for n, word, relation in tree(words)]
            stream.tree(rows, len(words))


def build(name: str, folder: CorpusFolder) -> None:
    """Write the files of corpus ``name``."""
    languages = ("en", *NATURAL)
    if name in ("sotu", "factbook", "wikitext-103"):
        write_text(folder, "text.en.txt", [text(words, "en") for words in sentences(LINES, len(name))])
    elif name == "ntrex":
        for language in (*languages, *FURTHER):
            write_text(folder, f"test.{language}.txt", [text(words, language) for words in sentences(10, 4)])
    elif name in BITEXT:
        for split, trees in splits():
            for target in FURTHER if name == "wikidata" else [name.rsplit("-", 1)[1]]:
                for side in ("en", target):
                    write_text(folder, f"{split}.en-{target}.{side}.txt", [text(words, side) for words in trees])
    elif name in ("emoji", "cldr"):
        words = sorted({word for words in sentences(LINES, 1) for word in words})
        for language in NATURAL:
            write_text(folder, f"en-{language}.txt", [f"{word} {word}{language[0]}" for word in words])
    elif name.startswith("ud-"):
        language = TREEBANKS[name.split("-")[1]]
        for split, trees in splits():
            if name.endswith(("ewt", "gum")) or split == "test":
                write_treebank(folder, f"{split}.{language}.conllu", trees, language)
    elif name in smallest_sets.SETS:
        for file, lines in smallest_sets.SETS[name](
            lambda count, seed: [text(s, "en") for s in sentences(count, seed)]
        ):
            (folder.path / file).parent.mkdir(parents=True, exist_ok=True)
            write_text(folder, file, lines)
    else:
        for split, trees in splits():
            for language in languages:
                lines = [text(words, language) for words in trees]
                if name == "verses":
                    write_text(folder, f"{split}.{language}.txt", lines)
                elif name == "intents":
                    rows = [f"{'long' if len(words) > 8 else 'short'}\t{line}" for words, line in zip(trees, lines)]
                    write_text(folder, f"{split}.{language}.tsv", rows)
            if name == "ui":
                for target in NATURAL:
                    for side in ("en", target):
                        lines = [text(words, side) for words in trees]
                        write_text(folder, f"{split}.en-{target}.{side}.txt", lines)


WANTED = (
    "sotu", "factbook", "wikitext-103", "verses", "ui", "ntrex", "intents", "emoji", "cldr",
    "ud-english-ewt", "ud-english-gum", *(f"ud-{name}-pud" for name in TREEBANKS), *smallest_sets.SETS, *BITEXT,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path, help="folder that XALIGN_CACHE will name")
    cache = parser.parse_args().cache
    for name in WANTED:
        corpus, path = CORPORA[name], cache / name
        if corpus.state(path) != "ready":
            path.mkdir(parents=True, exist_ok=True)
            replace(corpus, build=lambda _, folder, name=name: build(name, folder)).write({}, path)


if __name__ == "__main__":
    main()
