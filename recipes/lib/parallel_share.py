"""How much parallel text XLM's training really sees: printed as JSON, and as a sentence on standard error.

A pair of sentences that is longer than half a sequence is left out of training (ALIGN-MLM, Appendix G.3). All streams
of a data folder end a pass together, so their sizes are the shares that training sees.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.streams import BitextStream


def parallel_share(data: str | Path, tokens_per_sample: int, split: str = "train") -> dict[str, Any]:
    """Pairs, pairs left out, and the share of parallel text: of sentences (per monolingual one) and of all tokens.

    Args:
        data: a data folder with monolingual text and bitext.
        tokens_per_sample: the longest sequence; a pair fits if each side and its ``<s>`` fit into half of it.
    """
    folder = DataFolder.open(str(data))
    mono, bitext = folder.require("mono", split), folder.require("bitext", split)
    pairs = left_out = tokens = 0
    for (source, target), files in bitext.items():
        sizes = BitextStream(source, target, files, tokens_per_sample, "halves").lengths(np.arange(len(files[0])))
        pairs, left_out = pairs + len(sizes), left_out + int((sizes[:, 0] < 0).sum())
        tokens += int(sizes[sizes[:, 0] >= 0].sum())
    sentences = max(len(text) for text in mono.values())
    running = sum(int(text.sizes[:].sum()) for text in mono.values())
    return {
        "pairs": pairs,
        "left_out": left_out,
        "sentences": round((pairs - left_out) / sentences, 4),
        "tokens": round(tokens / (tokens + running), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder")
    parser.add_argument("--tokens-per-sample", type=int, required=True, help="longest sequence of the training")
    args = parser.parse_args()
    found = parallel_share(args.data, args.tokens_per_sample)
    said = (
        f"          XLM sees {found['pairs'] - found['left_out']:,} pairs ({found['left_out']:,} are too long "
        f"for halves of {args.tokens_per_sample // 2} tokens): {found['sentences']:.1%} of the sentences of a "
        f"language, {found['tokens']:.1%} of all tokens"
    )
    print(said, file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
