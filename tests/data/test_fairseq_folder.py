"""Folders of fairseq-preprocess: names are told apart, and what can be read in two ways or in none is refused."""

import pytest

from fairseq_xalign.data.fairseq_folder import fairseq_manifest
from fairseq_xalign.errors import UserError
from tests.support.toy import write_tokens


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dict.txt").write_text("<mask> 1\na 1\nb 1\n")
    return tmp_path


def text(folder, name, lengths):
    """A file of sentences of these lengths, ``</s>`` included."""
    (folder / name).parent.mkdir(exist_ok=True)
    write_tokens(folder / name, lengths)


def test_each_name_is_a_stream_of_its_kind_with_counts_from_the_index(folder):
    text(folder, "valid", [3])
    text(folder, "fr/train", [2, 7, 4])
    text(folder, "train.en-None.en", [5])
    for language, lengths in (("en", [2, 3]), ("de", [4, 6])):
        text(folder, f"train.en-de.{language}", lengths)
    text(folder, "train.en-de.align", [2])  # no language of the pair
    text(folder, "notes", [2])
    manifest = fairseq_manifest(folder)
    found = {
        (s["kind"], s.get("language") or f"{s['source_language']}-{s['target_language']}", s["split"]):
        (s["sentences"], s["tokens"], s["longest"])
        for s in manifest["streams"]
    }  # fmt: skip
    assert found == {
        ("mono", "und", "valid"): (1, 3, 3),
        ("mono", "fr", "train"): (3, 13, 7),
        ("mono", "en", "train"): (1, 5, 5),
        ("bitext", "en-de", "train"): (2, [5, 10], [3, 6]),
    }
    assert manifest["tokenizer"] is None and sorted(manifest["languages"]) == ["de", "en", "fr", "und"]
    size = (folder / "fr/train.bin").stat().st_size
    (fr,) = (s for s in manifest["streams"] if s.get("language") == "fr")
    assert fr["files"]["fr/train.bin"] == {"size": size, "sha256": None}


def test_files_that_could_be_of_two_pairs_are_refused_and_both_are_named(folder):
    for language in ("zh", "TW-en", "zh-TW", "en"):
        text(folder, f"train.zh-TW-en.{language}", [2])
    with pytest.raises(UserError, match=r"train\.zh-TW-en is ambiguous: it can be .+ or .+") as caught:
        fairseq_manifest(folder)
    assert "Move the files of one of them away" in caught.value.remedy


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train.en-de.en": [2, 2], "train.en-de.de": [2]}, "train.en-de has 2 sentences in en, but 1 in de"),
        ({"train.en-de.de": [2]}, "train.en-de has only one side: train.en-de.de"),
        ({"text.en": [2]}, "neither manifest.json nor a file of text that is recognised"),
    ],
)
def test_text_that_is_not_whole_is_refused(folder, files, said):
    for name, lengths in files.items():
        text(folder, name, lengths)
    with pytest.raises(UserError, match=said) as caught:
        fairseq_manifest(folder)
    assert caught.value.remedy


def test_a_folder_without_a_dictionary_says_how_to_make_one_with_it(tmp_path):
    text(tmp_path, "train", [2])
    with pytest.raises(UserError, match="neither manifest.json nor dict.txt") as caught:
        fairseq_manifest(tmp_path)
    assert "xalign-preprocess binarize" in caught.value.remedy
