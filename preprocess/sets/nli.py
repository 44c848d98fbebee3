"""Pairs of sentences: natural language inference (NLI) and paraphrase.

=============  ============================================================================================
set            to cite
=============  ============================================================================================
xnli           Conneau et al., XNLI, EMNLP 2018; its training sets are machine translations of MultiNLI
multinli       Williams et al., MultiNLI, NAACL 2018
cad-nli        Kaushik et al., Learning the Difference that Makes a Difference, ICLR 2020
kornli         Ham et al., KorNLI and KorSTS, Findings of EMNLP 2020
indonli        Mahendra et al., IndoNLI, EMNLP 2021
americasnli    Ebrahimi et al., AmericasNLI, ACL 2022
paws-x         Yang et al., PAWS-X, EMNLP 2019
=============  ============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.constants import SPLITS
from fairseq_xalign.data.formats import json_lines, named_columns, nli
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import Counts, Found, Part, PublishedSet, matching, pair_row, renamed

LABELS = ("contradiction", "entailment", "neutral")
NAMES = {name: name for name in LABELS} | {"contradictory": "contradiction"}
"""Names of labels: XNLI's machine-translated training sets have one of their own."""
LETTERS = {"c": "contradiction", "e": "entailment", "n": "neutral"}
NO_MAJORITY = "-"
CODE = r"(?P<lang>[a-z]{2,3}(-[A-Za-z]+)?)"
NO_GOLD = "examples without a gold label left out"
OWN = "read sentences of other languages with xalign-preprocess benchmark pairs"
UNMATCHED = "lines left out that do not match the English line of the same number"


def _three_columns(path: Path, language: str, counts: Counts) -> Iterator[FileRow]:
    """Premise, hypothesis and label, after a row that names them."""
    for pair in nli.read(path):
        if not pair.header:
            yield pair_row(str(pair.line), (pair.premise, pair.hypothesis), pair.label, pair.line)


def find_cad(folder: Path) -> Iterator[Part]:
    """Originals with their revisions (``all_combined``) where both are there, else what there is."""
    found = list(matching(folder, r"(?P<split>train|dev|test)\.tsv"))
    combined = [one for one in found if one.path.parent.name == "all_combined"]
    for one in combined or found:
        yield Part(one.split, "en", one.path, partial(_three_columns, one.path, "en"))


def find_kornli(folder: Path) -> Iterator[Part]:
    """XNLI's two sets in Korean, and MultiNLI machine-translated for training (SNLI's translation is not read)."""
    for one in matching(folder, r"(xnli|multinli)\.(?P<split>train|dev|test)\.ko\.tsv"):
        yield Part(one.split, "ko", one.path, partial(_three_columns, one.path, "ko"))


def _indonli(path: Path, counts: Counts) -> Iterator[FileRow]:
    seen: set[str] = set()
    for line, row in json_lines.read_lines_or_list(path):
        premise, hypothesis, label = json_lines.texts(row, ("premise", "hypothesis", "label"), path, line)
        name = json_lines.identifier(row, "pair_id", path, line)
        if name in seen:
            counts["ids that an earlier example has, told apart by their line"] += 1
            name = f"{name}:{line}"
        seen.add(name)
        yield pair_row(name, (premise, hypothesis), renamed(label, LETTERS, path, line), line)


INDONLI = {
    "train": ("train", "id"),
    "val": ("valid", "id"),
    "test_lay": ("test", "id"),
    "test_expert": ("test", "id-expert"),
    "diagnostic": ("test", "id-diagnostic"),
}


def find_indonli(folder: Path) -> Iterator[Part]:
    """The sets of lay authors; those of experts and the diagnostic one are languages of their own here."""
    for one in matching(folder, rf"(?P<name>{'|'.join(INDONLI)})\.jsonl?"):
        split, language = INDONLI[one.groups["name"]]
        yield Part(split, language, one.path, partial(_indonli, one.path))


def _americas(path: Path, language: str, counts: Counts) -> Iterator[FileRow]:
    columns = ("id", "language", "premise", "hypothesis", "label")
    for line, (name, said, premise, hypothesis, label) in named_columns.read(path, columns):
        if said != language:
            raise UserError(f"language {said!r}, not {language!r}", path, line, "Get the file again")
        yield pair_row(name, (premise, hypothesis), label, line)


