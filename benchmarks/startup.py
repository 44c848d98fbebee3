"""From the start of `fairseq-train` to its second update: time and peak memory as the corpus grows.

Without --simulate: eight directions between English and four languages, with as many pairs of sentences in all as
--pairs says. Ours is the task mnmt; the peers are fairseq's translation_multi_simple_epoch as it is, and with
--virtual-epoch-size, its own remedy for large corpora. All read the same files, which have real indices. The tokens
of a few megabytes are real, and the rest of each .bin is a hole in the file: no disk has to be read, which spares the
peers, who read all of it, more than ours, which does not.

With --simulate: ours alone, at 0.8 million pairs and at 25 billion in 204 directions (35,000 to 2 billion each, as in
MMTE, section 2), whose files are holes apart from the pairs that the first window draws.

Example: python benchmarks/startup.py --pairs 800000,8000000 --json startup.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.common import (
    USER_DIR,
    add_common_arguments,
    interleaved,
    made_up_lines,
    report,
    run_process,
    spread,
    write_lines,
)
from fairseq_xalign.constants import EOS, FIRST_PIECE, MANIFEST_FILE
from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.mmap import HEADER, MAGIC, VERSION

LANGUAGES = ("de", "es", "fr", "ru")
SIZES = (np.random.default_rng(1).lognormal(3.1, 0.5, 1 << 16).clip(3, 100)).astype(np.int32)
"""Tokens of sentences, over and over: 24 on average, as in news."""
REGION = int(SIZES.sum())
DTYPE, CODE = np.dtype(np.uint16), 8
CHUNK = 1 << 20
MMTE_PAIRS, MMTE_DIRECTIONS, SMALLEST, LARGEST = 25_000_000_000, 204, 35_000, 2_000_000_000
MODEL = ["--encoder-layers", 1, "--encoder-embed-dim", 64, "--encoder-ffn-embed-dim", 128,
         "--encoder-attention-heads", 4, "--decoder-layers", 1, "--decoder-embed-dim", 64,
         "--decoder-ffn-embed-dim", 128, "--decoder-attention-heads", 4, "--share-all-embeddings"]  # fmt: skip
TRAINING = ["--max-tokens", 2000, "--max-update", 2, "--no-save", "--disable-validation", "--cpu", "--lr", 1e-3,
            "--sampling-temperature", 5, "--log-format", "simple"]  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pairs", default="800000", help="Numbers of pairs in all, separated by commas (default: %(default)s)."
    )
    parser.add_argument("--simulate", action="store_true", help="Compare ours at 0.8 million and at 25 billion pairs.")
    parser.add_argument(
        "--contenders", default="ours,fairseq,fairseq-virtual", help="Contenders (default: %(default)s)."
    )
    parser.add_argument("--folder", type=Path, help="Where to make the corpora (default: a temporary folder).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.pairs, args.repeat = "2000", 1
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        measured = simulate(Path(name), args) if args.simulate else compare(Path(name), args)
    rows, figures = measured
    title = "start to the second update" + (", ours at 0.8M and at 25 billion pairs" if args.simulate else "")
    report(title, ["pairs", "", "seconds", "MB"], rows, figures, args)
    return 0


# ---- corpora


def subword(folder: Path, languages: Sequence[str]) -> Path:
    """A vocabulary of 8,000 made-up pieces with a <2xx> of every language."""
    text = write_lines(folder / "text.txt", made_up_lines(20_000 if len(languages) < 10 else 5000))
    names = ",".join(["en", *languages])
    run_process("-m", "preprocess", "subword", "--input", f"en={text}", "--vocab-size", 2000, "--model-type", "bpe",
                "--language-tokens", names, "--output", folder / "subword")  # fmt: skip
    return folder / "subword"


def tokens(count: int, vocabulary: int) -> np.ndarray:
    """Sentences of ``SIZES`` one after the other, each ending in </s>, ``count`` of them."""
    sizes = SIZES[:count]
    ids = np.random.default_rng(2).integers(FIRST_PIECE, vocabulary, int(sizes.sum())).astype(DTYPE)
    ids[np.cumsum(sizes) - 1] = EOS
    return ids


def write_side(prefix: Path, items: int, vocabulary: int, sparse: bool) -> dict[str, dict[str, Any]]:
    """One side of a text of ``items`` sentences; the entry of its files in the manifest.

    The ids of sentence i are those of sentence i modulo 65,536. With ``sparse``, lengths are holes too.
    """
    ids = tokens(min(items, len(SIZES)), vocabulary)
    passes, rest = divmod(items, len(SIZES))
    total = passes * REGION + int(SIZES[:rest].sum())
    with open(f"{prefix}.bin", "wb") as out:
        out.write(ids.tobytes())
        out.truncate(total * DTYPE.itemsize)
    last = int(SIZES[(items - 1) % len(SIZES)])
    with open(f"{prefix}.idx", "wb") as out:
        out.write(HEADER.pack(MAGIC, VERSION, CODE, items))
        if sparse:
            out.truncate(HEADER.size + 12 * items)
        else:
            pieces = [SIZES] * passes + [SIZES[:rest]]
            starts = (np.cumsum(SIZES, dtype=np.int64) - SIZES) * DTYPE.itemsize
            for piece in pieces:
                out.write(piece.tobytes())
            for piece in pieces:
                out.write(starts[: len(piece)].tobytes())
    with open(f"{prefix}.idx", "r+b") as out:
        fill(out, items, items - 1, last, (total - last) * DTYPE.itemsize)
    return {f"{part}": {"size": os.stat(f"{prefix}{part}").st_size, "sha256": None} for part in (".bin", ".idx")}


def fill(out: Any, items: int, item: int, size: int, place: int) -> None:
    """Write the length of an item and where it begins."""
    for offset, value, dtype in ((4 * item, size, np.int32), (4 * items + 8 * item, place, np.int64)):
        out.seek(HEADER.size + offset)
        out.write(dtype(value).tobytes())


def length_counts(items: int) -> str:
    """What binarize counts, of a text both of whose sides have the same lengths."""
    passes, rest = divmod(items, len(SIZES))
    longest = int(SIZES.max()) + 1
    counts = passes * np.bincount(SIZES, minlength=longest) + np.bincount(SIZES[:rest], minlength=longest)
    there = np.flatnonzero(counts)
    return LengthCounts(np.stack([there, there], axis=1), counts[there]).encode()


def make_corpus(folder: Path, pairs: dict[str, int], sparse: bool = False) -> tuple[Path, Path]:
    """Our data folder and fairseq's, of English with several languages; both have the same files."""
    folder.mkdir()
    sub = subword(folder, list(pairs))
    few = write_lines(folder / "few.txt", made_up_lines(20))
    ours, theirs = folder / "ours", folder / "theirs"
    theirs.mkdir()
    streams = [word for name in pairs for word in ("--bitext", f"en-{name}={few},{few}")]
    run_process("-m", "preprocess", "binarize", "--subword", sub, "--split", "train", "--output", ours,
                "--max-unknown", 1, "--workers", 1, *streams)  # fmt: skip
    manifest = json.loads((ours / MANIFEST_FILE).read_text("utf-8"))
    vocabulary = manifest["vocabulary"]["size"]
    for stream in manifest["streams"]:
        name, items = stream["target_language"], pairs[stream["target_language"]]
        total = items // len(SIZES) * REGION + int(SIZES[: items % len(SIZES)].sum())
        stream |= {"sentences": items, "tokens": [total] * 2, "longest": [int(SIZES.max())] * 2, "files": {}}
        stream["lengths"] = length_counts(items)
        for side in ("en", name):
            prefix = f"bitext/train.en-{name}.{side}"
            files = write_side(ours / prefix, items, vocabulary, sparse)
            stream["files"] |= {f"{prefix}{part}": about for part, about in files.items()}
            for part in files:
                os.link(ours / f"{prefix}{part}", theirs / f"train.en-{name}.{side}{part}")
    (ours / MANIFEST_FILE).write_text(json.dumps(manifest), "utf-8")
    for name in ("en", *pairs):
        (theirs / f"dict.{name}.txt").write_bytes((sub / "dict.txt").read_bytes())
    return ours, theirs


