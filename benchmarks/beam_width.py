"""What beams of different width find with a half-trained model: BLEU, length, and outputs that run on.

A small model learns a made-up language word by word. Early in training its narrow beams run into loops, which wider
ones stop in time (docs/translation.md, "Beam search"); later, all beams find the same.

Example: python benchmarks/beam_width.py --updates 250,750 --json beam_width.json
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sacrebleu
import torch

from benchmarks.common import add_common_arguments, report
from fairseq_xalign.constants import EOS
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.models.presets import translation_preset
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss

FIRST_WORD, SYMBOLS = 10, 60
LONGEST = 14
RATE, WARMUP = 2e-3, 100
LIMIT = 200
RUNS_ON = 40
"""Outputs of more tokens than this have left every reference (at most 14 words) behind."""

Pair = tuple[list[int], list[int]]


def batch_of(pairs: Sequence[Pair]) -> TranslationBatch:
    """Sources ``x </s>`` and their translations."""
    target = pack([[EOS, *y] for _, y in pairs])
    target.targets = torch.tensor([i for _, y in pairs for i in (*y, EOS)])
    return TranslationBatch(pack([[*x, EOS] for x, _ in pairs]), target, None, torch.zeros(len(pairs)))


def measure(model: TranslationModel, pairs: Sequence[Pair], beam: int) -> dict[str, float]:
    """Translate with a beam; BLEU counts words as they are."""
    found = beam_search(model, batch_of(pairs).source, None, [LIMIT] * len(pairs), beam)
    outputs = [" ".join(f"w{i}" for i in h[0].tokens[:-1]) for h in found]
    references = [" ".join(f"w{i}" for i in y) for _, y in pairs]
    bleu = sacrebleu.corpus_bleu(outputs, [references], tokenize="none")
    return {
        "BLEU": bleu.score,
        "length ratio": bleu.sys_len / bleu.ref_len,
        f"more than {RUNS_ON} tokens": sum(len(h[0].tokens) > RUNS_ON for h in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", default="250,750", help="When to measure, separated by commas (250,750).")
    parser.add_argument("--beams", default="1,2,4,8", help="Widths of beams, separated by commas (1,2,4,8).")
    parser.add_argument("--sentences", type=int, default=60, help="Test sentences (60).")
    add_common_arguments(parser, repeat=1)
    args = parser.parse_args()
    if args.small:
        args.updates, args.beams, args.sentences = "2,3", "1,2", 6
    torch.manual_seed(1)
    draw = random.Random(1)
    words = list(range(FIRST_WORD, SYMBOLS))
    draw.shuffle(words)

    def pair() -> Pair:
        x = [draw.randrange(FIRST_WORD, SYMBOLS) for _ in range(draw.randint(3, LONGEST))]
        return x, [words[i - FIRST_WORD] for i in x]

    model = TranslationModel(*translation_preset("mmte_tiny", SYMBOLS, width=64, ffn_width=128, positions="sinusoidal"))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    test = [pair() for _ in range(args.sentences)]
    moments = [int(n) for n in args.updates.split(",")]
    figures: list[dict[str, float]] = []
    for update in range(1, max(moments) + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, update / WARMUP)
        batch = batch_of([pair() for _ in range(16)])
        assert batch.target.targets is not None
        loss, _ = translation_loss(model.train().logits(model(batch)), batch.target.targets)
        loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if update in moments:
            model.eval()
            for beam in map(int, args.beams.split(",")):
                figures.append({"updates": update, "beam": beam, **measure(model, test, beam)})
    rows = [[str(v) if isinstance(v, int) else f"{v:.2f}" for v in row.values()] for row in figures]
    report("Beams of different width", list(figures[0]), rows, figures, args)


if __name__ == "__main__":
    main()
