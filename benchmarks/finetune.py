"""Fine-tuning and predicting: `fairseq-train` and `predict` against the Trainer of transformers, on equal weights.

Both fine-tune one encoder to tag the words of a treebank, with equal batches, lengths, learning rate and optimizer, two
passes over the same sentences, of which the second is measured; the table shows sentences per second. Then both tag the
same test sentences with the same fine-tuned weights, and the tags must be equal.

The peer is at its fastest: sdpa, fused AdamW, batches of similar length, padded to their longest, bfloat16 where the
device has it, no logging, saving or evaluation; for predictions its sentences are sorted by length. It is given ids
that are encoded before the clock starts. Ours, too, trains on ids that are encoded before; its `predict` starts from a
labelled folder and ends with a row for each sentence.

The Trainer needs accelerate, which may be in a folder of its own (`make bench` has one):

    pip install --no-deps --target PEERS -r benchmarks/peers.txt
    python benchmarks/finetune.py --peers PEERS --json finetune.json

The weights are those of a real encoder (the variable XALIGN_REAL_ENCODERS names a folder with `e5` and `minilm`) or a
BERT with random ones, the sentences those of UD English EWT where XALIGN_DATA has it, and otherwise made up. "CPU s"
are the processor's seconds, which other work on the machine changes less than the time that passes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    USER_DIR,
    add_common_arguments,
    add_peers,
    environment,
    interleaved,
    made_up_lines,
    native_bf16,
    report,
    run_process,
    spread,
    use_peers,
)
from benchmarks.encode import SHAPES, random_bert
from benchmarks.predict import write_conllu

WEIGHTS, DATA = "XALIGN_REAL_ENCODERS", "XALIGN_DATA"
PASSES = 2
"""How often all sentences are trained on; the last pass is measured."""
LENGTH, RATE, WEIGHT_DECAY, CLIP_NORM = 128, 1e-4, 0.01, 1.0
Taken = tuple[float, float]
"""Seconds, and seconds of the processor."""


@dataclass
class Work:
    """What both contenders work on.

    Attributes:
        weights: folder of transformers.
        encoder: the same as a checkpoint of ours.
        labelled: labelled folder with train and test.
        tagger: where our fine-tuned checkpoint is.
        tagged: the same as a folder of transformers.
    """

    weights: Path
    encoder: Path
    labelled: Path
    tagger: Path
    tagged: Path
    args: argparse.Namespace

    def rows(self, split: str) -> list[dict[str, Any]]:
        lines = (self.labelled / f"{split}.en.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def updates(self) -> int:
        """Updates of one pass."""
        return -(-self.args.sentences // self.args.batch)


def prepared(folder: Path, args: argparse.Namespace) -> Work:
    """The encoder in both forms, and a labelled folder."""
    if args.model in SHAPES:
        (folder / "random").mkdir()
        weights = random_bert(folder / "random", "small" if args.small else args.model)
    else:
        weights = Path(os.environ.get(WEIGHTS, "")) / args.model
        if not (weights / "config.json").exists():
            raise SystemExit(f"no {weights}: set {WEIGHTS} to a folder with e5 and minilm, or give --model random")
    run_process("-m", "fairseq_xalign.convert", "from-hf", weights, folder / "encoder")
    lines = made_up_lines(args.sentences + args.test)
    (folder / "trees").mkdir()
    treebank = Path(os.environ.get(DATA, "nowhere")) / "ud" / "UD_English-EWT"
    for split, part in (("train", lines[: args.sentences]), ("test", lines[args.sentences :])):
        found = sorted(treebank.glob(f"*-ud-{split}.conllu*"))
        if found and not args.small:
            write_first(found[0], folder / "trees" / f"{split}.en.conllu", len(part))
        else:
            write_conllu(folder / "trees" / f"{split}.en.conllu", part)
    run_process("-m", "preprocess", "benchmark", "pos", "--from", folder / "trees", "--output", folder / "labelled")
    return Work(weights, folder / "encoder", folder / "labelled", folder / "tagger", folder / "tagged", args)


def write_first(treebank: Path, target: Path, count: int) -> None:
    """The first sentences of a treebank."""
    from fairseq_xalign.files import read_lines

    with open(target, "w", encoding="utf-8") as out:
        for _, line in read_lines(treebank):
            out.write(f"{line}\n")
            count -= not line.strip()
            if not count:
                return


def train_ours(work: Work) -> Taken:
    """The last pass of `fairseq-train`; leaves the checkpoint."""
    from fairseq_xalign.models.archs import fitting_arch
    from fairseq_xalign.models.checkpoint import read_checkpoint

    args = work.args
    arch, options = fitting_arch(read_checkpoint(work.encoder)["task_state"]["encoder"])
    subprocess.run(["rm", "-rf", str(work.tagger)], check=True)
    command = [
        *(sys.executable, "-m", "fairseq_cli.train", work.labelled, "--user-dir", USER_DIR),
        *(["--cpu"] if args.device == "cpu" else []),
        *("--task", "xling_tagging", "--criterion", "xling", "--arch", arch, *" ".join(options).split()),
        *("--finetune-from-model", work.encoder, "--train-languages", "en", "--max-length", LENGTH),
        *("--batch-size", args.batch, "--required-batch-size-multiple", 1, "--num-workers", 0),
        *("--optimizer", "adamw", "--lr", RATE, "--weight-decay", WEIGHT_DECAY, "--clip-norm", CLIP_NORM),
        *("--lr-scheduler", "polynomial_decay", "--total-num-update", PASSES * work.updates),
        *("--max-update", PASSES * work.updates, "--autocast", "bf16" if args.bf16 else "none"),
        *("--disable-validation", "--no-epoch-checkpoints", "--log-format", "json", "--log-interval", 1),
        *("--save-interval", PASSES, "--save-dir", work.tagger),
    ]
    variables = {**environment(), "OMP_NUM_THREADS": str(args.threads), "PYTHONUNBUFFERED": "1"}
    at: dict[int, Taken] = {}
    log = []
    with subprocess.Popen(
        list(map(str, command)), env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if '"num_updates"' in line and '"ups"' in line and "train_loss" not in line:
                number = int(json.loads(line[line.index("{") :])["num_updates"])
                at[number] = time.perf_counter(), processor_time(process.pid)
    if process.returncode or not {work.updates, PASSES * work.updates} <= at.keys():
        raise SystemExit("fairseq-train failed:\n" + "".join(log[-30:]))
    return difference(at[work.updates], at[PASSES * work.updates])


def processor_time(pid: int) -> float:
    """Seconds of the processor that a process has used so far; not a number where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def difference(begin: Taken, end: Taken) -> Taken:
    return end[0] - begin[0], end[1] - begin[1]