def find_americas(folder: Path) -> Iterator[Part]:
    for one in matching(folder, r"(?P<split>dev|test)/(?P<lang>[a-z]{2,3})\.tsv"):
        yield Part(one.split, one.groups["lang"], one.path, partial(_americas, one.path, one.groups["lang"]))


def _xnli(path: Path, language: str, counts: Counts) -> Iterator[FileRow]:
    """One language of a file that has all fifteen."""
    columns = ("language", "gold_label", "sentence1", "sentence2", "pairID")
    for line, (said, label, first, second, name) in named_columns.read(path, columns):
        if said not in XNLI_LANGUAGES:
            known = ", ".join(XNLI_LANGUAGES)
            raise UserError(f"unknown language {said!r}", path, line, f"XNLI has {known}. Get the file again, or {OWN}")
        if said == language:
            yield pair_row(name, (first, second), label, line)


def _translated(path: Path, english: Path | None, counts: Counts) -> Iterator[FileRow]:
    """A machine-translated training set; lines that differ from the English line in their label are left out.

    Args:
        english: the English training set that comes with the translations, or MultiNLI's own; None to compare nothing.
    """
    originals = {} if english is None else dict(_english_labels(english))
    line = 0
    for line, texts, label in _lines(path, counts):
        if label not in NAMES or (english is not None and originals.get(line) != NAMES[label]):
            counts[UNMATCHED] += 1
        else:
            yield pair_row(str(line), texts, NAMES[label], line)
    counts["English lines without a translation"] += max(max(originals, default=0) - line, 0)


def _english_labels(path: Path) -> Iterator[tuple[int, str]]:
    """(line of a translation, label) of each English example; the first line of translations names the columns."""
    if json_lines.is_json_lines(path):
        for line, row in json_lines.read(path):
            yield line + 1, json_lines.texts(row, ["gold_label"], path, line)[0]
    else:
        for line, _, label in _lines(path, Counts()):
            yield line, NAMES.get(label, label)


def _parallel_english(path: Path, counts: Counts) -> Iterator[FileRow]:
    """MultiNLI's training set with the ids of its translations."""
    for found in _multinli(path, counts):
        yield FileRow({**found.row, "id": str(found.line + 1)}, found.line)


def _lines(path: Path, counts: Counts) -> Iterator[tuple[int, tuple[str, str], str]]:
    """(line, texts, label) of premise, hypothesis and label in columns, below a row that names them."""
    for number, text in read_lines(path):
        fields = text.split("\t")
        if number == 1 and [field.strip() for field in fields] == ["premise", "hypo", "label"]:
            continue
        if len(fields) != nli.COLUMNS:
            counts[f"lines left out without {nli.COLUMNS} columns"] += 1
            continue
        yield number, (fields[0], fields[1]), fields[2].strip()


XNLI_LANGUAGES = "ar bg de el en es fr hi ru sw th tr ur vi zh".split()


def find_xnli(folder: Path) -> Iterator[Part]:
    """``xnli.dev.tsv`` and ``xnli.test.tsv``, and the training sets ``multinli.train.{lang}.tsv`` beside them.

    Without ``multinli.train.en.tsv``, MultiNLI's own training set is the English one: the lines are the same.
    Without either, translations are read as they are, which is said.
    """
    for one in matching(folder, r"xnli\.(?P<split>dev|test)\.tsv"):
        for language in XNLI_LANGUAGES:
            yield Part(one.split, language, one.path, partial(_xnli, one.path, language))
    training = {one.groups["lang"]: one.path for one in matching(folder, rf"multinli\.train\.{CODE}\.tsv")}
    originals = next((one.path for one in matching(folder, r"multinli_1\.0_train\.jsonl")), None)
    english = training.get("en", originals)
    if "en" not in training and originals is not None:
        yield Part("train", "en", originals, partial(_parallel_english, originals))
    if training and english is None:
        cli.say(
            f"{folder}: the translated training sets are not compared with the original line by line, since there is "
            "nothing to compare with: neither multinli.train.en.tsv nor multinli_1.0_train.jsonl is there"
        )
    for language, path in training.items():
        yield Part("train", language, path, partial(_translated, path, None if language == "en" else english))


MULTINLI = {"train": ("train", "en"), "dev_matched": ("valid", "en"), "dev_mismatched": ("test", "en")}


