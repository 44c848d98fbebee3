"""Make a subword folder: train a joint SentencePiece vocabulary, or adopt a published one.

Training samples the languages at a temperature (MMTE, Siddhant et al. 2020, section 3: T = 5, one
shared SentencePiece vocabulary of 64,000, character coverage 0.999995): language l is drawn with
p_l proportional to (n_l / sum n)^(1/T) over its n_l lines with text. Small languages are repeated,
large ones thinned out, so memory is bounded by --sentences, whatever the corpus.

Adopting takes a SentencePiece model, BERT's vocab.txt or a tokenizer.json and permutes its ids into
our order; the permutation is kept in the folder for the way back.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import BOS, EOS, FIRST_PIECE, MASK_SYMBOL, PAD, SUBWORD_FILE, UNK
from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.options import named_files
from fairseq_xalign.tokenizer.folder import check_replaceable
from fairseq_xalign.tokenizer.tokenizer import Tokenizer, has_reserved

EXAMPLE = """example:
  xalign-preprocess subword --input en=en.txt --input de=de.txt --vocab-size 32000 --output subword
  xalign-preprocess subword --model bert/vocab.txt --output subword"""

DEFAULT_TEMPERATURE = 5.0
DEFAULT_COVERAGE = 0.999995
"""Both: MMTE, section 3."""
DEFAULT_SENTENCES = 2_000_000
VERY_MANY_SENTENCES = 10_000_000
"""From here SentencePiece needs its 64-bit suffix array."""
SAMPLE = 1000
"""Lines of each language that the report's rates are measured on."""
TRAINING_THREADS = 16
"""Fixed, not the machine's: sums of counts depend on how many threads share them."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", action="append", metavar="LANG=FILE", help="text to train on, one sentence a line; may be repeated"
    )
    source.add_argument("--model", type=Path, metavar="FILE", help="adopt a .model, vocab.txt or tokenizer.json")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the subword folder to write")
    parser.add_argument(
        "--vocab-size",
        type=int,
        metavar="N",
        help="ordinary pieces to train; the five special symbols and the language tokens come on top",
    )
    parser.add_argument(
        "--temperature", type=float, default=DEFAULT_TEMPERATURE, metavar="T", help="of sampling (default %(default)s)"
    )
    parser.add_argument(
        "--character-coverage",
        type=float,
        default=DEFAULT_COVERAGE,
        metavar="SHARE",
        help="share of the sampled characters that must have a piece (default %(default)s)",
    )
    parser.add_argument(
        "--model-type",
        choices=("unigram", "bpe"),
        default="unigram",
        help="SentencePiece's method (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sample of lines (default %(default)s)")
    parser.add_argument(
        "--sentences",
        type=int,
        default=DEFAULT_SENTENCES,
        metavar="N",
        help="train on at most so many lines of all languages together; bounds memory (default %(default)s)",
    )
    parser.add_argument(
        "--language-tokens",
        default="",
        metavar="LANG,LANG",
        help="append the tokens <2LANG> that translation models need",
    )
    parser.add_argument(
        "--lowercase",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether a vocab.txt is uncased; auto looks at tokenizer_config.json beside it, then at its pieces",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    tokens = [name for name in args.language_tokens.split(",") if name]
    for name in tokens:
        check_name(name, "--language-tokens")
    if len(set(tokens)) != len(tokens):
        raise UserError(f"--language-tokens {args.language_tokens!r} names a language twice", remedy="Name it once")
    check_replaceable(args.output)  # before the minutes that training takes
    rows: list[dict[str, Any]] = []
    if args.model is not None:
        lowercase = {"auto": None, "yes": True, "no": False}[args.lowercase]
        tokenizer = Tokenizer.adopted(args.model, tokens, lowercase)
    else:
        tokenizer, rows = train(args, tokens)
    if (Path(args.output) / SUBWORD_FILE).exists():
        cli.say(f"{args.output}: replaces the vocabulary that was there")
    tokenizer.save(args.output)
    show(tokenizer, rows, args)
    return 0


def check_name(name: str, option: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(
            f"{option}: {name!r} is no language name", remedy="Use letters, digits, '-' and '_', as in en or zh_TW"
        )


# Reading


@dataclass
class Corpus:
    """One language's files and what a first pass found in them."""

    language: str
    files: list[Path] = field(default_factory=list)
    lines: int = 0
    """Lines with text."""
    empty: int = 0
    derived: int = 0
    """Lines with private-use characters: transliterated text, which has no place in training."""
    sample: list[str] = field(default_factory=list)

    def texts(self) -> Iterator[str]:
        """The usable lines, stripped, file by file."""
        for path in self.files:
            for _, line in read_lines(path):
                text = line.strip()
                if text and not has_reserved(text):
                    yield text


