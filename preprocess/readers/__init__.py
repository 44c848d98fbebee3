"""Labelled formats, one file each.

A format is a module with ``read(path) -> examples``, ``derive(example, change, counts) -> example``,
``write(stream, example)``, and ``SENTENCE_BY_SENTENCE``: whether a derived language is made of it
sentence by sentence, or (the labelled sets of ALIGN-MLM) with one reversal an example.
"""

FORMATS = {
    "text": "preprocess.readers.text",
    "conllu": "preprocess.readers.conllu",
    "ner": "preprocess.readers.ner",
    "nli": "preprocess.readers.nli",
    "qa": "preprocess.readers.qa",
    "classification": "preprocess.readers.classification",
}
