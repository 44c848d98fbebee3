"""Dependency parsing with spaCy: its transition-based parser on convolutions over hashed embeddings (extra ``syntax``).

A pipeline is trained on treebanks of Universal Dependencies with spaCy's own trainer and its settings for small
models; it learns tokenization's sentence boundaries, UPOS tags and dependencies together.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import files
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.data.formats.conllu import DEPREL, FORM, HEAD, ID, UPOS
from fairseq_xalign.errors import UserError
from preprocess.parsers.interface import Rows, Unparsed, row

SENTENCES_PER_DOCUMENT = 10
"""How many sentences are joined for training, so that the parser learns where one ends (spaCy's converter: 10)."""
DEFAULT_PASSES = 8
FIRST_BATCH = 400
"""Words of the first batch; they grow to 1,000. (spaCy begins with 100, which takes twice as long.)"""
UPDATES_BETWEEN_SCORES = 300
WEIGHTS = {"dep_las": 0.8, "pos_acc": 0.2}
"""The best state has the highest mean of these scores on the development set."""
ROOT = "ROOT"
MISSING = "spaCy is not installed"
REMEDY = 'Install it with pip install "fairseq_xalign[syntax]"'


def import_spacy() -> Any:
    """The package, or an error that says how to install it."""
    try:
        import spacy
    except ImportError as error:
        raise UserError(MISSING, remedy=REMEDY) from error
    return spacy


class SpacyParser:
    """A trained pipeline in a folder.

    Args:
        folder: of :func:`train`, or any pipeline with UPOS tags and the relations of UD.

    Raises:
        UserError: if spaCy is missing or the folder holds no pipeline with a parser.
    """

    def __init__(self, folder: str | Path) -> None:
        spacy = import_spacy()
        try:
            self.pipeline = spacy.load(folder)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"not a pipeline of spaCy: {reason}", folder, remedy="Train one") from error
        if "parser" not in self.pipeline.pipe_names:
            raise UserError(
                "this pipeline has no parser", folder, remedy="Train one with xalign-preprocess parser --treebank FILE"
            )
        meta = self.pipeline.meta
        self.name = f"spacy {spacy.__version__}: {meta['lang']}_{meta['name']} {meta['version']}"

    def parse(self, passages: Iterable[Unparsed]) -> Iterator[list[Rows]]:
        """Yield the sentences of each passage."""
        for document in self.pipeline.pipe(map(self._document, passages), batch_size=256):
            yield [self._rows(sentence) for sentence in document.sents]

    def _document(self, passage: Unparsed) -> Any:
        if passage.attached:
            return self.pipeline.make_doc(" ".join(passage.words))
        from spacy.tokens import Doc

        return Doc(self.pipeline.vocab, words=passage.words)

    @staticmethod
    def _rows(sentence: Any) -> Rows:
        rows = []
        for number, token in enumerate(sentence, 1):
            head = 0 if token.head.i == token.i else token.head.i - sentence.start + 1
            relation = "root" if head == 0 else token.dep_
            rows.append(row(number, token.text, token.pos_, head, relation, not token.whitespace_))
        return rows