def survey(languages: dict[str, list[Path]], seed: int) -> list[Corpus]:
    """Count every language's lines, check their encoding, and draw a sample of each (a reservoir)."""
    corpora = []
    for language, files in languages.items():
        corpus, draw = Corpus(language, files), random.Random(f"{seed}/sample/{language}")
        for path in files:
            before = corpus.lines
            for _, line in cli.progress(read_lines(path), f"reading {path.name}"):
                text = line.strip()
                if not text:
                    corpus.empty += 1
                elif has_reserved(text):
                    corpus.derived += 1
                else:
                    corpus.lines += 1
                    place = len(corpus.sample) if corpus.lines <= SAMPLE else draw.randrange(corpus.lines)
                    if place < SAMPLE:
                        corpus.sample[place : place + 1] = [text]
            if corpus.lines == before:
                remedy = "Train on natural text" if corpus.derived else "Give a file with one sentence a line"
                raise UserError("no line has natural text", path, remedy=remedy)
        corpora.append(corpus)
    return corpora


def quotas(sizes: Sequence[int], temperature: float, sentences: int) -> list[int]:
    """How many lines each language gives: ``p_l * min(sentences, sum n)``, by largest remainder."""
    total = min(sentences, sum(sizes))
    exact = temperature_probabilities(sizes, temperature) * total
    whole = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return [max(1, count) for count in whole]


def draw_lines(corpus: Corpus, quota: int, seed: int) -> Iterator[str]:
    """Exactly ``quota`` lines: whole passes while the language is too small, then a uniform subset.

    The subset is drawn in one pass and no memory (selection sampling: Knuth, The Art of Computer
    Programming 2, section 3.4.2, algorithm S).
    """
    passes, needed = divmod(quota, corpus.lines)
    for _ in range(passes):
        yield from corpus.texts()
    if needed:
        draw, left = random.Random(f"{seed}/lines/{corpus.language}"), corpus.lines
        for text in corpus.texts():
            if draw.random() * left < needed:
                yield text
                needed -= 1
                if not needed:
                    return
            left -= 1


# Training


def train(args: argparse.Namespace, tokens: list[str]) -> tuple[Tokenizer, list[dict[str, Any]]]:
    """A tokenizer trained on ``--input``, and the report's row for each language."""
    if args.vocab_size is None or args.vocab_size < 1:
        raise UserError(
            "training needs --vocab-size N, the number of ordinary pieces, 1 or more", remedy="For example 8000"
        )
    if not 0 < args.character_coverage <= 1:
        raise UserError(f"--character-coverage must be above 0 and at most 1, not {args.character_coverage}")
    if args.sentences < 1:
        raise UserError(f"--sentences must be 1 or more, not {args.sentences}")
    languages: dict[str, list[Path]] = {}
    for name, path in named_files(args.input, "--input"):
        check_name(name, "--input")
        languages.setdefault(name, []).append(Path(path))
    corpora = survey(languages, args.seed)
    counts = quotas([corpus.lines for corpus in corpora], args.temperature, args.sentences)

    def sampled() -> Iterator[str]:
        for corpus, quota in zip(corpora, counts, strict=True):
            yield from cli.progress(draw_lines(corpus, quota, args.seed), f"sampling {corpus.language}", quota)
        cli.say(f"training {args.vocab_size} pieces on {sum(counts)} lines ...")

    data = train_sentencepiece(
        sampled(), args.vocab_size, args.model_type, args.character_coverage, sum(counts) > VERY_MANY_SENTENCES
    )
    drawn = [
        {"language": c.language, "lines": c.lines, "empty": c.empty, "derived": c.derived, "drawn": quota}
        for c, quota in zip(corpora, counts, strict=True)
    ]
    options = {
        "vocab_size": args.vocab_size,
        "model_type": args.model_type,
        "character_coverage": args.character_coverage,
        "temperature": args.temperature,
        "seed": args.seed,
        "sentences": args.sentences,
        "sampled": drawn,
    }
    tokenizer = Tokenizer.trained(data, [corpus.language for corpus in corpora], tokens, options)
    return tokenizer, [row | rates(tokenizer, corpus.sample) for row, corpus in zip(drawn, corpora, strict=True)]


