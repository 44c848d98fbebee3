"""Sentence vectors: `load_encoder(...).encode` against sentence-transformers on equal weights, from text to vectors.

The weights are those of real encoders (the variable XALIGN_REAL_ENCODERS names a folder with `e5` and `minilm`, which
transformers opens), the sentences those of NTREX-128 (XALIGN_DATA): for `e5` drawn from all languages, for `minilm`
English. Without them, a BERT with random weights reads made-up sentences. All compute in float32 and pool alike, the
mean over all tokens; vectors must agree to 1e-4.

Two peers: sentence-transformers, with its defaults (batches of 32, sorted by length in characters), and transformers
at its fastest, with sdpa, batches sorted by length in tokens and filled to as many tokens as ours, without masks where
rows are equally long. sentence-transformers is left out, with a word, where it is not installed. It may be in a folder
of its own (`make bench` has one):

    pip install --no-deps --target PEERS -r benchmarks/peers.txt
    python benchmarks/encode.py --peers PEERS --sentences 10000 --json encode.json

Our word cache is empty at the beginning of each repetition. "CPU s" are the processor's seconds per 1,000 sentences,
which other work on the machine changes less than the time that passes. Ratios are of one turn each, then their median.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.common import add_common_arguments, add_peers, interleaved, made_up_lines, report, spread, use_peers

TOLERANCE = 1e-4
WEIGHTS, DATA = "XALIGN_REAL_ENCODERS", "XALIGN_DATA"
Timed = tuple[float, float, np.ndarray]
"""Seconds, seconds of the processor, and the vectors."""


def sentences(model: str, count: int) -> tuple[str, list[str]]:
    """What the sentences are, and ``count`` of them in random order."""
    from fairseq_xalign.files import read_lines

    root = os.environ.get(DATA)
    files = (
        sorted((Path(root) / "ntrex" / "NTREX-128").glob("newstest2019-*.txt*")) if root and model != "random" else []
    )
    if model == "minilm":
        files = [file for file in files if ".eng" in file.name]
    if not files:
        return "made-up sentences", made_up_lines(count)
    draws = random.Random(1)
    some = draws.sample(files, min(len(files), 1 + count // 100))  # reading them all would take longer than encoding
    lines = [text for file in some for _, text in read_lines(file) if text.strip()]
    if len(lines) < count:
        lines = [text for file in files for _, text in read_lines(file) if text.strip()]
    draws.shuffle(lines)
    return f"sentences of NTREX-128 ({len(some)} files)", lines[:count]


SHAPES = {"random": (384, 6, 12), "random-base": (768, 12, 12), "small": (32, 2, 4)}
"""Width, layers and heads of encoders with random weights: as MiniLM, as BERT-base, and one to try scripts with."""


def random_bert(folder: Path, shape: str) -> Path:
    """A BERT with random weights in one of ``SHAPES`` and a vocabulary of letters and word beginnings."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    words = " ".join(made_up_lines(2000)).lower().replace(".", " ").split()
    letters = sorted({letter for word in words for letter in word})
    pieces = [*letters, *(f"##{letter}" for letter in letters), ".", *sorted({w[:3] for w in words if len(w) > 1})]
    symbols = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(pieces)]
    (folder / "vocab.txt").write_text("".join(f"{symbol}\n" for symbol in symbols), encoding="utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    width, layers, heads = SHAPES[shape]
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    torch.manual_seed(1)
    BertModel(BertConfig(vocab_size=len(tokenizer), num_attention_heads=heads, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def timed(encode: Callable[[list[str]], np.ndarray], lines: list[str]) -> Timed:
    began, worked = time.perf_counter(), time.process_time()
    vectors = encode(lines)
    return time.perf_counter() - began, time.process_time() - worked, vectors


def ours(folder: Path) -> Callable[[list[str]], Timed]:
    from fairseq_xalign import load_encoder

    def run(lines: list[str]) -> Timed:
        model = load_encoder(folder, device="cpu")  # anew: with an empty word cache
        return timed(lambda lines: model.encode(lines, pooling="mean_all", progress=False), lines)

    return run


def sentence_transformers(folder: Path) -> Callable[[list[str]], Timed]:
    import torch
    from sentence_transformers import SentenceTransformer, models

    body = models.Transformer(str(folder), model_kwargs={"dtype": torch.float32})
    model = SentenceTransformer(modules=[body, models.Pooling(body.get_embedding_dimension(), "mean")], device="cpu")
    return lambda lines: timed(lambda lines: model.encode(lines, show_progress_bar=False), lines)


def transformers(folder: Path) -> Callable[[list[str]], Timed]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from fairseq_xalign.models.sentences import CPU_BATCH_TOKENS, batches_by_length

    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    budget = CPU_BATCH_TOKENS * torch.get_num_threads()  # one batch at a time, on all threads

    def encode(lines: list[str]) -> np.ndarray:
        ids = tokenizer(lines, truncation=True, max_length=512)["input_ids"]
        vectors = np.empty((len(lines), model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for batch in batches_by_length([len(row) for row in ids], budget):
                lengths = [len(ids[i]) for i in batch]
                padded = torch.full((len(batch), lengths[0]), tokenizer.pad_token_id)
                for row, i in enumerate(batch):
                    padded[row, : lengths[row]] = torch.tensor(ids[i])
                real = torch.arange(lengths[0]) < torch.tensor(lengths)[:, None]
                mask = None if lengths[-1] == lengths[0] else real.long()
                hidden = model(input_ids=padded, attention_mask=mask).last_hidden_state
                vectors[batch] = ((hidden * real[..., None]).sum(1) / real.sum(1)[:, None]).numpy()
        return vectors

    return lambda lines: timed(encode, lines)


def contenders(folder: Path) -> dict[str, Callable[[list[str]], Timed]]:
    found = {"ours": ours(folder)}
    try:
        found["sentence-transformers"] = sentence_transformers(folder)
    except ModuleNotFoundError as error:
        print(f"sentence-transformers is left out ({error}): see --help for how to install it", file=sys.stderr)
    return found | {"transformers, sorted": transformers(folder)}


def measure(name: str, folder: Path, args: argparse.Namespace) -> tuple[list[list[str]], dict[str, Any], bool]:
    """Rows of the table, figures, and whether all vectors agree."""
    said, lines = sentences(name, args.sentences)
    runs = contenders(folder)
    for run in runs.values():
        run(lines[: max(1, len(lines) // 20)])  # warm
    found = interleaved({contender: lambda run=run: run(lines) for contender, run in runs.items()}, args.repeat)
    speeds = {contender: [len(lines) / seconds for seconds, _, _ in measured] for contender, measured in found.items()}
    worked = {contender: [1000 * cpu / len(lines) for _, cpu, _ in measured] for contender, measured in found.items()}
    vectors = {contender: measured[-1][2] for contender, measured in found.items()}
    apart = {
        contender: float(np.abs(vectors["ours"] - theirs).max())
        for contender, theirs in vectors.items()
        if contender != "ours"
    }
    rows = []
    for contender in found:
        # Each repetition is compared with the peer's of the same turn: the load of the machine changes between turns.
        ratios = [mine / their for mine, their in zip(speeds["ours"], speeds[contender])]
        cpu = [their / mine for mine, their in zip(worked["ours"], worked[contender])]
        ahead = "" if contender == "ours" else f"{spread_of(ratios)}"
        less = "" if contender == "ours" else f"{spread_of(cpu)}"
        difference = "" if contender == "ours" else f"{apart[contender]:.1e}"
        rows.append([name, contender, spread(speeds[contender]), ahead, spread(worked[contender]), less, difference])
    figures = {"text": said, "sentences_per_second": speeds, "cpu_seconds_per_1000": worked, "difference": apart}
    return rows, figures, all(value <= TOLERANCE for value in apart.values())


def spread_of(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sentences",
        type=int,
        help="Sentences to encode (default: 2000; with random weights, which cut words into letters, 500).",
    )
    parser.add_argument(
        "--models",
        default="e5,minilm",
        help="Encoders of XALIGN_REAL_ENCODERS, separated by commas (default: %(default)s).",
    )
    add_peers(parser, "sentence-transformers")
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.sentences, args.repeat, args.threads = 40, 1, 1
    use_peers(args.peers)

    import torch

    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    real = None if args.small else os.environ.get(WEIGHTS)
    names = args.models.split(",") if real else ["random"]
    args.sentences = args.sentences or (2000 if real else 500)
    rows, figures, agree = [], {}, True
    with tempfile.TemporaryDirectory() as made:
        for name in names:
            folder = Path(real) / name if real else random_bert(Path(made), "small" if args.small else "random")
            more, figures[name], equal = measure(name, folder, args)
            rows, agree = rows + more, agree and equal
    columns = ["model", "", "sentences/s", "ours is faster", "CPU s / 1,000", "ours takes less", "difference"]
    verdict = f"vectors agree to {TOLERANCE:g}: {'yes' if agree else 'NO'}"
    title = f"encode: {args.sentences:,} sentences, float32, {args.threads} threads; {verdict}"
    report(title, columns, rows, figures, args)
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main())
