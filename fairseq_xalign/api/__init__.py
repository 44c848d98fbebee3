"""Models of ours from Python: vectors, word alignment, translations, tags, labels and answers, without fairseq.

``fairseq_xalign.load_encoder``, ``load_translator``, ``load_tagger``, ``load_classifier`` and ``load_qa`` are these
functions.
"""

from fairseq_xalign.api.answers import Answer, QuestionAnswerer, load_qa
from fairseq_xalign.api.encoder import Filled, TextEncoder, TokenVectors, load_encoder
from fairseq_xalign.api.labels import Classified, Classifier, Tagged, Tagger, load_classifier, load_tagger
from fairseq_xalign.api.translator import Translator, load_translator

__all__ = [
    "Answer",
    "Classified",
    "Classifier",
    "Filled",
    "QuestionAnswerer",
    "Tagged",
    "Tagger",
    "TextEncoder",
    "TokenVectors",
    "Translator",
    "load_classifier",
    "load_encoder",
    "load_qa",
    "load_tagger",
    "load_translator",
]
