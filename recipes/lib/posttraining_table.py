"""The table of encoders before and after further training: retrieval by language, and the summary of zero-shot tasks.

    posttraining_table.py --retrieval FOLDER [--sentences N] [--zero-shot SUMMARY.md] --output TABLE.md

FOLDER has what ``retrieve --json`` printed of each model: ``start.json``, ``ROW.seedS.json`` for one of all languages,
``ROW.LANGUAGE.seedS.json`` for one of a single language.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections import defaultdict
from pathlib import Path

from fairseq_xalign.evaluate.report.tables import NOTHING, WRITERS
from fairseq_xalign.files import atomic_file, read_json

START = "start"
NAME = re.compile(r"(?P<row>[^.]+)(\.(?P<language>[^.]+))?\.seed\d+")


def accuracies(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Accuracy (mean of both directions) by row and language, one for each seed."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.stem != START, path.stem)):
        match = NAME.fullmatch(path.stem)
        report = read_json(path)
        for pair in report.get("pairs", [report]):  # a single pair is printed alone
            found[match["row"] if match else path.stem][pair["source"]].append(pair["mean"])
    return found


def cell(values: list[float], before: list[float]) -> str:
    """Mean, deviation over seeds, and the gain over the encoder that training began with."""
    if not values:
        return NOTHING
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    gain = f" ({statistics.mean(values) - statistics.mean(before):+.1f})" if before else ""
    return f"{statistics.mean(values):.1f}{deviation}{gain}"


def retrieval_table(found: dict[str, dict[str, list[float]]]) -> str:
    """A row for each model, a column for each language."""
    languages = list(dict.fromkeys(language for row in found.values() for language in row))
    before = found.get(START, {})
    rows = [
        [row, *(cell(values.get(n, []), [] if row == START else before.get(n, [])) for n in languages)]
        for row, values in found.items()
    ]
    return WRITERS["markdown"](["encoder", *languages], rows, left=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retrieval", type=Path, required=True)
    parser.add_argument("--sentences", type=int)  # of NTREX-128; default: all
    parser.add_argument("--zero-shot", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    table = retrieval_table(accuracies(args.retrieval))
    text = f"the first {args.sentences} sentences of NTREX-128" if args.sentences else "NTREX-128"
    parts = [f"Retrieval on {text}, mean of both directions, %, and the gain\n\n{table}"]
    if args.zero_shot and args.zero_shot.exists():
        parts.append(args.zero_shot.read_text("utf-8"))
    elif args.zero_shot:  # stage 5 was left out
        parts.append("There are no scores of zero-shot tasks yet: run stage 5.\n")
    with atomic_file(args.output) as out:
        out.write("\n".join(parts))


if __name__ == "__main__":
    main()
