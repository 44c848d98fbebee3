"""Questions about a text, in SQuAD's form.

===============  ============================================================================================
set              to cite
===============  ============================================================================================
squad            Rajpurkar et al., SQuAD, EMNLP 2016
squad-xtreme     the same, machine-translated by XTREME: Hu et al., XTREME, ICML 2020
squad-mlqa       the same, machine-translated by MLQA's authors
mlqa             Lewis et al., MLQA, ACL 2020
xquad            Artetxe et al., On the Cross-lingual Transferability of Monolingual Representations, ACL 2020
jaquad           So et al., JaQuAD, 2022
arcd             Mozannar et al., Neural Arabic Question Answering, WANLP 2019
===============  ============================================================================================

The language of a part is that of its contexts, and so of its answers. Where the questions are in another language
(MLQA's G-XLT), its code follows: ``de-en`` has German contexts and English questions. Translations of SQuAD keep the
ids of its questions, by which they are joined (``--code-switch en``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.constants import SPLITS
from fairseq_xalign.labelled import answers
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import Counts, Part, PublishedSet, matching

CODE = r"(?P<lang>[a-z]{2})"
SQUAD_SPLITS = r"(?P<split>train|dev)-v1\.1\.json"


def _rows(files: Iterable[Path], languages: tuple[str, str] | None, counts: Counts) -> Iterator[FileRow]:
    for file in files:
        for found in answers.rows(file, counts):
            row = found.row if languages is None else {**found.row, "languages": languages}
            yield replace(found, row=row, path=file)


def _part(split: str, language: str, *files: Path, languages: tuple[str, str] | None = None) -> Part:
    """A part of one file or several; ``languages`` of question and context, where they differ."""
    source = files[0] if len(files) == 1 else files[0].parent
    return Part(split, language, source, partial(_rows, files, languages))


def find_squad(folder: Path) -> Iterator[Part]:
    """``train-v1.1.json`` and ``dev-v1.1.json``, which is ``valid``: the test set is not public."""
    for one in matching(folder, SQUAD_SPLITS):
        yield _part(one.split, "en", one.path)


def find_xtreme(folder: Path) -> Iterator[Part]:
    """Translations of the training set (and of the development set), with SQuAD itself where it lies beside them."""
    yield from _translations(folder, rf"squad\.translate\.(?P<split>train|dev)\.en-{CODE}\.json")


def find_translated_by_mlqa(folder: Path) -> Iterator[Part]:
    """``{lang}_squad-translate-train-{train,dev}-v1.1.json``, with SQuAD itself where it lies beside them."""
    yield from _translations(folder, rf"{CODE}_squad-translate-train-{SQUAD_SPLITS}")


def _translations(folder: Path, pattern: str) -> Iterator[Part]:
    """Translations of SQuAD, and SQuAD itself; whether there is an original to join them with is said."""
    translated, originals = list(matching(folder, pattern)), list(find_squad(folder))
    for one in translated:
        yield _part(one.split, one.groups["lang"], one.path)
    if translated and not any(part.split == SPLITS[0] for part in originals):
        cli.say(
            f"{folder}: the translated questions cannot be joined with their originals (--code-switch en), since there "
            "is nothing to join with: train-v1.1.json is not there"
        )
    yield from originals


def find_mlqa(folder: Path) -> Iterator[Part]:
    """XLT, where question and context are in one language, and G-XLT, every other combination."""
    name = rf"(?P<split>dev|test)-context-{CODE}-question-(?P<asked>[a-z]{{2}})\.json"
    for one in matching(folder, name):
        context, asked = one.groups["lang"], one.groups["asked"]
        if asked == context:
            yield _part(one.split, context, one.path)
        else:
            yield _part(one.split, f"{context}-{asked}", one.path, languages=(asked, context))


def find_xquad(folder: Path) -> Iterator[Part]:
    for one in matching(folder, rf"xquad\.{CODE}\.json"):
        yield _part("test", one.groups["lang"], one.path)


def find_jaquad(folder: Path) -> Iterator[Part]:
    """All files of a split together; the development set is ``valid``, as the test set is not public."""
    for split, ours in (("train", "train"), ("dev", "valid")):
        files = [one.path for one in matching(folder, rf"jaquad_{split}_\d{{4}}\.json")]
        if files:
            yield _part(ours, "ja", *files)


def find_arcd(folder: Path) -> Iterator[Part]:
    for one in matching(folder, r"arcd-(?P<split>train|test)\.json"):
        yield _part(one.split, "ar", one.path)


_XTREME = (
    "https://storage.googleapis.com/xtreme_translations/SQuAD/translate-train/squad.translate.train.en-{lang}.json"
)
SETS = (
    PublishedSet("squad", "qa", "train-v1.1.json, dev-v1.1.json", find_squad,
                 "https://rajpurkar.github.io/SQuAD-explorer", "CC BY-SA 4.0"),
    PublishedSet("squad-xtreme", "qa", "squad.translate.train.en-{lang}.json, and squad's files", find_xtreme,
                 _XTREME, "CC BY-SA 4.0"),
    PublishedSet("squad-mlqa", "qa", "{lang}_squad-translate-train-train-v1.1.json, and squad's files",
                 find_translated_by_mlqa, "https://dl.fbaipublicfiles.com/MLQA/mlqa-translate-train.tar.gz",
                 "CC BY-SA 3.0"),
    PublishedSet("mlqa", "qa", "dev-context-{lang}-question-{lang}.json, test-context-...", find_mlqa,
                 "https://dl.fbaipublicfiles.com/MLQA/MLQA_V1.zip", "CC BY-SA 3.0"),
    PublishedSet("xquad", "qa", "xquad.{lang}.json", find_xquad,
                 "https://github.com/google-deepmind/xquad", "CC BY-SA 4.0"),
    PublishedSet("jaquad", "qa", "train/jaquad_train_0000.json, ..., dev/jaquad_dev_0000.json, ...", find_jaquad,
                 "https://github.com/SkelterLabsInc/JaQuAD", "CC BY-SA 3.0"),
    PublishedSet("arcd", "qa", "arcd-train.json, arcd-test.json", find_arcd,
                 "https://github.com/husseinmozannar/SOQAL", "MIT"),
)  # fmt: skip