def own_time() -> Taken:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def examples(work: Work, split: str) -> list[dict[str, list[int]]]:
    """Sentences as transformers' examples have them: labels at the first subword of each word."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(work.weights)
    names = json.loads((work.labelled / "labels.json").read_text("utf-8"))["labels"]
    found = []
    for row in work.rows(split):
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=LENGTH)
        words, labels, last = encoded.word_ids(), [], None
        for word in words:
            labels.append(-100 if word is None or word == last else names.index(row["tags"][word]))
            last = word
        found.append({"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": labels})
    return found


def trainer(work: Work, folder: Path, sampling: str, **data: Any) -> Any:
    """The peer at its fastest, with the weights of ``folder``.

    Args:
        sampling: ``group_by_length``, by which predictions would come in another order, or ``sequential``.
    """
    import transformers

    args = work.args
    names = json.loads((work.labelled / "labels.json").read_text("utf-8"))["labels"]
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        folder, num_labels=len(names), attn_implementation="sdpa", ignore_mismatched_sizes=True
    )
    settings = transformers.TrainingArguments(
        output_dir=str(work.tagged) + "-trainer",
        per_device_train_batch_size=args.batch,
        per_device_eval_batch_size=args.batch,
        num_train_epochs=PASSES,
        learning_rate=RATE,
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=CLIP_NORM,
        optim="adamw_torch_fused",
        train_sampling_strategy=sampling,
        bf16=args.bf16,
        use_cpu=args.device == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=1,
    )
    collator = transformers.DataCollatorForTokenClassification(
        transformers.AutoTokenizer.from_pretrained(work.weights), padding=True
    )
    return transformers.Trainer(model, settings, data_collator=collator, **data)


def train_theirs(work: Work) -> Taken:
    import torch
    import transformers

    class Clock(transformers.TrainerCallback):
        at: list[Taken] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if work.args.device == "cuda":
                torch.cuda.synchronize()
            self.at.append(own_time())

    clock = Clock()
    clock.at = []
    data = examples(work, "train")
    peer = trainer(work, work.weights, "group_by_length", train_dataset=data, callbacks=[clock])
    peer.train()
    assert len(clock.at) == PASSES * work.updates
    return difference(clock.at[work.updates - 1], clock.at[-1])


def predict_ours(work: Work) -> tuple[Taken, list[list[str]]]:
    from fairseq_xalign.evaluate.commands.predict import predict

    began = own_time()
    args = work.args
    checkpoint = work.tagger / "checkpoint_last.pt"
    rows = list(predict(checkpoint, data=work.labelled, bf16=args.bf16, device=args.device))
    return difference(began, own_time()), [row["prediction"] for row in rows]


def predict_theirs(work: Work) -> tuple[Taken, list[list[str]]]:
    names = json.loads((work.labelled / "labels.json").read_text("utf-8"))["labels"]
    data = examples(work, "test")
    order = sorted(range(len(data)), key=lambda i: len(data[i]["input_ids"]))
    peer = trainer(work, work.tagged, "sequential")
    began = own_time()
    best = peer.predict([data[i] for i in order]).predictions.argmax(-1)
    taken = difference(began, own_time())
    found: list[list[str]] = [[]] * len(data)
    for row, i in zip(best, order):
        found[i] = [names[label] for label, right in zip(row, data[i]["labels"]) if right != -100]
    return taken, found


def rates(name: str, count: int, found: dict[str, list[Taken]]) -> list[list[str]]:
    """A row for each contender, and their ratios turn by turn."""
    rows = []
    for contender, taken in found.items():
        speeds, used = [count / seconds for seconds, _ in taken], [cpu for _, cpu in taken]
        rows.append([name, contender, spread(speeds), f"{statistics.median(used):,.1f}"])
    ours, theirs = found.values()
    ratios = [b[0] / a[0] for a, b in zip(ours, theirs)]
    of_cpu = [b[1] / a[1] for a, b in zip(ours, theirs)]
    rows.append([name, "ratio", f"{spread(ratios)} times as fast", f"{statistics.median(of_cpu):.2f}"])
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        choices=("random", "random-base", "minilm", "e5"),
        default="random",
        help="Weights; random ones have the shape of MiniLM (6 layers) or of BERT-base (default: %(default)s).",
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="Device to measure on (default: %(default)s)."
    )
    parser.add_argument(
        "--sentences",
        type=int,
        help="To train on (default: 1600; on a CPU with random weights, which cut words into letters, 400).",
    )
    parser.add_argument("--test", type=int, help="Sentences to tag (default: 1000; on a CPU with random weights 300).")
    parser.add_argument("--batch", type=int, default=32, help="Sentences per batch (default: %(default)s).")
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch (default: %(default)s).")
    add_peers(parser, "accelerate")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    made_up = args.model in SHAPES and args.device == "cpu"
    args.bf16 = args.device == "cuda" or native_bf16()
    args.sentences, args.test = args.sentences or (400 if made_up else 1600), args.test or (300 if made_up else 1000)
    if args.small:
        args.sentences, args.test, args.batch, args.repeat = 24, 10, 8, 1
    use_peers(args.peers, needed="accelerate")

    import torch

    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        work = prepared(Path(name), args)
        trained = interleaved(
            {"fairseq-train": lambda: train_ours(work), "Trainer": lambda: train_theirs(work)}, args.repeat
        )
        run_process("-m", "fairseq_xalign.convert", "to-hf", work.tagger, work.tagged)
        tagged = interleaved(
            {
                "predict (from words)": lambda: predict_ours(work),
                "Trainer.predict (from ids)": lambda: predict_theirs(work),
            },
            args.repeat,
        )
    ours, theirs = (found[-1][1] for found in tagged.values())
    # What is longer than LENGTH is read in several sequences here, and cut there.
    whole = [(one, other) for one, other in zip(ours, theirs, strict=True) if len(one) == len(other)]
    pairs = [pair for sentences in whole for pair in zip(*sentences)]
    equal = sum(a == b for a, b in pairs)
    rows = rates("fine-tuning", args.sentences, trained)
    rows += rates("tagging", args.test, {name: [taken for taken, _ in found] for name, found in tagged.items()})
    place = f"{args.threads} threads" if args.device == "cpu" else torch.cuda.get_device_name()
    title = (
        f"fine-tuning of {args.model}: {args.sentences:,} sentences, batches of {args.batch}, "
        f"{'bf16' if args.bf16 else 'float32'}, {place}; {equal:,} of {len(pairs):,} tags equal"
    )
    report(title, ["", "", "sentences/s", "CPU s"], rows, {"training": trained, "tagging": tagged}, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
