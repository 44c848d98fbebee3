"""Names, ids and file names that more than one module needs: their only home.

Ids 0 to 3 are fairseq's own (``Dictionary`` adds them before it reads ``dict.txt``), ``<mask>`` is
the first line of every ``dict.txt`` of ours, and the ordinary pieces follow.
"""

BOS, PAD, EOS, UNK, MASK = 0, 1, 2, 3, 4
BOS_SYMBOL, PAD_SYMBOL, EOS_SYMBOL, UNK_SYMBOL, MASK_SYMBOL = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIAL_SYMBOLS = (BOS_SYMBOL, PAD_SYMBOL, EOS_SYMBOL, UNK_SYMBOL, MASK_SYMBOL)
FAIRSEQ_SPECIALS = 4
"""How many symbols fairseq's dictionary adds by itself, ahead of the lines of ``dict.txt``."""
FIRST_PIECE = 5
"""The id of the first ordinary piece."""

LANGUAGE_TOKEN = "<2{}>"
"""The token that names a target language in translation (MMTE, Siddhant et al. 2020, section 2.2)."""

RESERVED_FIRST = 0xF0000
"""Transliterated piece number i (id ``FIRST_PIECE + i``) is written as ``chr(RESERVED_FIRST + i)``:
the two supplementary private use planes, which no real text uses."""
RESERVED_LAST = 0x10FFFD
RESERVED_GAP = (0xFFFFE, 0x100000)
"""Code points 0xFFFFE and 0xFFFFF are non-characters: symbol 65,534 and later skip over them."""

MANIFEST_FILE = "manifest.json"
DICT_FILE = "dict.txt"
SUBWORD_FILE = "subword.json"
LABELS_FILE = "labels.json"
SETTINGS_FILE = "settings.json"
"""What a converted checkpoint folder says of itself, for people."""
POOLINGS = ("cls", "mean", "max")
"""What may stand for a sequence: its first token, or the mean or maximum over its tokens."""
SENTENCE_POOLINGS = (*POOLINGS, "mean_all", "max_all")
"""What may stand for a sentence: here ``mean`` and ``max`` are over the pieces of the text alone, and the last two also
over ``<s>`` and ``</s>``, as sentence-transformers pools."""
SEPARATORS = ("makers", "eos")
"""What stands between two texts: what the encoder's makers put there, or its end symbol once."""
HEADS = ("linear", "mmte")
"""What scores labels: a linear layer (BERT and its successors), or the layers of MMTE."""
SPLITS = ("train", "valid", "test")
SPLIT_ALIASES = {"dev": "valid", "validation": "valid"}
"""Other names of a split, and ours."""
DATA_FORMAT = 2
"""The newest format of data folders. A folder has the lowest that describes it: 2 where a bitext has links, else 1."""
SUBWORD_FORMAT = 1
CHECKPOINT_FORMAT = 1
