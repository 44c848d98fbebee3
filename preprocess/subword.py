"""Make a subword folder: train a joint vocabulary, or adopt a published one.

Training samples the languages at a temperature (MMTE, Siddhant et al. 2020, section 2.2: T = 5, one
shared SentencePiece vocabulary of 64,000, character coverage 0.999995): language l is drawn with
p_l proportional to (n_l / sum n)^(1/T) over its n_l lines with text. Small languages are repeated and
large ones are thinned out, so that --sentences bounds memory, whatever the size of the corpus.

--model adopts a SentencePiece model, BERT's vocab.txt or a tokenizer.json: its ids are permuted into our order, and the
permutation is kept in the folder so that ids can be mapped back.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import FIRST_PIECE, SUBWORD_FILE, UNK
from fairseq_xalign.errors import UserError, counted, unknown_name
from fairseq_xalign.options import (
    at_least,
    between,
    language_code,
    named_files,
    positive,
    spelling_notes,
    without_effect,
)
from fairseq_xalign.tokenizer.folder import check_replaceable
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.parallel import apart
from preprocess.subword_models import COVERAGE, LARGEST_VOCABULARY, train_byte_level, train_sentencepiece
from preprocess.subword_sampling import SAMPLE, draw_lines, quotas, survey

EXAMPLE = """examples:
  xalign-preprocess subword --input en=en.txt --input de=de.txt --vocab-size 32000 --output subword
  xalign-preprocess subword --input en=en.txt --vocab-size 50000 --model-type bbpe --output subword
  xalign-preprocess subword --model bert/vocab.txt --output subword"""

MODEL_TYPES = ("unigram", "bpe", "bbpe")
LOWERCASE = {"auto": None, "yes": True, "no": False}
DEFAULT_TEMPERATURE = 5.0
DEFAULT_COVERAGE = 0.999995
"""Both: MMTE, section 2.2."""
DEFAULT_SENTENCES = 2_000_000
DEFAULT_SEED = 1
VERY_MANY_SENTENCES = 10_000_000
"""From here SentencePiece needs its 64-bit suffix array."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input",
        action="append",
        metavar="LANG=FILE",
        help="Text to train on, one sentence per line. Repeat it for more languages and files.",
    )
    source.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="Published vocabulary to adopt: .model, vocab.txt or tokenizer.json, or a folder of transformers.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="Subword folder to write.")
    parser.add_argument(
        "--vocab-size",
        type=int,
        metavar="N",
        help="Number of ordinary pieces to train, which --input needs; the five special symbols and the language "
        "tokens are added to them.",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="Temperature at which languages are sampled; 1 keeps their proportions (default: "
        f"{DEFAULT_TEMPERATURE}, as MMTE).",
    )
    parser.add_argument(
        "--character-coverage",
        type=float,
        metavar="SHARE",
        help=f"Share of the sampled characters that get a piece, from {COVERAGE[0]} to {COVERAGE[1]:g} "
        f"(default: {DEFAULT_COVERAGE}, as MMTE). Not for bbpe, which has a piece for every byte.",
    )
    parser.add_argument(
        "--model-type",
        choices=MODEL_TYPES,
        help="How words are cut into pieces: SentencePiece's unigram or bpe, or bbpe, the byte-level BPE of RoBERTa "
        f"and of ALIGN-MLM's authors, for which no text is unknown (default: {MODEL_TYPES[0]}).",
    )
    parser.add_argument("--seed", type=int, help=f"Seed of the sample of lines to train on (default: {DEFAULT_SEED}).")
    parser.add_argument(
        "--sentences",
        type=int,
        metavar="N",
        help="Train on at most this many lines of all languages together, which bounds memory (default: "
        f"{DEFAULT_SENTENCES}).",
    )
    parser.add_argument(
        "--language-tokens",
        default="",
        metavar="LANG,LANG",
        help="Languages to add <2LANG> tokens for, which translation models need (default: none).",
    )
    parser.add_argument(
        "--lowercase",
        choices=tuple(LOWERCASE),
        default="auto",
        help="With --model: whether a vocab.txt is uncased. With auto, tokenizer_config.json beside it decides or, "
        "without one, whether any piece has a capital letter (default: %(default)s).",
    )
    parser.add_argument("--json", action="store_true", help="Print the report as JSON.")


