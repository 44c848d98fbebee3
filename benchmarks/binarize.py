"""From text to a binary corpus: `xalign-preprocess binarize` against SentencePiece followed by `fairseq-preprocess`.

Both encode the same text with the same SentencePiece model, with two workers, and must write the same ids. Where two
ways to cut a word are equally likely, SentencePiece's choice may depend on the words before it (it adds up scores over
the line), but ours does not: at most one sentence in a thousand may differ for that reason.

The peer is what fairseq's users run: a loop over SentencePiece's own batch encoding (in place of ``spm_encode``, which
its Python package does not have), then ``fairseq-preprocess`` on the pieces. The table shows sentences per second, the
highest memory of any one process, and the ratios.

Example: python benchmarks/binarize.py --lines 100000 --json binarize.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import add_common_arguments, interleaved, made_up_lines, report, run_process, spread, write_lines
from fairseq_xalign.constants import EOS

MOST_UNEQUAL = 0.001
"""The largest share of sentences that may differ."""
ENCODE = """
import sys, sentencepiece
model, source, target, workers = sys.argv[1:]
encoder = sentencepiece.SentencePieceProcessor(model_file=model)
with open(source, encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
    while chunk := [line.rstrip("\\n") for _, line in zip(range(10000), lines)]:
        for pieces in encoder.encode(chunk, out_type=str, num_threads=int(workers)):
            out.write(" ".join(pieces) + "\\n")
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=130_000, help="Number of sentences (default: %(default)s).")
    parser.add_argument("--vocab-size", type=int, default=8000, help="Number of pieces (default: %(default)s).")
    parser.add_argument("--workers", type=int, default=2, help="Processes of each contender (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.lines, args.vocab_size, args.repeat = 300, 200, 1
    with tempfile.TemporaryDirectory() as name:
        return measure(Path(name), args)


def measure(folder: Path, args: argparse.Namespace) -> int:
    text = write_lines(folder / "text.en.txt", made_up_lines(args.lines))
    sub = folder / "subword"
    run_process("-m", "preprocess", "subword", "--input", f"en={text}", "--vocab-size", args.vocab_size,
                "--output", sub)  # fmt: skip
    (folder / "encode.py").write_text(ENCODE, encoding="utf-8")
    (model,) = sub.glob("*.model")
    ours_out, theirs_out, pieces = folder / "ours", folder / "theirs", folder / "pieces.txt"

    def ours() -> tuple[float, float]:
        return run_process("-m", "preprocess", "binarize", "--subword", sub, "--mono", f"en={text}", "--split", "train",
                           "--workers", args.workers, "--output", ours_out)  # fmt: skip

    def theirs() -> tuple[float, float]:
        first = run_process(folder / "encode.py", model, text, pieces, args.workers)
        second = run_process("-m", "fairseq_cli.preprocess", "--only-source", "--trainpref", pieces, "--srcdict",
                             sub / "dict.txt", "--destdir", theirs_out, "--workers", args.workers)  # fmt: skip
        return first[0] + second[0], max(first[1], second[1])

    found = interleaved({"ours": ours, "sentencepiece + fairseq-preprocess": theirs}, args.repeat)
    (their_file,) = theirs_out.glob("train*.bin")
    own, their = (sentences_in(file) for file in (ours_out / "mono" / "train.en.bin", their_file))
    unequal = sum(a != b for a, b in zip(own, their, strict=True))
    equal = "yes" if not unequal else f"NO, in {unequal:,} sentences"
    rows, medians = [], {}
    for name, runs in found.items():
        speeds, memory = [args.lines / seconds for seconds, _ in runs], [mb for _, mb in runs]
        medians[name] = statistics.median(speeds), statistics.median(memory)
        rows.append([name, spread(speeds), f"{medians[name][1]:,.0f}"])
    (speed, memory_), (their_speed, their_memory) = medians.values()
    rows.append(["ratio", f"{speed / their_speed:.1f} times as fast", f"{memory_ / their_memory:.2f} of the memory"])
    report(
        f"binarize: {args.lines:,} sentences, {args.workers} workers; equal bytes: {equal}",
        ["", "sentences/s", "MB"],
        rows,
        {"runs": found, "unequal_sentences": unequal},
        args,
    )
    return 0 if unequal <= MOST_UNEQUAL * args.lines else 1


def sentences_in(file: Path) -> list[bytes]:
    """The ids of each sentence of a binary corpus in 16 bits."""
    ids = np.fromfile(file, dtype=np.uint16)
    return [part.tobytes() for part in np.split(ids, np.flatnonzero(ids == EOS) + 1)]


if __name__ == "__main__":
    raise SystemExit(main())
