"""Turn fairseq's JSON log (standard input) into one line of progress on standard error."""

from __future__ import annotations

import json
import sys

SHOWN = ("mlm_loss", "tlm_loss", "dict_loss", "align_cosine", "accuracy", "wps")


def main() -> None:
    total, last = int(sys.argv[1]), ""
    live = sys.stderr.isatty()
    for line in sys.stdin:
        if "| train_inner | {" not in line:
            if line.startswith("error:") or "Traceback" in line or "UserError" in line:
                print(line, end="", file=sys.stderr)
            continue
        values = json.loads(line[line.index("{") :])
        update = int(values["num_updates"])
        figures = "  ".join(f"{name} {values[name]}" for name in SHOWN if name in values)
        last = f"   update {update}/{total}  {figures}"
        if live:
            print(f"\r{last:<110}", end="", file=sys.stderr, flush=True)
    if last:
        print(f"\r{last:<110}" if live else last, file=sys.stderr)


if __name__ == "__main__":
    main()
