"""Deriving a language: `xalign-preprocess derive` in lines per second and memory, as the text grows.

No other tool derives languages, so there is no peer; the table shows that time grows with the text and memory does not.

Example: python benchmarks/derive.py --lines 50000 --json derive.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import add_common_arguments, interleaved, made_up_lines, report, run_process, spread, write_lines

TRANSFORMS = ("inv", "trans", "trans,inv")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=50_000, help="Lines of the largest text (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.lines, args.repeat = 400, 1
    figures, rows = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = write_lines(folder / "text.en.txt", made_up_lines(args.lines))
        run_process("-m", "preprocess", "subword", "--input", f"en={text}", "--vocab-size", 200 if args.small else 8000,
                    "--output", folder / "sub")  # fmt: skip
        for count in (args.lines // 4, args.lines):
            part = write_lines(folder / f"{count}.txt", text.read_text("utf-8").splitlines()[:count])

            def derive(transform: str, part: Path = part) -> tuple[float, float]:
                options = [
                    "--transform",
                    transform,
                    "--format",
                    "text",
                    "--input",
                    part,
                    "--output",
                    folder / "out.txt",
                ]
                if "trans" in transform:
                    options += ["--subword", folder / "sub", "--output-subword", folder / "doubled"]
                return run_process("-m", "preprocess", "derive", *options)

            calls = {
                transform: (lambda transform=transform, derive=derive: derive(transform)) for transform in TRANSFORMS
            }
            for transform, runs in interleaved(calls, args.repeat).items():
                speeds = [count / seconds for seconds, _ in runs]
                memory = statistics.median(mb for _, mb in runs)
                rows.append([f"{transform}, {count:,} lines", spread(speeds), f"{memory:,.0f}"])
                figures[f"{transform} {count}"] = runs
    report("derive: start of the program included", ["", "lines/s", "MB"], rows, figures, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