def train_sentencepiece(
    texts: Iterator[str], pieces: int, model_type: str, coverage: float, very_many: bool = False
) -> bytes:
    """Train a SentencePiece model whose ids are ours: specials 0 to 4, ordinary pieces from 5.

    Raises:
        UserError: if so many pieces cannot be had from the text, or so few not.
    """
    import sentencepiece

    failed: list[UserError] = []

    def guarded() -> Iterator[str]:
        try:
            yield from texts
        except UserError as error:  # the library would turn it into an error of its own
            failed.append(error)
            raise

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=guarded(),
            model_writer=model,
            vocab_size=pieces + FIRST_PIECE,
            model_type=model_type,
            character_coverage=coverage,
            bos_id=BOS,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            control_symbols=[MASK_SYMBOL],
            # Encoding goes word by word, so a word must look the same alone as in its sentence.
            add_dummy_prefix=True,
            split_by_whitespace=True,
            remove_extra_whitespaces=True,
            input_sentence_size=0,  # the lines are drawn already
            max_sentence_length=1 << 30,  # by default longer lines than 4192 bytes are dropped
            num_threads=TRAINING_THREADS,
            train_extremely_large_corpus=very_many,
            minloglevel=2,
        )
    except (RuntimeError, UserError) as error:
        if failed:
            raise failed[0] from None
        raise explained(str(error), pieces) from error
    return model.getvalue()


def explained(message: str, pieces: int) -> UserError:
    """SentencePiece's complaint in our terms."""
    if found := re.search(r"Vocabulary size too high \(\d+\).*value <= (\d+)", message):
        largest = int(found[1]) - FIRST_PIECE
        return UserError(
            f"--vocab-size {pieces} is too large for this text: the largest possible is {largest}",
            remedy=f"Use --vocab-size {largest} or less, or more text",
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        smallest = int(found[1]) - FIRST_PIECE
        return UserError(
            f"--vocab-size {pieces} is too small: the text's characters alone need {smallest}",
            remedy=f"Use --vocab-size {smallest} or more, or a lower --character-coverage",
        )
    remedy = "Try more text or a smaller --vocab-size"
    return UserError(f"SentencePiece could not train: {message.strip()}", remedy=remedy)


# Report


def rates(tokenizer: Tokenizer, sample: Sequence[str]) -> dict[str, Any]:
    """Pieces a word, share of known characters and of ``<unk>`` pieces in a sample of lines."""
    words = ids = unknown = known_characters = unknown_characters = 0
    for text in sample:
        for word in text.split():
            found = tokenizer.encode(word)
            words += 1
            ids += len(found)
            unknown += found.count(UNK)
            known, lost = tokenizer.character_counts(word) if UNK in found else (len(word), 0)
            known_characters += known
            unknown_characters += lost
    return {
        "sample": len(sample),
        "coverage": known_characters / max(1, known_characters + unknown_characters),
        "unknown": unknown / max(1, ids),
        "pieces_per_word": ids / words,
    }


def show(tokenizer: Tokenizer, rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """The report, on stdout."""
    report = {
        "output": str(args.output),
        "kind": tokenizer.kind,
        "pieces": tokenizer.pieces,
        "language_tokens": tokenizer.language_tokens,
        "excluded": len(tokenizer.excluded_ids),
        "size": len(tokenizer),
        "sha256": tokenizer.sha256,
        "languages": rows,
    }
    if args.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return
    tokens, excluded = len(tokenizer.language_tokens), len(tokenizer.excluded_ids)
    print(
        f"{args.output}: {len(tokenizer)} ids = {FIRST_PIECE} special + {tokenizer.pieces} pieces"
        + (f" + {tokens} language tokens" if tokens else "")
        + (f" + {excluded} that no text contains" if excluded else "")
    )
    if not rows:
        return
    dropped = sum(row["derived"] for row in rows)
    if dropped:
        print(f"left out: {dropped} lines with private-use characters (transliterated text)")
    print(f"measured on at most {SAMPLE} lines of each language, drawn with seed {args.seed}:")
    heads = ("language", "lines", "trained on", "characters known", "unknown pieces", "pieces a word")
    print("{:<12}{:>12}{:>12}{:>18}{:>16}{:>15}".format(*heads))
    for row in rows:
        print(
            f"{row['language']:<12}{row['lines']:>12}{row['drawn']:>12}{row['coverage']:>18.4%}"
            f"{row['unknown']:>16.4%}{row['pieces_per_word']:>15.3f}"
        )