# ---- contenders


def train_ours(data: Path) -> tuple[float, float]:
    return run_process("-m", "fairseq_cli.train", data, "--user-dir", USER_DIR, "--task", "mnmt", "--criterion",
                       "mnmt", "--arch", "mmte_tiny", "--optimizer", "adamw", "--num-workers", 0, *MODEL,
                       *TRAINING)  # fmt: skip


def train_fairseq(data: Path, languages: Sequence[str], *options: object) -> tuple[float, float]:
    directions = ",".join(f"{a}-{b}" for name in languages for a, b in (("en", name), (name, "en")))
    return run_process("-m", "fairseq_cli.train", data, "--task", "translation_multi_simple_epoch", "--criterion",
                       "cross_entropy", "--arch", "transformer", "--optimizer", "adam", "--lang-pairs", directions,
                       "--langs", ",".join(["en", *languages]), "--encoder-langtok", "tgt", "--sampling-method",
                       "temperature", "--num-workers", 0, *MODEL, *TRAINING, *options)  # fmt: skip


def compare(folder: Path, args: argparse.Namespace) -> tuple[list[list[str]], dict[str, Any]]:
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    for count in map(int, args.pairs.split(",")):
        ours, theirs = make_corpus(folder / str(count), dict.fromkeys(LANGUAGES, count // len(LANGUAGES)))
        every = {
            "ours": lambda ours=ours: train_ours(ours),
            "fairseq": lambda theirs=theirs: train_fairseq(theirs, LANGUAGES),
            "fairseq-virtual": lambda theirs=theirs: train_fairseq(
                theirs, LANGUAGES, "--virtual-epoch-size", 100_000, "--virtual-data-size", 1_000_000
            ),
        }
        found = interleaved({name: every[name] for name in args.contenders.split(",")}, args.repeat)
        figures[str(count)] = found
        rows += table(f"{count:,}", found)
    return rows, figures


def table(pairs: str, found: dict[str, list[Any]]) -> list[list[str]]:
    """A row for each contender, and the ratios to the best peer."""
    rows = [[pairs, name, *(spread([run[k] for run in runs]) for k in (0, 1))] for name, runs in found.items()]
    medians = {name: [statistics.median(run[k] for run in runs) for k in (0, 1)] for name, runs in found.items()}
    for name in [name for name in found if name != "ours"] if "ours" in found else []:
        ratios = [f"{mine / theirs:.2f}" for mine, theirs in zip(medians["ours"], medians[name])]
        rows.append([pairs, f"ours / {name}", *ratios])
    return rows


# ---- 25 billion pairs


def mmte_sizes(total: int) -> dict[str, int]:
    """Pairs of 102 languages from the least to the most, evenly spread on a logarithmic scale, and their sum scaled.

    Each pair is two of the directions, which share its text.
    """
    count = MMTE_DIRECTIONS // 2
    sizes = np.geomspace(SMALLEST, LARGEST, count)
    scaled = np.maximum(sizes * (total / 2 / sizes.sum()), 100).astype(np.int64)
    return {f"l{'abcdefghijkl'[n // 10]}{'abcdefghij'[n % 10]}": int(size) for n, size in enumerate(scaled)}


def simulate(folder: Path, args: argparse.Namespace) -> tuple[list[list[str]], dict[str, Any]]:
    small, large = (20_000, 2_000_000) if args.small else (800_000, MMTE_PAIRS)
    base, _ = make_corpus(folder / "small", dict.fromkeys(LANGUAGES, small // len(LANGUAGES)))
    huge, _ = make_corpus(folder / "huge", mmte_sizes(large), sparse=True)
    draw_first_window(huge)
    names = (f"{small:,}, 8 directions", f"{large:,}, {MMTE_DIRECTIONS} directions")
    found = interleaved({names[0]: lambda: train_ours(base), names[1]: lambda: train_ours(huge)}, args.repeat)
    rows = [[name, "ours", *(spread([run[k] for run in runs]) for k in (0, 1))] for name, runs in found.items()]
    first, second = ([statistics.median(run[k] for run in found[name]) for k in (0, 1)] for name in names)
    rows.append(["large to small", "", f"{second[0] / first[0]:.2f} times", f"{second[1] - first[1]:+.0f}"])
    return rows, found


def draw_first_window(data: Path) -> None:
    """Fill in the lengths of the pairs that training draws first, asking the task which ones these are."""
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.utils import import_user_module

    from fairseq_xalign.data.batching import Budget
    from fairseq_xalign.data.windows import Planner

    command = [data, "--user-dir", USER_DIR, "--task", "mnmt", "--criterion", "mnmt", "--arch", "mmte_tiny",
               "--optimizer", "adamw", *MODEL, *TRAINING]  # fmt: skip
    words = [str(word) for word in command]
    import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    task = tasks.setup_task(cfg.task)
    task.build_model(cfg.model)
    task.build_criterion(cfg.criterion)
    task.load_dataset("train", epoch=1)
    streams = task.datasets["train"].streams
    planner = Planner(streams, task.shares(streams), task.window(streams), Budget(tokens=2000), cfg.common.seed)
    place = planner.start()
    for _ in range(2):
        number, unit, _, place = planner.draws(place)
        for s in np.unique(number):
            for side in streams[s].mapped:
                with open(f"{side.prefix}.idx", "r+b") as out:
                    for one in unit[number == s].tolist():
                        first = one % len(SIZES)
                        place_of = int(SIZES[:first].sum(dtype=np.int64)) * DTYPE.itemsize
                        fill(out, len(side), one, int(SIZES[first]), place_of)


if __name__ == "__main__":
    raise SystemExit(main())
