"""A small data folder for translation: made-up languages that are functions of one another, word for word."""

from __future__ import annotations

import random
from pathlib import Path

from preprocess.__main__ import main as preprocess

WORDS = ["ba", "be", "bi", "da", "de", "di", "ka", "ke", "ki", "ma", "me", "mi"]
LANGUAGES = {"en": lambda w: w, "de": lambda w: w[::-1].upper(), "fr": lambda w: f"{w}o"}
"""What a word of English is in each language."""
COUNTS = {"train": {"de": 300, "fr": 60}, "valid": {"de": 21, "fr": 10}, "test": {"de": 13, "fr": 7}}


def run(*arguments: object) -> None:
    assert preprocess([str(a) for a in arguments]) == 0


def sentences(count: int, seed: str) -> list[list[str]]:
    """English sentences of two to six words."""
    rng = random.Random(seed)
    return [rng.choices(WORDS, k=rng.randint(2, 6)) for _ in range(count)]


def spelled(words: list[str], language: str) -> str:
    return " ".join(map(LANGUAGES[language], words))


def make_folder(root: Path, mono: bool = False, vocabulary: int = 50) -> Path:
    """English with German and French in three splits; test has de-fr too, which nothing is trained on."""
    everything = sentences(200, "subword")
    for language in LANGUAGES:
        (root / f"all.{language}").write_text("".join(f"{spelled(w, language)}\n" for w in everything), "utf-8")
    inputs = [x for language in LANGUAGES for x in ("--input", f"{language}={root}/all.{language}")]
    run("subword", *inputs, "--vocab-size", vocabulary, "--language-tokens", "en,de,fr", "--output", root / "sub")
    for split, counts in COUNTS.items():
        pairs = []
        for other, count in counts.items():
            lines = sentences(count, f"{split}{other}")
            for language in ("en", other):
                path = root / f"{split}.{other}.{language}"
                path.write_text("".join(f"{spelled(words, language)}\n" for words in lines), "utf-8")
            pairs += ["--bitext", f"en-{other}={root}/{split}.{other}.en,{root}/{split}.{other}.{other}"]
        if split == "test":
            for language in ("de", "fr"):
                lines = sentences(9, "zero")
                (root / f"zero.{language}").write_text("".join(f"{spelled(w, language)}\n" for w in lines), "utf-8")
            pairs += ["--bitext", f"de-fr={root}/zero.de,{root}/zero.fr"]
        if mono and split != "test":
            pairs += ["--mono", f"en={root}/all.en", "--mono", f"de={root}/all.de"]
        run("binarize", "--subword", root / "sub", "--split", split, "--output", root / "DATA", "--workers", 1, *pairs)
    return root / "DATA"
