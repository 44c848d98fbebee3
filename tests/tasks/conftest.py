"""A data folder and a labelled folder made by our own commands from a small real text."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairseq_xalign.data.words import split_words
from preprocess.__main__ import main as preprocess
from tests.support.parallel import make_folder

TEXT = Path(__file__).parents[1] / "data" / "text.en.txt"


def run(*arguments: object) -> None:
    assert preprocess([str(a) for a in arguments]) == 0


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """English and its Trans∘Inv: mono, bitext and a dictionary of half the pieces; 400 pieces per language."""
    root = tmp_path_factory.mktemp("data")
    lines = TEXT.read_text("utf-8").splitlines()
    for split, part in (("train", lines[:-40]), ("valid", lines[-40:])):
        (root / f"{split}.en").write_text("\n".join(part) + "\n", "utf-8")
    run(
        "subword",
        "--input",
        f"en={root}/train.en",
        "--vocab-size",
        400,
        "--model-type",
        "bpe",
        "--output",
        root / "sub",
    )
    doubled = root / "doubled"
    for split in ("train", "valid"):
        run("derive", "--transform", "trans,inv", "--subword", root / "sub", "--output-subword", doubled, "--format",
            "text",            "--input", root / f"{split}.en", "--output", root / f"{split}.xx")  # fmt: skip
    run("dictionary", "--derived", doubled, "--share", 0.5, "--choose", "frequent", "--text", root / "train.en",
        "--source", "en", "--target", "xx", "--output", root / "en-xx.tsv")  # fmt: skip
    for split in ("train", "valid"):
        options = ["--dictionary", f"en-xx={root}/en-xx.tsv"] if split == "train" else []
        run("binarize", "--subword", doubled, "--split", split, "--output", root / "DATA", "--workers", 1,
            "--mono", f"en={root}/{split}.en", "--mono", f"xx={root}/{split}.xx",
            "--bitext", f"en-xx={root}/{split}.en,{root}/{split}.xx", *options)  # fmt: skip
    return root / "DATA"


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, data) -> Path:
    """Tagging whose tag is a function of the word (its first letter), in English and in the derived language."""
    root = tmp_path_factory.mktemp("labelled")
    lines = TEXT.read_text("utf-8").splitlines()
    for split, part in (("train", lines[:-60]), ("valid", lines[-60:-30]), ("test", lines[-30:])):
        with open(root / f"{split}.en.conllu", "w", encoding="utf-8") as out:
            for line in part:
                for i, word in enumerate(line.split(), start=1):
                    first = word[0].lower()
                    tag = "NOUN" if first in "abcdef" else "VERB" if first in "ghijklmnop" else "X"
                    out.write("\t".join([str(i), word, "_", tag, "_", "_", "0", "_", "_", "_"]) + "\n")
                out.write("\n")
        run("derive", "--transform", "trans,inv", "--subword", data, "--format", "conllu",
            "--input", root / f"{split}.en.conllu", "--output", root / f"{split}.xx.conllu")  # fmt: skip
    run("benchmark", "pos", "--from", root, "--output", root / "LABELLED")
    return root / "LABELLED"


@pytest.fixture(scope="session")
def parallel(tmp_path_factory) -> Path:
    """English with two made-up languages, for translation, with monolingual text too."""
    return make_folder(tmp_path_factory.mktemp("parallel"), mono=True)


@pytest.fixture(scope="session")
def linked(tmp_path_factory, data) -> Path:
    """English and its words in reverse, linked as they belong; 400 pieces."""
    root = tmp_path_factory.mktemp("linked")
    lines = TEXT.read_text("utf-8").splitlines()
    for split, part in (("train", lines[:-40]), ("valid", lines[-40:])):
        turned, links = [], []
        for line in part:
            words = split_words(line)
            turned.append(" ".join(reversed(words)))
            links.append(" ".join(f"{i}-{len(words) - 1 - i}" for i in range(len(words))))
        for name, rows in (("en", part), ("xx", turned), ("links", links)):
            (root / f"{split}.{name}").write_text("".join(f"{row}\n" for row in rows), "utf-8")
        run("binarize", "--subword", data, "--split", split, "--output", root / "DATA", "--workers", 1,
                "--mono", f"en={root}/{split}.en", "--bitext", f"en-xx={root}/{split}.en,{root}/{split}.xx",
                "--links", f"en-xx={root}/{split}.links", "--link-pieces", "in-order")  # fmt: skip
    return root / "DATA"
