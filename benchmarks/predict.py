"""Predicting tags: `predict` from Python against transformers on a model of the same shape, both in this process.

The peer is RobertaForTokenClassification at its fastest: sdpa, no gradients, batches sorted by length and filled to
the same number of tokens, without padding masks where rows are equally long. It is given ids that are encoded already;
ours starts from words and ends with a row for each sentence. Both compute in float32. The table shows sentences per
second.

Example: python benchmarks/predict.py --sentences 2000 --json predict.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

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

TAGS = ("NOUN", "VERB", "ADJ", "X")
BATCH_TOKENS = 4096
LINES_OF_SUBWORD = 20_000
"""Lines that the pieces are trained on: fewer have not words enough for 8,000 of them."""


def write_conllu(path: Path, lines: list[str]) -> None:
    trees = (
        "".join(f"{n}\t{w}\t_\t{TAGS[len(w) % 4]}\t_\t_\t0\t_\t_\t_\n" for n, w in enumerate(line.split(), 1))
        for line in lines
    )
    path.write_text("\n".join(trees) + "\n", encoding="utf-8")


def fine_tuned(folder: Path, args: argparse.Namespace) -> None:
    """A labelled folder and a checkpoint that has been trained for one update: its speed is any checkpoint's."""
    lines = made_up_lines(max(300, args.sentences))
    text = write_lines(folder / "text.en.txt", lines if args.small else made_up_lines(LINES_OF_SUBWORD))
    run_process("-m", "preprocess", "subword", "--input", f"en={text}", "--vocab-size", args.vocab_size,
                "--output", folder / "sub")  # fmt: skip
    for split in ("train", "valid"):
        part = write_lines(folder / f"{split}.txt", lines[:200])
        mono = ["--mono", f"en={part}", "--split", split]
        run_process("-m", "preprocess", "binarize", "--subword", folder / "sub", *mono, "--output", folder / "data")
    (folder / "trees").mkdir()
    for split, count in (("train", 100), ("valid", 20), ("test", args.sentences)):
        write_conllu(folder / "trees" / f"{split}.en.conllu", lines[:count])
    run_process("-m", "preprocess", "benchmark", "pos", "--from", folder / "trees", "--output", folder / "pos")
    shape = ["--arch", args.arch, "--positions", "learned"]
    common = ["--user-dir", USER_DIR, "--cpu", "--num-workers", 0, "--max-update", 1, "--batch-size", 8,
              "--optimizer", "adamw", "--lr", "1e-4", *shape]  # fmt: skip
    run_process("-m", "fairseq_cli.train", folder / "data", "--task", "align_mlm", "--criterion", "mlm",
                "--tokens-per-sample", 64, "--save-dir", folder / "encoder", *common)  # fmt: skip
    run_process("-m", "fairseq_cli.train", folder / "pos", "--task", "xling_tagging", "--criterion", "xling",
                "--finetune-from-model", folder / "encoder" / "checkpoint_last.pt", "--train-languages", "en",
                "--save-dir", folder / "tagger", *common)  # fmt: skip


def peer(folder: Path, args: argparse.Namespace) -> Any:
    """A call that labels all sentences with transformers; ids are encoded before."""
    import torch
    from transformers import RobertaConfig, RobertaForTokenClassification

    from fairseq_xalign.constants import BOS, EOS, PAD
    from fairseq_xalign.models.presets import preset
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder / "sub")
    shape = preset(args.arch, len(tokenizer))
    model = RobertaForTokenClassification(
        RobertaConfig(
            vocab_size=shape.vocab_size,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.ffn_width,
            max_position_embeddings=shape.max_positions + 2,
            type_vocab_size=1,
            pad_token_id=PAD,
            num_labels=len(TAGS),
            attn_implementation="sdpa",
        )
    ).eval()
    rows = [json.loads(line) for line in (folder / "pos" / "test.en.jsonl").read_text("utf-8").splitlines()]
    ids = [[BOS, *tokenizer.encode(" ".join(row["tokens"])), EOS][:128] for row in rows]
    ids.sort(key=len)
    batches, batch = [], []
    for row in ids:
        if batch and (len(batch) + 1) * len(row) > BATCH_TOKENS:
            batches, batch = [*batches, batch], []
        batch.append(row)
    batches.append(batch)
    tensors = []
    for batch in batches:
        padded = torch.full((len(batch), len(batch[-1])), PAD)
        for i, row in enumerate(batch):
            padded[i, : len(row)] = torch.tensor(row)
        mask = None if all(len(row) == padded.shape[1] for row in batch) else (padded != PAD).long()
        tensors.append((padded, mask))

    def run() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for padded, mask in tensors:
                model(input_ids=padded, attention_mask=mask).logits.argmax(-1).tolist()
        return time.perf_counter() - began

    return run


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sentences", type=int, default=1000, help="Number of sentences to label (default: %(default)s)."
    )
    parser.add_argument("--arch", default="xalign_small", help="Shape of both models (default: %(default)s).")
    parser.add_argument("--vocab-size", type=int, default=8000, help="Number of pieces (default: %(default)s).")
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.sentences, args.arch, args.vocab_size, args.repeat = 40, "xalign_tiny", 200, 1

    import torch

    from fairseq_xalign.evaluate.commands.predict import predict

    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fine_tuned(folder, args)

        def ours() -> float:
            began = time.perf_counter()
            rows = list(
                predict(folder / "tagger" / "checkpoint_last.pt", data=folder / "pos", batch_tokens=BATCH_TOKENS)
            )
            assert len(rows) == args.sentences
            return time.perf_counter() - began

        theirs = peer(folder, args)
        ours(), theirs()  # warm
        found = interleaved(
            {"ours (from words, checkpoint opened)": ours, "transformers (from ids)": theirs}, args.repeat
        )
    speeds = {name: [args.sentences / seconds for seconds in taken] for name, taken in found.items()}
    rows = [[name, spread(values)] for name, values in speeds.items()]
    mine, other = (statistics.median(values) for values in speeds.values())
    rows.append(["ratio", f"{mine / other:.2f} times as fast"])
    title = f"predict: {args.sentences:,} sentences, {args.arch}, float32, {args.threads} threads"
    report(title, ["", "sentences/s"], rows, {"seconds": found}, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
