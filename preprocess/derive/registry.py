"""Transformations of word order by name. To add one, put its file into this folder and its class into the table."""

from preprocess.derive.inversion import Inversion
from preprocess.derive.order import WordOrder
from preprocess.derive.permutation import Permutation

WORD_ORDERS: dict[str, type[WordOrder]] = {
    "inv": Inversion,
    "perm": Permutation,
}
PLANNED = {"syn": "syntax"}
"""Transformations of the papers that are not available yet, and what they change."""
TRANSLITERATION = "trans"
"""Not an order: applied last, after the words have been put in place."""
