"""What `xalign-preprocess binarize` says of each stream that it has written: figures, and a line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_xalign.data.manifest import stream_title


def stream_report(stream: dict[str, Any], seconds: float) -> dict[str, Any]:
    """A stream's entry with the figures that a person looks for."""
    if stream["kind"] == "dictionary":
        return dict(stream)
    tokens, unknown = ([v] if isinstance(v, int) else v for v in (stream["tokens"], stream["unknown"]))
    sentences = stream["sentences"]
    return {name: value for name, value in stream.items() if name != "lengths"} | {
        "tokens_per_sentence": [n / max(1, sentences) for n in tokens],
        "unknown_share": [u / max(1, n - sentences) for u, n in zip(unknown, tokens)],
        "seconds": seconds,
        "sentences_per_second": sentences * len(tokens) / seconds,
    }


def report_line(about: dict[str, Any]) -> str:
    """What :func:`stream_report` says, in one line."""
    if about["kind"] == "dictionary":
        return f"{stream_title(about)}: {about['entries']:,} entries, dropped {counts(about['dropped'])}"
    tokens = about["tokens"] if isinstance(about["tokens"], list) else [about["tokens"]]
    return (
        f"{stream_title(about)}: {about['sentences']:,} {'sentences' if len(tokens) == 1 else 'pairs'}, "
        f"{' + '.join(f'{n:,}' for n in tokens)} tokens "
        f"({' + '.join(f'{n:.1f}' for n in about['tokens_per_sentence'])} per sentence), "
        f"{' + '.join(f'{share:.2%}' for share in about['unknown_share'])} unknown, "
        f"dropped {counts(about['dropped'])}; {_linked(about)}{about['sentences_per_second']:,.0f} sentences/s"
    )


def _linked(about: dict[str, Any]) -> str:
    """What the line of a bitext says of its links."""
    if not (links := about.get("links")):
        return ""
    return f"{links['count']:,} links between pieces, {links['without']:,} pairs without any; "


def counts(dropped: Mapping[str, int]) -> str:
    """What was dropped, and why, as text."""
    return ", ".join(f"{n:,} {why}" for why, n in dropped.items() if n) or "none"
