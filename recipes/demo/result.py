"""One run's result.json out of what the commands of `run.sh` printed as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fairseq_xalign.evaluate.results import Result, write


def scores(path: Path, language: str) -> dict[str, float]:
    """The figures of one language in a file written by `xalign-evaluate score --json`."""
    return {name: float(value) for name, value in json.loads(path.read_text())["scores"][language].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the run's folder")
    for name in ("objective", "source", "target", "transform", "task"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--dictionary", default=None)
    args = parser.parse_args()
    conditions = {
        "source": ("source.json", args.source),
        "zs": ("source.json", args.target),
        "sup": ("target.json", args.target),
    }
    found = {
        name: scores(args.folder / file, lang)
        for name, (file, lang) in conditions.items()
        if (args.folder / file).exists()
    }
    alignment, retrieval = args.folder / "alignment.json", args.folder / "retrieval.json"
    signatures = json.loads((args.folder / "source.json").read_text())["signatures"]
    write(
        args.folder,
        Result(
            objective=args.objective,
            pair=f"{args.source}-{args.target}",
            transform=args.transform,
            task=args.task,
            seed=args.seed,
            scores=found,
            dictionary=args.dictionary,
            alignment=json.loads(alignment.read_text())["alignment"] if alignment.exists() else {},
            retrieval=json.loads(retrieval.read_text())["mean"] if retrieval.exists() else None,
            signature=signatures.get(args.target, signatures),
        ),
    )


if __name__ == "__main__":
    main()