def _multinli(path: Path, counts: Counts) -> Iterator[FileRow]:
    """An example whose annotators did not agree has no gold label."""
    for line, row in json_lines.read(path):
        label, first, second = json_lines.texts(row, ("gold_label", "sentence1", "sentence2"), path, line)
        name = json_lines.identifier(row, "pairID", path, line)
        if label == NO_MAJORITY:
            counts[NO_GOLD] += 1
        else:
            yield pair_row(name, (first, second), label, line)


def find_multinli(folder: Path) -> Iterator[Part]:
    """The training set; the matched development set is ``valid`` and the mismatched one ``test``."""
    for one in matching(folder, rf"multinli_1\.0_(?P<name>{'|'.join(MULTINLI)})\.jsonl"):
        split, language = MULTINLI[one.groups["name"]]
        yield Part(split, language, one.path, partial(_multinli, one.path))


PAWS_LABELS = {"0": "different", "1": "paraphrase"}
NOT_A_SENTENCE = "NS"
"""What translators wrote in place of a sentence that they could not translate."""
MARKED = f"pairs that the translators marked {NOT_A_SENTENCE}"


def _paws(path: Path, split: str, counts: Counts) -> Iterator[FileRow]:
    """Pairs without a translation are not trained on.

    In other splits they stay, as in XTREME's files: a score is over all of a test set.
    """
    for line, (name, first, second, label) in named_columns.read(path, ("id", "sentence1", "sentence2", "label")):
        marked = NOT_A_SENTENCE in (first.strip(), second.strip())
        if marked and split == SPLITS[0]:
            counts[f"{MARKED}, left out"] += 1
        else:
            counts[f"{MARKED}, kept"] += marked
            yield pair_row(name, (first, second), renamed(label, PAWS_LABELS, path, line), line)


def _paws_part(one: Found) -> Part:
    return Part(one.split, one.groups["lang"], one.path, partial(_paws, one.path, one.split))


def find_paws(folder: Path) -> Iterator[Part]:
    """``x-final/{lang}``: train.tsv (en), translated_train.tsv, dev_2k.tsv and test_2k.tsv."""
    yield from map(
        _paws_part, matching(folder, r"(?P<lang>[a-z]{2})/(translated_)?(?P<split>train|dev|test)(_2k)?\.tsv")
    )


SETS = (
    PublishedSet("xnli", "pairs", "xnli.dev.tsv, xnli.test.tsv, multinli.train.{lang}.tsv", find_xnli,
                 "https://dl.fbaipublicfiles.com/XNLI/XNLI-1.0.zip and XNLI-MT-1.0.zip (translated training sets)",
                 "CC BY-NC 4.0", LABELS),
    PublishedSet("multinli", "pairs", "multinli_1.0_train.jsonl, _dev_matched.jsonl, _dev_mismatched.jsonl",
                 find_multinli, "https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip",
                 "OANC and other licences by genre", LABELS),
    PublishedSet("cad-nli", "pairs", "all_combined/train.tsv, dev.tsv, test.tsv", find_cad,
                 "https://github.com/acmi-lab/counterfactually-augmented-data", "Apache-2.0", LABELS),
    PublishedSet("kornli", "pairs", "xnli.dev.ko.tsv, xnli.test.ko.tsv, multinli.train.ko.tsv", find_kornli,
                 "https://github.com/kakaobrain/kor-nlu-datasets", "CC BY-SA 4.0", LABELS),
    PublishedSet("indonli", "pairs", "train.jsonl, val.jsonl, test_lay.jsonl, test_expert.jsonl", find_indonli,
                 "https://github.com/ir-nlp-csui/indonli", "no licence file", LABELS),
    PublishedSet("americasnli", "pairs", "dev/{lang}.tsv, test/{lang}.tsv", find_americas,
                 "https://github.com/abteen/americasnli", "CC BY-SA 4.0", LABELS),
    PublishedSet("paws-x", "pairs", "{lang}/train.tsv, translated_train.tsv, dev_2k.tsv, test_2k.tsv", find_paws,
                 "https://storage.googleapis.com/paws/pawsx/x-final.tar.gz", "free for any use, see its LICENSE",
                 tuple(PAWS_LABELS.values())),
)  # fmt: skip