def run(args: argparse.Namespace) -> int:
    """Make what the command line asks for and print the report."""
    inputs: dict[str, list[Path]] = {}
    for name, path in named_files(args.input, "--input"):
        inputs.setdefault(name, []).append(Path(path))
    report = make_subword(
        args.output,
        inputs=inputs,
        model=args.model,
        vocab_size=args.vocab_size,
        temperature=args.temperature,
        character_coverage=args.character_coverage,
        model_type=args.model_type,
        seed=args.seed,
        sentences=args.sentences,
        language_tokens=[name.strip() for name in args.language_tokens.split(",") if name.strip()],
        lowercase=LOWERCASE[args.lowercase],
    )
    if args.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        show(report, DEFAULT_SEED if args.seed is None else args.seed)
    return 0


def make_subword(
    output: str | Path,
    *,
    inputs: Mapping[str, Sequence[str | Path]] | None = None,
    model: str | Path | None = None,
    vocab_size: int | None = None,
    temperature: float | None = None,
    character_coverage: float | None = None,
    model_type: str | None = None,
    seed: int | None = None,
    sentences: int | None = None,
    language_tokens: Sequence[str] = (),
    lowercase: bool | None = None,
) -> dict[str, Any]:
    """Write a subword folder: train a vocabulary on ``inputs``, the files of each language, or adopt ``model``.

    Args are the options of the command, None for their defaults. Returns its report: ids, hash, and for each language
    what was read, left out and measured.

    Raises:
        UserError: for an option out of range or without effect, text that cannot be read, and sizes that the text does
            not allow.
    """
    for name in language_tokens:
        language_code(name, "--language-tokens")
    if len(set(language_tokens)) != len(language_tokens):
        raise UserError(
            f"--language-tokens {','.join(language_tokens)!r} names a language twice", remedy="Name it once"
        )
    options: dict[str, Any] = {
        "vocab_size": vocab_size,
        "model_type": model_type,
        "character_coverage": character_coverage,
        "temperature": temperature,
        "seed": seed,
        "sentences": sentences,
    }
    if model is not None:
        without_effect("is for training with --input: --model adopts a vocabulary as it is", **options)
    elif lowercase is not None:
        raise UserError("--lowercase is for --model with a vocab.txt: training keeps case", remedy="Leave it out")
    check_replaceable(Path(output))  # before the minutes that training takes
    rows: list[dict[str, Any]] = []
    if model is not None:
        tokenizer = Tokenizer.adopted(model, language_tokens, lowercase)
    else:
        chosen = {name: value for name, value in options.items() if value is not None}
        tokenizer, rows = train(inputs or {}, Training(**chosen), language_tokens)
    if (Path(output) / SUBWORD_FILE).exists():
        cli.say(f"{output}: replaces the vocabulary that was there")
    tokenizer.save(output)
    return {
        "output": str(output),
        "kind": tokenizer.kind,
        "pieces": tokenizer.pieces,
        "language_tokens": tokenizer.language_tokens,
        "excluded": len(tokenizer.excluded_ids),
        "size": len(tokenizer),
        "sha256": tokenizer.sha256,
        "languages": rows,
    }


# Training


@dataclass(frozen=True)
class Training:
    """The options of training, in the order in which ``subword.json`` keeps them; checked when it is made.

    A vocabulary of no pieces, the default, is refused.
    """

    vocab_size: int = 0
    model_type: str = MODEL_TYPES[0]
    character_coverage: float | None = None
    temperature: float = DEFAULT_TEMPERATURE
    seed: int = DEFAULT_SEED
    sentences: int = DEFAULT_SENTENCES

    def __post_init__(self) -> None:
        if not 1 <= self.vocab_size <= LARGEST_VOCABULARY:
            raise UserError(
                f"training needs --vocab-size N, the number of ordinary pieces, from 1 to {LARGEST_VOCABULARY:,}",
                remedy="For example 8000",
            )
        if self.model_type not in MODEL_TYPES:
            raise unknown_name("--model-type", self.model_type, MODEL_TYPES)
        positive(temperature=self.temperature)
        at_least(1, sentences=self.sentences)
        if self.model_type == "bbpe" and self.character_coverage is not None:
            raise UserError(
                "--character-coverage is for unigram and bpe: with --model-type bbpe every byte has a piece",
                remedy="Leave it out",
            )
        if self.character_coverage is not None:
            between(*COVERAGE, character_coverage=self.character_coverage)

    def model(self, texts: Iterator[str], very_many: bool) -> tuple[str, bytes]:
        """The kind and the bytes of a model trained on ``texts``."""
        if self.model_type == "bbpe":
            return "tokenizers", apart(partial(train_byte_level, pieces=self.vocab_size), texts)
        training = partial(
            train_sentencepiece,
            pieces=self.vocab_size,
            model_type=self.model_type,
            coverage=DEFAULT_COVERAGE if self.character_coverage is None else self.character_coverage,
            very_many=very_many,
        )
        return "sentencepiece", apart(training, texts)

    def described(self) -> dict[str, Any]:
        """What ``subword.json`` says of it."""
        options = asdict(self)
        if self.model_type == "bbpe":
            del options["character_coverage"]
        elif self.character_coverage is None:
            options["character_coverage"] = DEFAULT_COVERAGE
        return options


