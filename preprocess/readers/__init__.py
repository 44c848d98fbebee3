"""What ``derive`` does with the examples of each format; the formats are those of :mod:`fairseq_xalign.data.formats`.

A module here has ``read(path) -> examples``, ``derive(example, change, counts) -> example``,
``write(stream, example)``, and ``SENTENCE_BY_SENTENCE``: whether a derived language is made of an example
sentence by sentence, or (the labelled sets of ALIGN-MLM) with one reversal per example.
"""

FORMATS = {
    "text": "preprocess.readers.running_text",
    "conllu": "preprocess.readers.conllu",
    "ner": "preprocess.readers.ner",
    "nli": "preprocess.readers.nli",
    "qa": "preprocess.readers.qa",
    "classification": "preprocess.readers.classification",
}
WITH_HEADER = ("nli", "classification")
"""Formats whose first row may name the columns: ``read`` is told whether it does, and examples say what they are."""
