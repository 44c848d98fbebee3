"""Print which --arch and options of fairseq-train fit a checkpoint's encoder, and on a second line its width."""

from __future__ import annotations

import sys

from fairseq_xalign.models.archs import fitting_arch
from fairseq_xalign.models.checkpoint import read_checkpoint


def main() -> None:
    path = sys.argv[1]
    encoder = read_checkpoint(path)["task_state"]["encoder"]
    arch, options = fitting_arch(encoder)
    if arch is None:
        sys.exit(f"{path}: no --arch of fairseq-train makes an encoder of this shape")
    print(" ".join(["--arch", arch, *options]), encoder["width"], sep="\n")


if __name__ == "__main__":
    main()