def train(
    inputs: Mapping[str, Sequence[str | Path]], training: Training, token_languages: Sequence[str]
) -> tuple[Tokenizer, list[dict[str, Any]]]:
    """Train a tokenizer on each language's files; also return the report's row for each language."""
    if not inputs:
        raise UserError("there is no text to train on", remedy="Give --input LANG=FILE, or adopt a --model")
    languages = {language_code(name, "--input"): [Path(file) for file in files] for name, files in inputs.items()}
    _note_repetitions(languages)
    corpora = survey(languages, training.seed)
    counts = quotas([corpus.lines for corpus in corpora], training.temperature, training.sentences)

    def sampled() -> Iterator[str]:
        for corpus, quota in zip(corpora, counts, strict=True):
            yield from cli.progress(draw_lines(corpus, quota, training.seed), f"sampling {corpus.language}", quota)
        cli.say(f"training {training.vocab_size} pieces on {counted(sum(counts), 'line')} ...")

    kind, data = training.model(sampled(), sum(counts) > VERY_MANY_SENTENCES)
    drawn = [
        {"language": c.language, "lines": c.lines, "empty": c.empty, "derived": c.derived, "drawn": quota}
        for c, quota in zip(corpora, counts, strict=True)
    ]
    options = training.described() | {"sampled": drawn}
    tokenizer = Tokenizer.trained(data, list(languages), token_languages, options, kind)
    return tokenizer, [row | rates(tokenizer, corpus.sample) for row, corpus in zip(drawn, corpora, strict=True)]


def _note_repetitions(languages: Mapping[str, Sequence[Path]]) -> None:
    """Say which languages may be one, and which files count more than once."""
    for note in spelling_notes(languages, languages):
        cli.say(note)
    times = Counter(file.resolve() for files in languages.values() for file in files)
    for file, count in times.items():
        if count > 1:
            cli.say(f"{file} is named {count} times: its lines count as often")


# Report


def rates(tokenizer: Tokenizer, sample: Sequence[str]) -> dict[str, Any]:
    """Pieces per word, share of known characters and of ``<unk>`` pieces in a sample of lines."""
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


def show(report: dict[str, Any], seed: int) -> None:
    """Print the report on stdout."""
    tokens, excluded, rows = len(report["language_tokens"]), report["excluded"], report["languages"]
    print(
        f"{report['output']}: {report['size']} ids = {FIRST_PIECE} special + {report['pieces']} pieces"
        + (f" + {tokens} language tokens" if tokens else "")
        + (f" + {excluded} that no text contains" if excluded else "")
    )
    if not rows:
        return
    for why, what in (("empty", "empty lines"), ("derived", "lines with private-use characters (transliterated text)")):
        if dropped := sum(row[why] for row in rows):
            print(f"left out: {dropped} {what}")
    print(f"measured on at most {SAMPLE} lines of each language, drawn with seed {seed}:")
    heads = ("language", "lines", "trained on", "characters known", "unknown pieces", "pieces per word")
    print("{:<12}{:>12}{:>12}{:>18}{:>16}{:>17}".format(*heads))
    for row in rows:
        print(
            f"{row['language']:<12}{row['lines']:>12}{row['drawn']:>12}{row['coverage']:>18.4%}"
            f"{row['unknown']:>16.4%}{row['pieces_per_word']:>17.3f}"
        )
