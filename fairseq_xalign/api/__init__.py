"""Models of ours from Python: vectors, word alignment, translations, tags and labels, without fairseq.

``fairseq_xalign.load_encoder``, ``load_translator``, ``load_tagger`` and ``load_classifier`` are these functions.
"""

from fairseq_xalign.api.encoder import Filled, TextEncoder, TokenVectors, load_encoder
from fairseq_xalign.api.labels import Classified, Classifier, Tagged, Tagger, load_classifier, load_tagger
from fairseq_xalign.api.translator import Translator, load_translator

__all__ = [
    "Classified",
    "Classifier",
    "Filled",
    "Tagged",
    "Tagger",
    "TextEncoder",
    "TokenVectors",
    "Translator",
    "load_classifier",
    "load_encoder",
    "load_tagger",
    "load_translator",
]
