"""Treebanks: tags are those of Universal Dependencies, and text is written as people write it."""

from __future__ import annotations

import pytest

from fairseq_xalign.files import sha256
from preprocess.corpora import (
    treebanks,
    universal_dependencies,
)
from preprocess.corpora.archive import obtain
from preprocess.corpora.catalogue import CORPORA
from tests.support.corpora import built, lines, make_tarball, make_zip
from tests.support.public_data import public_files

BROWN_TAGS = {
    "at": "DET", "np-tl": "PROPN", "nn$-hl": "NOUN", "vbd": "VERB", "bedz*": "VERB", "md": "VERB",
    "pps+bez": "PRON", "*": "PART", "to": "PART", "in-tl": "ADP", "cs": "CCONJ", "cd": "NUM", "od": "ADJ",
    "wrb": "ADV", "``": "PUNCT", ".": "PUNCT", "--": "PUNCT", "fw-nn": "X", "uh": "INTJ", "pp$": "PRON",
    "nr": "NOUN", "ex": "PRON", "ql": "ADV", "abn": "DET", "(-hl": "PUNCT", "nil": "X",
}  # fmt: skip


@pytest.mark.parametrize(("tag", "ours"), BROWN_TAGS.items())
def test_brown_tags_have_one_of_ours(tag, ours):
    assert treebanks.brown_tag(tag) == ours and ours in treebanks.TAGS


def test_brown_becomes_conllu_whose_text_is_written_as_people_write(tmp_path):
    line = "\t``/`` Yes/uh ''/'' ,/, he/pps said/vbd (/( no/at 1/2/cd )/) ./.\n\n\n"
    archive = make_tarball(tmp_path / "b.tgz", {"package/ca01": line + line, "package/README": "x/y"})
    folder, about = built("brown", {treebanks.BROWN.file: archive}, tmp_path)
    (path,) = [folder / name for name, file in about["files"].items() if file["sentences"]]
    rows = lines(path)
    assert rows[:2] == ["# sent_id = ca01-1", '# text = "Yes", he said (no 1/2).']
    assert [row.split("\t")[1] for row in rows[2:-1]] == [
        '"',
        "Yes",
        '"',
        ",",
        "he",
        "said",
        "(",
        "no",
        "1/2",
        ")",
        ".",
    ]
    assert all(len(row.split("\t")) == 10 for row in rows[2:-1]) and rows[-1] == ""
    assert about["dropped"] == {"repeated": 1}


def test_turkish_groups_are_joined_and_take_the_last_ones_tag(tmp_path):
    def row(number, form, tag, source, relation, misc="_"):
        return f"{number}\t{form}\t_\t{tag}\t{source}\t_\t1\t{relation}\t_\t{misc}"

    block = "\n".join(
        [
            "# sent_id = tr-blog:1:S1",
            row(1, "Açık", "NOUN", "NN", "ig", "SpaceAfter=No"),
            row(2, "la", "VERB", "VB", "ig", "SpaceAfter=No"),
            row(3, "yan", "ADJ", "VJ", "rcmod"),
            row(4, "Ali", "NOUN", "NNP", "x", "SpaceAfter=No"),
            row(5, "ve", "CONJ", "CC", "x"),
            row(6, "mı", "PRT", "RPQ", "x", "SpaceAfter=No"),
            row(7, "?", "PUNCT", ".", "p"),
        ]
    )
    archive = make_zip(tmp_path / "t.whl", {"data/web.conllu": block + "\n\n", "data/wiki.conllu": ""})
    folder, about = built("turkish-treebank", {treebanks.TURKISH.file: archive}, tmp_path)
    (path,) = [folder / name for name, file in about["files"].items() if file["words"]]
    words = [row.split("\t") for row in lines(path) if row and not row.startswith("#")]
    assert [(word[1], word[3]) for word in words] == [
        ("Açıklayan", "ADJ"), ("Ali", "PROPN"), ("ve", "CCONJ"), ("mı", "PART"), ("?", "PUNCT")
    ]  # fmt: skip
    assert "# text = Açıklayan Alive mı?" in lines(path)
    assert set(about["tags"]) <= set(treebanks.TAGS)


def test_wikitext_becomes_sentences_without_headings(tmp_path):
    raw = " = Valkyria = \n \n The game @-@ like plot was long . It sold well ! \n = = Gameplay = = \n a b \n"
    members = {f"wikitext-103-raw/wiki.{split}.raw": raw.encode() for split in ("train", "valid", "test")}
    archive = make_zip(tmp_path / "w.zip", members)
    folder, about = built("wikitext-103", {"wikitext-103-raw-v1.zip": archive}, tmp_path)
    assert lines(folder / "text.en.txt") == ["The game @-@ like plot was long .", "It sold well !"]
    assert set(about["files"]) == {"text.en.txt", "valid.en.txt", "test.en.txt"}
    assert about["dropped"] == {"heading": 6, "words": 3}
    (source,) = CORPORA["wikitext-103"].archives
    assert source.url.startswith("https://") and len(source.sha256) == 64


def test_universal_dependencies_stay_byte_for_byte(tmp_path):
    data = public_files("ud/UD_German-PUD")[0].parents[1]
    (corpus,) = [corpus for corpus in universal_dependencies.CORPORA if corpus.name == "ud-german-pud"]
    (archive,) = corpus.archives
    path = obtain(archive, tmp_path / "store", data)
    folder, about = built("ud-german-pud", {archive.file: path}, tmp_path)
    assert sha256(folder / "test.de.conllu") == archive.sha256
    assert about["files"]["test.de.conllu"]["sentences"] == 1000
    assert about["files"]["test.de.conllu"]["words"] == 21_332
