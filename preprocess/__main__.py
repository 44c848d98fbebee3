"""``xalign-preprocess`` (or ``python -m preprocess``): from raw text to data folders."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fairseq_xalign import cli

COMMANDS = {
    "fetch": "preprocess.fetch",
    "pairs": "preprocess.pairs",
    "subword": "preprocess.subword",
    "derive": "preprocess.derive",
    "order": "preprocess.order",
    "parser": "preprocess.parser",
    "bitext": "preprocess.bitext",
    "links": "preprocess.links",
    "dictionary": "preprocess.dictionary",
    "binarize": "preprocess.binarize",
    "merge": "preprocess.merge",
    "benchmark": "preprocess.labelled_sets",
    "check": "preprocess.check",
}
"""Sub-commands, and the module of each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands; see :func:`fairseq_xalign.cli.main` for exit codes."""
    return cli.main("xalign-preprocess", "From raw text to data folders.", COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
