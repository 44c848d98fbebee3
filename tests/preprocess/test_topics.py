"""MLDoc: its lists of documents, and Reuters Corpora volumes 1 and 2 as NIST gives them out."""

import pytest

from fairseq_xalign.labelled.folder import LabelledFolder
from preprocess.__main__ import main as preprocess
from preprocess.labelled_sets import benchmark
from tests.preprocess.test_sets import made, write

# A document as generate_documents.py of https://github.com/facebookresearch/MLDoc reads it.
DOCUMENT = (
    '<newsitem><text><p>{}</p><p>{}</p></text><metadata><codes class="bip:topics:1.0"><code code="{}"/>'
    '<code code="C15"/></codes></metadata></newsitem>'
)
# Where generate_all_documents.sh of the same repository looks for them; the ids are of its lists.
GERMAN, ENGLISH = "RCV2_Multilingual_Corpus/german", "rcv1"


def test_mldoc_puts_index_and_documents_together(tmp_path, capsys):
    write(tmp_path, "in/mldoc-indices/german.train.1000", "FDG2-327466\n")
    write(tmp_path, "in/mldoc-indices/german.train.2000", "FDG2-327466\nFDG2-1\n")
    write(tmp_path, "in/mldoc-indices/german.dev", "FDG2-2\n")
    write(tmp_path, "in/FDG2/327466.xml", DOCUMENT.format("Erster Absatz.", "Zweiter.", "CCAT"))
    write(tmp_path, "in/FDG2/2.xml", DOCUMENT.format("a", "b", "GCAT"))
    _, rows = made("mldoc", tmp_path)
    assert LabelledFolder.open(tmp_path / "L").pieces == 200
    assert rows["train.de"] == [{"id": "FDG2-327466", "text": "Erster Absatz. Zweiter.", "label": "CCAT"}]
    arguments = ["benchmark", "mldoc", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    for bad, message in ((DOCUMENT.format("a", "b", "C15"), ": 0 of the topics"), ("<p>", ":1: not valid XML")):
        write(tmp_path, "in/FDG2/2.xml", bad)
        assert preprocess(arguments) == 1 and f"2.xml{message}" in capsys.readouterr().err


@pytest.mark.parametrize("above", ["", "reuters/", "MLDoc/data/x/"])
def test_documents_are_found_in_the_folders_of_both_volumes(tmp_path, above):
    write(tmp_path, "in/mldoc-indices/german.dev", "FDG54-397782\nFDG2-327466\n")
    write(tmp_path, "in/mldoc-indices/english.dev", "19970617-667588newsML\n")
    for name, topic in ((f"{GERMAN}/FDG54/397782", "MCAT"), (f"{GERMAN}/FDG2/327466", "ECAT")):
        write(tmp_path, f"in/{above}{name}.xml", DOCUMENT.format("a", "b", topic))
    write(tmp_path, f"in/{above}{ENGLISH}/19970617/667588newsML.xml", DOCUMENT.format("c", "d", "GCAT"))
    _, rows = made("mldoc", tmp_path)
    assert [(row["id"], row["label"]) for row in rows["valid.de"]] == [
        ("FDG54-397782", "MCAT"),
        ("FDG2-327466", "ECAT"),
    ]
    assert rows["valid.en"] == [{"id": "19970617-667588newsML", "text": "c d", "label": "GCAT"}]


def test_documents_of_a_folder_may_lie_in_two_places_and_behind_links(tmp_path):
    write(tmp_path, "in/mldoc-indices/english.dev", "19970617-1newsML\n19970617-2newsML\n")
    write(tmp_path, "in/disk1/19970617/1newsML.xml", DOCUMENT.format("a", "b", "GCAT"))
    write(tmp_path, "elsewhere/19970617/2newsML.xml", DOCUMENT.format("c", "d", "MCAT"))
    (tmp_path / "in" / "disk2").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    report, _ = benchmark("mldoc", tmp_path / "L", folder=tmp_path / "in")
    assert report["valid.en"]["examples"] == 2


@pytest.mark.parametrize("there", ["", f"in/{GERMAN}/FDG2/2.xml"])
def test_a_document_that_is_missing_is_named_with_the_line_that_lists_it_and_the_layout(tmp_path, capsys, there):
    write(tmp_path, "in/mldoc-indices/german.dev", "FDG2-327466\n")
    if there:
        write(tmp_path, there, DOCUMENT.format("a", "b", "GCAT"))
    arguments = ["benchmark", "mldoc", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(arguments) == 1
    error = capsys.readouterr().err
    assert "german.dev:1: no document FDG2/327466.xml below " in error
    assert "rcv1/19970617/667588newsML.xml" in error and "RCV2_Multilingual_Corpus/german/FDG2/327466.xml" in error


def test_documents_are_not_listed_to_find_their_folders(tmp_path, monkeypatch):
    """RCV1 has 800,000 documents: only the folders above those of documents are listed, and only once."""
    from preprocess.sets import topics

    for number in range(3):
        write(tmp_path, f"rcv1/19970617/{number}newsML.xml", "")
    listed, scandir = [], topics.os.scandir

    def counted(path):
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(topics.os, "scandir", counted)
    found = topics.folders_named(tmp_path, {"19970617", "19970618"})
    assert found == {"19970617": [tmp_path / "rcv1" / "19970617"]} and len(listed) == 2
