"""Translation: sentences per second at equal beam, against fairseq's own model and CTranslate2 on equal weights.

A small model of ours first learns a made-up language, so that its translations have the lengths of real ones (NTREX-128
English-German) and end by themselves: a piece of the source says how long the translation is, which counts down to its
end. fairseq's transformer gets its weights, and so does CTranslate2 where it is installed, in float32 and quantized to
int8. All translate the same sentences with the same beam, length penalty and tokens per batch, from ids to ids
(CTranslate2 from pieces to pieces); fairseq through the functions that `fairseq-interactive` consists of. Tokenization,
which is ours in one case and the user's in the other, is not timed. All translations in float32 must be equal, up to
the few in which two scores differ by less than rounding.

Example: python benchmarks/decode.py --sentences 512 --json decode.json
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.common import add_common_arguments, interleaved, report, spread
from benchmarks.translation_pairs import POSITIONS, Pair, copy_weights, fairseq_task_and_model, make_pairs, our_model
from fairseq_xalign.constants import EOS, FIRST_PIECE, SPECIAL_SYMBOLS
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.models.sentences import batches_by_length
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss

INT8 = "CTranslate2, int8"
TOLERATED = 0.01
"""Share of translations that may differ: two of 1,997 sentences have hypotheses whose scores agree to seven digits."""


def countdown(pairs: list[Pair]) -> list[Pair]:
    """The same sources, apart from one piece, which says how long the translation is; it counts down to its end.

    So translations have the lengths of the pairs, and every one of their pieces follows from the one before it: a small
    model learns this language in a minute on a CPU, and no beam runs on.
    """

    def translated(source: torch.Tensor, target: torch.Tensor) -> Pair:
        pieces = FIRST_PIECE + torch.arange(len(target) - 2, -1, -1)
        return torch.cat([source[:1], pieces[:1], source[2:]]), torch.cat([pieces, torch.tensor([EOS])])

    return [translated(source, target) for source, target in pairs]


def learn(model: TranslationModel, args: argparse.Namespace) -> float:
    """Train on the made-up language; returns the last loss in nats."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98))
    loss = torch.zeros(())
    for update in range(args.updates):
        rate = args.lr * min((update + 1) / 50, (args.updates - update) / args.updates)
        for group in optimizer.param_groups:
            group["lr"] = rate
        pairs = countdown(make_pairs(24, args.vocabulary, 1000 + update))
        target = pack([torch.cat([torch.tensor([EOS]), text[:-1]]) for _, text in pairs])
        labels = torch.cat([text for _, text in pairs])
        batch = TranslationBatch(pack([source for source, _ in pairs]), target, None, torch.zeros(len(pairs)))
        loss = translation_loss(model.logits(model(batch)), labels)[0].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def ours(model: TranslationModel, sources: list[torch.Tensor], args: argparse.Namespace) -> Callable[[], Any]:
    def run() -> tuple[float, list[list[int]]]:
        began = time.perf_counter()
        found: list[list[int]] = [[]] * len(sources)
        for batch in batches_by_length([len(s) for s in sources], args.max_tokens):
            limits = [args.longest] * len(batch)
            hypotheses = beam_search(model, pack([sources[i] for i in batch]), None, limits, args.beam)
            for i, best in zip(batch, hypotheses):
                found[i] = best[0].tokens
        return time.perf_counter() - began, found

    return run


def fairseq(model: TranslationModel, sources: list[torch.Tensor], args: argparse.Namespace) -> Callable[[], Any]:
    from argparse import Namespace

    _, task, theirs = fairseq_task_and_model(model, 0.0)
    copy_weights(model, theirs)
    theirs.eval()
    generation = Namespace(beam=args.beam, max_len_a=0, max_len_b=args.longest, min_len=1, nbest=1)
    generator = task.build_generator([theirs], generation)
    limits = (POSITIONS, POSITIONS)

    def run() -> tuple[float, list[list[int]]]:
        began = time.perf_counter()
        found: list[list[int]] = [[]] * len(sources)
        # What fairseq_cli.interactive does with a buffer of lines that holds them all.
        batches = task.get_batch_iterator(
            dataset=task.build_dataset_for_inference(sources, [s.numel() for s in sources]),
            max_tokens=args.max_tokens, max_sentences=None, max_positions=limits,
        ).next_epoch_itr(shuffle=False)  # fmt: skip
        for batch in batches:
            sample = {"net_input": {name: batch["net_input"][name] for name in ("src_tokens", "src_lengths")}}
            for i, hypotheses in zip(batch["id"].tolist(), task.inference_step(generator, [theirs], sample)):
                found[i] = hypotheses[0]["tokens"].tolist()
        return time.perf_counter() - began, found

    return run


