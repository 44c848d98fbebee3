"""Small texts and a small subword folder for the tests of data folders; made up, the same every time."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fairseq_xalign.tokenizer.tokenizer import Tokenizer

SYLLABLES = {"en": "the ing er on wa lk hou se tree", "de": "der ung en ge hau s baum sch ön"}


def sentences(language: str, count: int, seed: int = 1) -> list[str]:
    """``count`` made-up sentences of three to nine words; line i has the same number of words in every language."""
    lengths, words = random.Random(seed), random.Random(f"{language}{seed}")
    syllables = SYLLABLES[language].split()
    return [
        " ".join("".join(words.choices(syllables, k=words.randint(1, 3))) for _ in range(lengths.randint(3, 9))) + "."
        for _ in range(count)
    ]


def train_model(lines: Iterable[str], pieces: int, **options: object) -> bytes:
    """A SentencePiece model of some lines, with our special ids."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=pieces,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        control_symbols=["<mask>"],
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


@cache
def model_bytes(pieces: int = 90) -> bytes:
    """A SentencePiece model of both languages."""
    return train_model(sentences("en", 400) + sentences("de", 400), pieces)


def subword_folder(path: Path, pieces: int = 90) -> Tokenizer:
    """Write a subword folder and return its tokenizer."""
    tokenizer = Tokenizer.trained(model_bytes(pieces), ["en", "de"])
    tokenizer.save(path)
    return tokenizer


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


def raw_material(root: Path) -> Tokenizer:
    """What a data folder of all kinds is made of: a vocabulary (sub), parallel texts (en, de), a dictionary."""
    tokenizer = subword_folder(root / "sub")
    for name in ("en", "de"):
        write_lines(root / name, sentences(name, 50))
    header = '#xalign-dictionary\t{"source": "en", "target": "de"}'
    write_lines(root / "dictionary", [header, f"{tokenizer.piece(5)}\t{tokenizer.piece(7)}\t1"])
    return tokenizer


def fairseq_preprocess(*options: object) -> None:
    """What the command ``fairseq-preprocess --dataset-impl mmap`` does, in this process."""
    from fairseq import options as fairseq_options
    from fairseq_cli import preprocess

    arguments = ["--dataset-impl", "mmap", *map(str, options)]
    preprocess.main(fairseq_options.get_preprocessing_parser().parse_args(arguments))


def fairseq_folders(root: Path, tokenizer: Tokenizer, count: int = 50) -> None:
    """Write ``root/{pair,source,unnamed,folders}``: the same sentences under every name fairseq-preprocess gives."""
    for name in SYLLABLES:
        pieces = [" ".join(map(tokenizer.piece, tokenizer.encode(line))) for line in sentences(name, count)]
        write_lines(root / f"pieces.{name}", pieces)
    tokenizer.save(root / "vocabulary")
    dictionary = root / "vocabulary" / "dict.txt"
    pair = ["-s", "en", "-t", "de", "--srcdict", dictionary, "--joined-dictionary", "--destdir", root / "pair"]
    fairseq_preprocess("--trainpref", root / "pieces", *pair)
    alone = ["--only-source", "--srcdict", dictionary]
    fairseq_preprocess("--trainpref", root / "pieces", "-s", "en", *alone, "--destdir", root / "source")
    fairseq_preprocess("--trainpref", root / "pieces.de", *alone, "--destdir", root / "unnamed")
    fairseq_preprocess("--trainpref", root / "pieces.de", *alone, "--destdir", root / "folders" / "de")
    (root / "folders" / "dict.txt").write_bytes(dictionary.read_bytes())
