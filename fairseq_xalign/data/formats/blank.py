"""Which lines and fields count as empty: one definition for every format."""

from __future__ import annotations

SPACES = " \t\r\f\v"
"""White space of ASCII. Other spaces (U+00A0, U+3000) are ordinary characters: annotated data has them as tokens."""


def is_blank(text: str) -> bool:
    """Whether a line or a field holds nothing, or white space of ASCII only."""
    return not text.strip(SPACES)
