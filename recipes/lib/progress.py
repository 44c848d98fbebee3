"""Turn fairseq's JSON log (standard input) into lines of progress on standard error, at most one every 20 seconds."""

from __future__ import annotations

import json
import sys
import time

SHOWN = ("nll_loss", "mlm_loss", "tlm_loss", "dict_loss", "align_cosine", "tpp_loss", "tpp_accuracy", "accuracy", "wps")
SECONDS = 20.0


def main() -> None:
    name, total, said = sys.argv[1], int(sys.argv[2]), time.monotonic()
    for line in sys.stdin:
        if "| train_inner | {" not in line:
            if line.startswith(("train.py:", "fairseq-train:", "Traceback")):
                print(line, end="", file=sys.stderr)
            continue
        values = json.loads(line[line.index("{") :])
        update = int(values["num_updates"])
        if time.monotonic() - said >= SECONDS or update >= total:
            said = time.monotonic()
            figures = "  ".join(f"{key} {values[key]}" for key in SHOWN if key in values)
            print(f"          {name}: update {update}/{total}  {figures}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
