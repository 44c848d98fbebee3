"""CoNLL-U treebanks: tags stay with their words, ids and heads follow the new order."""

from __future__ import annotations

import re

from fairseq_xalign.data.formats.conllu import DEPS, FORM, HEAD, ID, LEMMA, MISC, Sentence, read, write
from preprocess.readers.words import Change, Counts, Passage

__all__ = ["SENTENCE_BY_SENTENCE", "Sentence", "derive", "read", "write"]

SENTENCE_BY_SENTENCE = False


def derive(example: Sentence, change: Change, counts: Counts) -> Sentence:
    """The sentence in its new order: tags stay with their words, ids and heads are rewritten.

    Ranges, empty nodes (and enhanced dependencies on them) and ``SpaceAfter`` are dropped, since they speak of the
    old order; ``# text`` becomes the words separated by spaces. All are counted.
    """
    forms = example.column(FORM)
    counts["words"] += len(forms)
    counts["multiword ranges dropped"] += example.ranges
    counts["empty nodes dropped"] += example.empty_nodes
    arrangement = change.arrange(Passage(forms, (example.number,), attached=False, rows=example.rows))
    new_ids = {"0": "0"} | {str(old + 1): str(new + 1) for old, new in enumerate(arrangement.new_indices())}
    rows = []
    for new, (old, form) in enumerate(zip(arrangement.order, arrangement.words), 1):
        row = list(example.rows[old])
        row[ID], row[FORM] = str(new), form
        row[LEMMA] = row[LEMMA] if row[LEMMA] == "_" else change.spell(row[LEMMA])
        row[HEAD] = row[HEAD] if row[HEAD] == "_" else new_ids[str(int(row[HEAD]))]
        row[DEPS] = _enhanced(row[DEPS], new_ids, counts)
        row[MISC] = _without_space_after(row[MISC], counts)
        rows.append(row)
    comments = [
        f"# text = {' '.join(arrangement.words)}" if re.match(r"#\s*text\s*=", comment) else comment
        for comment in example.comments
    ]
    return Sentence(example.line, example.number, comments, rows)


def _enhanced(dependencies: str, new_ids: dict[str, str], counts: Counts) -> str:
    """``4:nsubj|8.1:conj`` with new ids, sorted as the format asks; items on empty nodes are dropped."""
    if dependencies == "_":
        return "_"
    kept = []
    for item in dependencies.split("|"):
        head, colon, relation = item.partition(":")
        if head in new_ids:
            kept.append((int(new_ids[head]), colon + relation))
        else:
            counts["enhanced dependencies dropped"] += 1
    return "|".join(f"{head}{rest}" for head, rest in sorted(kept)) or "_"


def _without_space_after(misc: str, counts: Counts) -> str:
    items = misc.split("|")
    kept = [item for item in items if not item.startswith("SpaceAfter=")]
    counts["SpaceAfter dropped"] += len(items) - len(kept)
    return "|".join(kept) or "_"
