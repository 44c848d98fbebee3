"""The transformations of word order by name. To add one: its file in this folder, a line here."""

from preprocess.derive.inversion import Inversion
from preprocess.derive.order import WordOrder
from preprocess.derive.permutation import Permutation

WORD_ORDERS: dict[str, type[WordOrder]] = {
    "inv": Inversion,
    "perm": Permutation,
}
PLANNED = {"syn": "syntax"}
"""Transformations of the papers that are not there yet, and what they change."""
TRANSLITERATION = "trans"
"""Not an order: applied last, after the words have been put in place."""