def ctranslate2(
    model: TranslationModel, sources: list[torch.Tensor], args: argparse.Namespace, quantization: str | None = None
) -> Callable[[], Any]:
    from ctranslate2 import Translator

    from fairseq_xalign.convert.ctranslate2 import write_model

    symbols = [*SPECIAL_SYMBOLS, *(f"w{i}" for i in range(len(SPECIAL_SYMBOLS), args.vocabulary))]
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    with tempfile.TemporaryDirectory() as folder:
        write_model(model, symbols, folder, quantization)
        translator = Translator(folder, compute_type=quantization or "float32", intra_threads=args.threads)
    pieces = [[symbols[i] for i in source[:-1].tolist()] for source in sources]

    def run() -> tuple[float, list[list[int]]]:
        began = time.perf_counter()
        results = translator.translate_batch(
            pieces,
            beam_size=args.beam,
            max_batch_size=args.max_tokens,
            batch_type="tokens",
            max_decoding_length=args.longest + 1,
        )
        taken = time.perf_counter() - began
        return taken, [[*(numbers[symbol] for symbol in result.hypotheses[0]), EOS] for result in results]

    return run


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=256, help="Sentences to translate (default: %(default)s).")
    parser.add_argument("--beam", type=int, default=4, help="Size of the beam (default: %(default)s).")
    parser.add_argument("--max-tokens", type=int, default=2000, help="Tokens per batch (default: %(default)s).")
    parser.add_argument(
        "--longest", type=int, default=200, help="Longest translation in tokens (default: %(default)s, as in fairseq)."
    )
    shape = parser.add_argument_group("model")
    shape.add_argument("--layers", type=int, default=2, help="Layers of encoder and decoder (default: %(default)s).")
    shape.add_argument("--width", type=int, default=256, help="Width (default: %(default)s).")
    shape.add_argument("--heads", type=int, default=4, help="Attention heads (default: %(default)s).")
    shape.add_argument("--vocabulary", type=int, default=4000, help="Number of symbols (default: %(default)s).")
    shape.add_argument("--updates", type=int, default=200, help="Updates of training before (default: %(default)s).")
    shape.add_argument("--lr", type=float, default=1e-3, help="Its learning rate (default: %(default)s).")
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.layers, args.width, args.vocabulary, args.sentences, args.updates, args.repeat = 1, 32, 100, 6, 3, 1
        args.threads, args.longest = 1, 10
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    model = our_model(args.layers, args.width, 4 * args.width, args.heads, args.vocabulary, 0.0)
    loss = learn(model.train(), args)
    model.eval()
    sources = [source for source, _ in countdown(make_pairs(args.sentences, args.vocabulary, 7))]
    runs = {"ours": ours(model, sources, args), "fairseq": fairseq(model, sources, args)}
    if importlib.util.find_spec("ctranslate2"):
        runs |= {"CTranslate2": ctranslate2(model, sources, args), INT8: ctranslate2(model, sources, args, "int8")}
    else:
        print("CTranslate2 is not installed and is left out", file=sys.stderr)
    for name, run in runs.items():
        print(f"{name}: warm after {run()[0]:.1f} s", file=sys.stderr, flush=True)
    found = interleaved(runs, args.repeat)
    translations = {name: measured[0][1] for name, measured in found.items()}
    equal = {
        name: sum(a == b for a, b in zip(answers, translations["ours"]))
        for name, answers in translations.items()
        if name != "ours"
    }
    tokens = statistics.fmean(map(len, translations["ours"]))
    speeds = {name: [args.sentences / taken for taken, _ in measured] for name, measured in found.items()}
    fairseqs = statistics.median(speeds["fairseq"])
    rows = [
        [name, spread(values), f"{statistics.median(values) / fairseqs:.2f}", str(equal.get(name, ""))]
        for name, values in speeds.items()
    ]
    title = (
        f"translation, beam {args.beam}: {args.sentences} sentences of {tokens:.1f} tokens, {args.threads} threads "
        f"(loss of the model: {loss:.2f})"
    )
    columns = ["", "sentences/s", "times fairseq", "translations equal to ours"]
    report(title, columns, rows, {"sentences_per_second": speeds, "equal": equal, "loss": loss}, args)
    # An untrained model writes on to the limit, where CTranslate2 stops without </s>.
    exact = ["fairseq"] if args.small else [name for name in equal if name != INT8]
    return 0 if min(equal[name] for name in exact) >= (1 - TOLERATED) * args.sentences else 1


if __name__ == "__main__":
    raise SystemExit(main())