def train(
    treebanks: Sequence[str | Path], dev: Sequence[str | Path], output: Path, language: str, passes: int, seed: int
) -> dict[str, float]:
    """Train a pipeline and write it into the folder ``output``.

    Args:
        treebanks, dev: CoNLL-U files to learn from, and to choose the best state by.
        output: a folder that exists and is empty.
        language: for spaCy's tokenizer, such as ``en``.
        passes: over the treebanks.
        seed: of weights and order.

    Returns:
        spaCy's scores of the best state on ``dev``: ``dep_las``, ``pos_acc`` and others, from 0 to 1.

    Raises:
        UserError: if spaCy is missing or does not know the language, or a treebank is malformed or has no heads.
    """
    spacy = import_spacy()
    from spacy.cli.init_config import init_config
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as run_training

    try:
        blank = spacy.blank(language)
    except ImportError as error:
        raise UserError(
            f"spaCy has no tokenizer for {language!r}",
            remedy="Name a language of spacy.io/usage/models, or xx for none",
        ) from error
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        _documents(blank, treebanks).to_disk(place / "train.spacy")
        _documents(blank, dev).to_disk(place / "dev.spacy")
        config = init_config(lang=language, pipeline=["morphologizer", "parser"], optimize="efficiency", gpu=False)
        config["paths"].update(train=str(place / "train.spacy"), dev=str(place / "dev.spacy"))
        config["training"].update(
            max_epochs=passes, max_steps=0, patience=0, eval_frequency=UPDATES_BETWEEN_SCORES, score_weights=WEIGHTS
        )
        config["training"]["batcher"]["size"].update(start=FIRST_BATCH)
        config["system"]["seed"] = seed
        (place / "states").mkdir()
        with contextlib.redirect_stdout(sys.stderr):
            run_training(init_nlp(config.interpolate(), use_gpu=-1), place / "states", use_gpu=-1, stdout=sys.stderr)
        best = place / "states" / "model-best"
        meta = files.read_json(best / "meta.json")
        # What the training read stands in a folder that is about to go: the pipeline must not name it.
        kept = spacy.load(best)
        kept.config["paths"].update(train=None, dev=None)
        kept.to_disk(output)
    return meta["performance"]


def _documents(blank: Any, treebanks: Sequence[str | Path]) -> Any:
    """Treebanks as spaCy's documents of :data:`SENTENCES_PER_DOCUMENT` sentences, on their own text."""
    from spacy.tokens import DocBin

    documents = DocBin()
    for path in treebanks:
        group: list[conllu.Sentence] = []
        for sentence in conllu.read(path):
            _check(sentence, path)
            group.append(sentence)
            if len(group) == SENTENCES_PER_DOCUMENT:
                documents.add(_document(blank, group))
                group = []
        if group:
            documents.add(_document(blank, group))
    if not len(documents):
        raise UserError("no sentences in it", treebanks[0], remedy="Give a treebank in CoNLL-U")
    return documents


def _check(sentence: conllu.Sentence, path: str | Path) -> None:
    for word, line in zip(sentence.rows, sentence.lines):
        if word[HEAD] == "_" or word[DEPREL] == "_":
            raise UserError(
                f"word {word[ID]} has no head or no relation", path, line, remedy="Give a treebank with dependencies"
            )


def _document(blank: Any, sentences: list[conllu.Sentence]) -> Any:
    """One document of spaCy; the root's relation is ``ROOT``, as its trainer expects, and its head is itself."""
    from spacy.tokens import Doc

    words: list[str] = []
    spaces: list[bool] = []
    tags: list[str] = []
    heads: list[int] = []
    relations: list[str] = []
    starts: list[bool | int | None] = []
    for sentence in sentences:
        first = len(words)
        forms = sentence.column(FORM)
        words += forms
        spaces += [*_spaces(forms, sentence)[:-1], True]
        tags += [tag if tag in conllu.UPOS_TAGS else conllu.MISSING_TAG for tag in sentence.column(UPOS)]
        for number, head in enumerate(map(int, sentence.column(HEAD))):
            heads.append(first + (head - 1 if head else number))
        relations += [ROOT if relation == "root" else relation for relation in sentence.column(DEPREL)]
        starts += [True] + [False] * (len(forms) - 1)
    return Doc(blank.vocab, words=words, spaces=spaces, pos=tags, heads=heads, deps=relations, sent_starts=starts)


def _spaces(forms: list[str], sentence: conllu.Sentence) -> list[bool]:
    """Whether white space follows each word in the sentence's own text; everywhere if the words are not found there."""
    matches = (re.match(r"#\s*text\s*=\s*(.*)", comment) for comment in sentence.comments)
    text = next((match[1] for match in matches if match), "")
    spaces, place = [], 0
    for form in forms:
        place = text.find(form, place)
        if place < 0:
            return [True] * len(forms)
        place += len(form)
        spaces.append(text[place : place + 1].isspace())
    return spaces
