"""Transformations of word order by name. To add one, put its file into this folder and its class into the table."""

from preprocess.derive.inversion import Inversion
from preprocess.derive.order import WordOrder
from preprocess.derive.permutation import Permutation
from preprocess.derive.syntax import Syntax

WORD_ORDERS: dict[str, type[WordOrder]] = {
    "inv": Inversion,
    "perm": Permutation,
    "syn": Syntax,
}
TRANSLITERATION = "trans"
"""Not an order: applied last, after the words have been put in place."""
