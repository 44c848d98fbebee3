"""Translate a test set in every direction and score it: BLEU, chrF, wrong language, repetition.

The test set is a split of a data folder (--data), or text files that are parallel line by line (--text, repeated).
Without a checkpoint, translations that exist already are scored (--hypotheses, repeated): plain text, or what
fairseq-generate printed, whose D- or H- lines are put into order. References are then those of --references, --data or
--text, or else the T- lines of the file itself.

BLEU and chrF are sacrebleu's, and their signatures are printed. "Wrong language" is the share of translations that
py3langid takes for another language of the test set than the one asked for; what it cannot tell is "unknown".
"Repetitive" is the share in which a phrase of one to four words stands four times in a row. Averages are over
directions, unweighted: into and out of English, and of high and low resource by the pairs of training.

With --output, each direction is written when it is done, and a command that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.data.corpus_sizes import corpus_sizes
from fairseq_xalign.data.shards import open_folder
from fairseq_xalign.data.test_set import Direction, FolderTestSet, TestSet, TextTestSet, chosen_directions
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.translation import TOKENIZERS
from fairseq_xalign.evaluate.report.tables import json_text
from fairseq_xalign.evaluate.report.translations import (
    HIGH_RESOURCE,
    TRANSLATION_FILE,
    Translations,
    averages,
    check_same_test_set,
    merged,
    read_translations,
    translations_text,
)
from fairseq_xalign.evaluate.translating import Translated, given_translations, translated
from fairseq_xalign.evaluate.translation_scores import score_directions
from fairseq_xalign.files import sha256, write_json
from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.options import at_least, language_pair, name_list, named_files, pair_name

EXAMPLE = """examples:
  xalign-evaluate bleu --checkpoint runs/mnmt --data DATA --directions all --output scores/mnmt
  xalign-evaluate bleu --checkpoint runs/mnmt --text en=test.en --text de=test.de --directions en-de --json
  xalign-evaluate bleu --hypotheses en-de=generate.out --references de=test.de --baseline scores/bilingual"""

BEAM, LENPEN, MAX_LEN_A, MAX_LEN_B, BATCH_TOKENS = 4, 1.0, 0.0, 200, 8192
"""The beam is that of Vaswani et al. (2017); the other defaults are those of fairseq-generate."""
UNKNOWN_SHARE = 0.001
"""References of a data folder in which more than this share of ids is ``<unk>`` are mentioned."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate bleu``."""
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("--checkpoint", metavar="CKPT", help=CKPT_HELP)
    made.add_argument(
        "--hypotheses",
        action="append",
        metavar="XX-YY=FILE",
        help="Translations to score instead, one per line, or what fairseq-generate printed; repeat it per direction.",
    )
    parser.add_argument("--data", metavar="DIR", help="Data folder whose bitext is translated.")
    parser.add_argument("--split", default="test", help="Split of the data folder (default: %(default)s).")
    parser.add_argument(
        "--text",
        action="append",
        metavar="XX=FILE",
        help="File of one language, parallel line by line to those of the others; repeat it per language.",
    )
    parser.add_argument(
        "--references",
        action="append",
        metavar="YY=FILE",
        help="References in the target language for --hypotheses; XX-YY=FILE is for one direction alone.",
    )
    parser.add_argument(
        "--directions",
        default="all",
        metavar="all|XX-YY,...",
        help="Directions to translate, separated by commas; all stands for those of the test set that the checkpoint "
        "was trained on. Others are translated zero-shot if they are named (default: %(default)s).",
    )
    search = parser.add_argument_group("search")
    search.add_argument("--beam", type=int, default=BEAM, metavar="N", help="Size of the beam (default: %(default)s).")
    search.add_argument(
        "--lenpen",
        type=float,
        default=LENPEN,
        metavar="P",
        help="Length penalty: scores are divided by length to this power (default: %(default)s, as in fairseq).",
    )
    search.add_argument(
        "--max-len-a",
        type=float,
        default=MAX_LEN_A,
        metavar="A",
        help="Longest translation in subwords per subword of its source, to which --max-len-b is added (default: "
        "%(default)s, as in fairseq).",
    )
    search.add_argument(
        "--max-len-b",
        type=int,
        default=MAX_LEN_B,
        metavar="B",
        help="Longest translation in subwords, beyond what --max-len-a allows (default: %(default)s, as in fairseq).",
    )
    search.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, metavar="N", help="Tokens per batch (default: %(default)s)."
    )
    search.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)
    shown = parser.add_argument_group("table")
    shown.add_argument(
        "--tokenizer",
        choices=TOKENIZERS,
        metavar="NAME",
        help="Tokenizer of BLEU for all languages (default: by target language, zh for Chinese, MeCab's or char for "
        f"Japanese, char for other languages without spaces, else 13a). One of {', '.join(TOKENIZERS)}.",
    )
    shown.add_argument(
        "--baseline",
        action="append",
        metavar="RESULT",
        help="Scores of other models, such as bilingual ones, to print next to these scores, as in MMTE, Table 1: a "
        f"{TRANSLATION_FILE} or its folder. Repeat it for more models.",
    )
    shown.add_argument(
        "--training-data",
        metavar="DIR",
        help="Data folder that the model was trained on, whose pairs say what is high and low resource (default: that "
        "of --data if it has training text, else the one that the checkpoint names, if it is still there).",
    )
    shown.add_argument(
        "--threshold",
        type=int,
        default=HIGH_RESOURCE,
        metavar="N",
        help="Smallest number of training pairs for a direction to count as high-resource (default: "
        f"{HIGH_RESOURCE:,}, as in NLLB).",
    )
    shown.add_argument("--name", help="Name of the model in tables (default: that of its folder).")
    parser.add_argument("--output", metavar="DIR", help=f"Folder to write translations and {TRANSLATION_FILE} to.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Translate, score, print."""
    baselines = [read_translations(path) for path in args.baseline or ()]
    result = bleu(
        args.checkpoint,
        hypotheses=dict(_distinct(named_files(args.hypotheses, "--hypotheses"), "--hypotheses")),
        data=args.data,
        split=args.split,
        texts=dict(_distinct(named_files(args.text, "--text"), "--text")),
        references=dict(_distinct(named_files(args.references, "--references"), "--references")),
        directions=None if args.directions == "all" else name_list(args.directions),
        beam=args.beam,
        lenpen=args.lenpen,
        max_len_a=args.max_len_a,
        max_len_b=args.max_len_b,
        batch_tokens=args.batch_tokens,
        device=args.device,
        tokenizer=args.tokenizer,
        training_data=args.training_data,
        threshold=args.threshold,
        name=args.name,
        output=args.output,
    )
    baseline = merged(baselines)
    if baseline is not None:
        for other in baselines:
            check_same_test_set(result, other)
    if args.json:
        print(json_text(result.record() | ({"baseline": baseline.directions} if baseline else {})), end="")
    else:
        print(translations_text(result, baseline), end="")


def _distinct(pairs: Sequence[tuple[str, str]], option: str) -> Sequence[tuple[str, str]]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{option} names {twice!r} twice", remedy="Name each once")
    return pairs


def bleu(
    checkpoint: str | Path | None = None,
    *,
    hypotheses: Mapping[str, str | Path] | None = None,
    data: str | Path | None = None,
    split: str = "test",
    texts: Mapping[str, str | Path] | None = None,
    references: Mapping[str, str | Path] | None = None,
    directions: Sequence[str] | None = None,
    beam: int = BEAM,
    lenpen: float = LENPEN,
    max_len_a: float = MAX_LEN_A,
    max_len_b: int = MAX_LEN_B,
    batch_tokens: int = BATCH_TOKENS,
    device: str | None = None,
    tokenizer: str | None = None,
    training_data: str | Path | None = None,
    threshold: int = HIGH_RESOURCE,
    name: str | None = None,
    output: str | Path | None = None,
) -> Translations:
    """The scores of a model's translations, as ``bleu.json`` holds them.

    Args:
        checkpoint: a ``.pt`` file or its folder; or None, and ``hypotheses``.
        hypotheses: files of translations by direction.
        data, split: a data folder and its split; or
        texts: parallel files by language.
        references: files of references by target language or direction, for ``hypotheses``.
        directions: names of directions (default: all).
        beam, lenpen, max_len_a, max_len_b: the search, as in fairseq-generate.
        batch_tokens: tokens per batch.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.
        tokenizer: BLEU's, one of ``TOKENIZERS`` (default: by target language).
        training_data: the data folder of training.
        threshold: training pairs from which a direction is high-resource.
        name: what tables call the model.
        output: folder for translations and scores; what it holds already is not translated again.

    Raises:
        UserError: options that exclude each other, a direction that is not there, files that do not fit.
    """
    at_least(1, beam=beam, max_len_b=max_len_b, batch_tokens=batch_tokens)
    at_least(0, max_len_a=max_len_a, threshold=threshold)
    at_least(0, lenpen=lenpen)
    test = _test_set(data, split, texts)
    known = test.languages if test else []
    wanted = None if directions is None else [language_pair(d, "--directions", known) for d in directions]
    folder = None if output is None else Path(output)
    settings: dict[str, Any] = {"split": split if data else None}
    items: Iterable[Translated]
    if checkpoint is not None:
        if test is None:
            raise UserError("no test set", remedy="Add --data DIR, or --text XX=FILE for each language")
        search = {"beam": beam, "lenpen": lenpen, "max_len_a": max_len_a, "max_len_b": max_len_b}
        settings |= {"checkpoint": str(find_checkpoint(checkpoint)), **search}
        items = _by_checkpoint(checkpoint, test, wanted, search, batch_tokens, device, folder)
        name = name or _model_name(checkpoint)
    else:
        items = given_translations(hypotheses or {}, wanted, test, references or {})
        name = name or "hypotheses"
    pairs = _training_pairs(training_data, data, checkpoint)
    entries = score_directions(items, known, pairs, tokenizer)
    result = Translations(name, entries, settings, averages(entries, threshold), threshold)
    if folder is not None:
        write_json(folder / TRANSLATION_FILE, result.record())
    return result


def _training_pairs(
    training_data: str | Path | None, data: str | Path | None, checkpoint: str | Path | None
) -> dict[str, int]:
    """Training pairs by direction: of ``training_data``, else of ``data``, else of the folder a checkpoint names."""
    if training_data is not None:
        return corpus_sizes(training_data)
    found = corpus_sizes(data) if data is not None else {}
    if found or checkpoint is None:
        return found
    named = ((read_checkpoint(checkpoint, mapped=True).get("cfg") or {}).get("task") or {}).get("data")
    if not named or not all(Path(part).is_dir() for part in str(named).split(os.pathsep)):
        return {}
    cli.say(f"training pairs: those of {named}, which the checkpoint was trained on")
    return corpus_sizes(named)


def _model_name(checkpoint: str | Path) -> str:
    path = find_checkpoint(checkpoint).resolve()
    return path.parent.name or path.stem


def _test_set(data: str | Path | None, split: str, texts: Mapping[str, str | Path] | None) -> TestSet | None:
    if data and texts:
        raise UserError("--data and --text are two test sets", remedy="Give one of them")
    if data:
        return FolderTestSet(open_folder(data), split)
    return TextTestSet(texts) if texts else None


def _by_checkpoint(
    checkpoint: str | Path,
    test: TestSet,
    wanted: Sequence[Direction] | None,
    search: Mapping[str, Any],
    batch_tokens: int,
    device: str | None,
    folder: Path | None,
) -> Iterator[Translated]:
    """Translate with a checkpoint."""
    from fairseq_xalign.models.checkpoint import read_translator
    from fairseq_xalign.models.generate import check_target, targets_of, translate

    chosen_device = choose_device(device)
    model, tokenizer, state = read_translator(checkpoint)
    trained = list(state.get("directions") or ())
    directions = chosen_directions(wanted, test, trained)
    for direction in directions:
        check_target(direction[1], model, tokenizer, targets_of(state), pair_name(direction))
        _mention_unknown(test, direction)
    if wanted is None and len(directions) < len(trained):
        cli.say(
            f"{len(trained) - len(directions)} of the checkpoint's {len(trained)} directions are not in the test set"
        )
    model = model.to(chosen_device)

    def answer(lines: Sequence[str], source: str, target: str) -> list[str]:
        return translate(model, tokenizer, lines, source, target, batch_tokens=batch_tokens, **search)

    settings = {"checkpoint_sha256": sha256(find_checkpoint(checkpoint)), **search} if folder else {}
    return translated(test, directions, answer, settings, folder)


def _mention_unknown(test: TestSet, direction: Direction) -> None:
    if isinstance(test, FolderTestSet) and (share := test.unknown_share(direction)) > UNKNOWN_SHARE:
        cli.say(
            f"{pair_name(direction)}: {100 * share:.1f} % of the references' ids are <unk>, so that BLEU is too low: "
            "use --text for figures to report"
        )
