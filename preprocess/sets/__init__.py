"""Published labelled sets that ``benchmark`` reads from their original files: the one list of them."""

from __future__ import annotations

from preprocess.sets import intents, nli, posts, questions, sentiment, topics
from preprocess.sets.entities import BY_TASK
from preprocess.sets.published import PublishedSet

__all__ = ["BY_TASK", "SETS"]

SETS: dict[str, PublishedSet] = {
    found.name: found for module in (nli, topics, intents, sentiment, posts, questions) for found in module.SETS
}
"""By the name that ``benchmark`` takes; names of tasks, which read a user's own files, are others."""
