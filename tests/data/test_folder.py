"""The data folder as a reader sees it: what opens, what is refused, and what it says to run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairseq_xalign.constants import EOS
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.vocabulary import read_dict
from preprocess.__main__ import main
from tests.support.samples import fairseq_folders, fairseq_preprocess, raw_material, sentences, write_lines

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder with two languages, a pair and a dictionary."""
    root = tmp_path_factory.mktemp("made")
    raw_material(root)
    common = ["--subword", str(root / "sub"), "--output", str(root / "data"), "--workers", "1"]
    train = ["--mono", f"de={root}/de", "--mono", f"en={root}/en", "--dictionary", f"en-de={root}/dictionary"]
    assert main(["binarize", *common, *train]) == 0
    assert main(["binarize", *common, "--bitext", f"en-de={root}/en,{root}/de", "--split", "valid"]) == 0
    return root


@pytest.fixture
def data(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path / "data"


def change_manifest(data, change):
    manifest = json.loads((data / "manifest.json").read_text())
    change(manifest)
    (data / "manifest.json").write_text(json.dumps(manifest))


def test_streams_are_given_by_kind_and_split_in_the_order_of_record(data):
    folder = DataFolder.open(data)
    assert folder.languages == list(folder.mono("train")) == ["de", "en"]
    assert folder.mono("valid") == folder.bitext("train") == {}
    [(pair, (source, target))] = folder.bitext("valid").items()
    assert pair == ("en", "de")
    expected = [[*folder.tokenizer.encode(line), EOS] for line in sentences("de", 50)]
    assert [item.tolist() for item in target] == expected
    assert [item.tolist() for item in folder.mono("train")["de"]] == expected
    assert len(source) == len(target) == 50
    assert folder.dictionaries() == {("en", "de"): data / "dictionary/en-de.tsv"}
    assert folder.vocabulary_size == len(folder.tokenizer) == 90
    assert not folder.fairseq_mode


def test_the_order_of_record_is_the_manifests(data):
    change_manifest(data, lambda m: m["languages"].reverse())
    assert list(DataFolder.open(data).mono("train")) == ["en", "de"]


def test_a_data_folder_is_a_subword_folder(data):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    assert Tokenizer.load(data).sha256 == DataFolder.open(data).manifest["tokenizer"]["sha256"]


@pytest.mark.parametrize("name", ["mono/train.en.bin", "bitext/valid.en-de.de.idx", "dictionary/en-de.tsv"])
@pytest.mark.parametrize(
    "how, message", [("cut", "bytes long, but manifest.json says"), ("remove", "missing, although manifest.json")]
)
def test_a_file_that_disagrees_with_the_manifest_is_refused(data, name, how, message):
    if how == "cut":
        (data / name).write_bytes((data / name).read_bytes()[:-1])
    else:
        (data / name).unlink()
    with pytest.raises(UserError, match=message) as caught:
        DataFolder.open(data)
    assert caught.value.where == data / name
    assert caught.value.remedy.startswith("Binarize ")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m.update(format=3), "format 3 is newer than this fairseq_xalign, which knows formats up to 2"),
        (lambda m: m.pop("format"), "it has no format number"),
        (lambda m: m.pop("streams"), "damaged: KeyError"),
        (lambda m: m.pop("vocabulary"), "damaged: KeyError"),
        (lambda m: m.update(languages=["en"]), "it lists an impossible stream"),
        (lambda m: m["streams"][0].update(kind="sound"), "it lists an impossible stream"),
        (lambda m: m["streams"][0].pop("sentences"), "damaged: KeyError"),
        (
            lambda m: m["streams"][-1]["files"].popitem() and m["streams"][-1]["files"].popitem(),
            "names the wrong files",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(data, change, message):
    change_manifest(data, change)
    with pytest.raises(UserError, match=message) as caught:
        DataFolder.open(data)
    assert caught.value.where == data / "manifest.json"


def test_a_manifest_that_is_not_json_is_refused(data):
    (data / "manifest.json").write_text('{"format": 1, ')
    with pytest.raises(UserError, match="not valid JSON"):
        DataFolder.open(data)


def test_an_index_that_counts_other_sentences_is_refused(data):
    change_manifest(data, lambda m: m["streams"][0].update(sentences=51))
    folder = DataFolder.open(data)
    with pytest.raises(UserError, match=r"has 50 sentences, but manifest\.json says 51"):
        folder.mono("train")


def test_what_is_no_data_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such data folder"):
        DataFolder.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a data folder"):
        DataFolder.open(tmp_path)


def test_what_is_required_is_given_and_nothing_else(data):
    folder = DataFolder.open(data)
    assert list(folder.require("mono", "train")) == ["de", "en"]
    assert list(folder.require("mono", "train", ["en"])) == ["en"]
    assert list(folder.require("bitext", "valid", ["en-de"])) == [("en", "de")]
    assert list(folder.require("dictionary")) == [("en", "de")]


@pytest.mark.parametrize(
    "asked, what, run",
    [
        (("mono", "train", ["fr"]), "no mono train fr in", "--mono fr=FILE --split train"),
        (("mono", "valid"), "no mono valid stream in", "--mono XX=FILE --split valid"),
        (
            ("bitext", "train"),
            r"no bitext train stream in .*bitext valid en-de",
            "--bitext XX-YY=FILE,FILE --split train",
        ),
        (("bitext", "valid", ["de-en"]), "no bitext valid de-en in", "--bitext de-en=FILE,FILE --split valid"),
        (("dictionary", None, ["en-fr"]), "no dictionary en-fr in", "--dictionary en-fr=FILE --output"),
    ],
)
def test_a_missing_stream_says_what_to_run(data, asked, what, run):
    with pytest.raises(UserError, match=what) as caught:
        DataFolder.open(data).require(*asked)
    assert "xalign-preprocess binarize" in caught.value.remedy
    assert run in caught.value.remedy


def test_opening_reads_neither_text_nor_tokenizer(data):
    """What opening costs must not depend on the size of the data: no file but the manifest is opened."""
    program = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from fairseq_xalign.data.folder import DataFolder
DataFolder.open({str(data)!r})
print([name for name in opened if name.startswith({str(data)!r})])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([str(data / "manifest.json")])


# Folders of fairseq-preprocess


@pytest.fixture(scope="module")
def theirs(made):
    """What fairseq-preprocess makes of the same pieces."""
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    fairseq_folders(made, Tokenizer.load(made / "sub"))
    return made


@pytest.mark.parametrize(
    "name, kind, key",
    [("pair", "bitext", ("en", "de")), ("source", "mono", "en"), ("unnamed", "mono", "und"), ("folders", "mono", "de")],
)
def test_a_folder_of_fairseq_preprocess_opens_with_a_warning(theirs, name, kind, key):
    with pytest.warns(UserWarning, match="opened as a folder of fairseq-preprocess, read-only"):
        folder = DataFolder.open(theirs / name)
    assert folder.fairseq_mode
    assert folder.vocabulary_size == 90
    ours = DataFolder.open(theirs / "data").mono("train")
    found = folder.require(kind, "train")
    assert list(found) == [key]
    for language, mapped in [("de" if key == "und" else key, found[key])] if kind == "mono" else zip(key, found[key]):
        assert mapped.tokens.tolist() == ours[language].tokens.tolist()
        assert np.array_equal(mapped.sizes, ours[language].sizes)
    with pytest.raises(UserError, match="this data folder has no tokenizer"):
        folder.tokenizer  # noqa: B018


def test_a_folder_of_fairseq_preprocess_may_have_codes_with_hyphens(theirs, tmp_path):
    codes = {"en": "zh-TW", "de": "pt-BR"}
    for name in ("pair", "source", "folders"):
        shutil.copytree(theirs / name, tmp_path / name)
    for file in (tmp_path / "pair").glob("train.en-de.*"):
        _, _, language, ending = file.name.split(".")
        file.rename(file.with_name(f"train.zh-TW-pt-BR.{codes[language]}.{ending}"))
    for file in (tmp_path / "source").glob("train.en-None.*"):
        file.rename(file.with_name(file.name.replace("en", "zh-TW").replace("traizh-TW", "train")))
    (tmp_path / "folders/de").rename(tmp_path / "folders/pt-BR")
    with pytest.warns(UserWarning, match="opened as a folder of fairseq-preprocess"):
        assert list(DataFolder.open(tmp_path / "pair").bitext("train")) == [("zh-TW", "pt-BR")]
        assert list(DataFolder.open(tmp_path / "source").mono("train")) == ["zh-TW"]
        assert list(DataFolder.open(tmp_path / "folders").mono("train")) == ["pt-BR"]
    for file in (tmp_path / "pair").glob("train.*.pt-BR.*"):
        file.unlink()
    with pytest.raises(UserError, match=r"train\.zh-TW-pt-BR has only one side"):
        DataFolder.open(tmp_path / "pair")


def test_a_folder_of_fairseq_preprocess_whose_vocabulary_is_not_in_our_order_is_refused(theirs, tmp_path):
    fairseq_preprocess("--only-source", "--trainpref", theirs / "pieces.de", "--destdir", tmp_path / "other")
    with pytest.raises(UserError, match=r"dict\.txt:1: the first symbol is .* not <mask>"):
        DataFolder.open(tmp_path / "other")


def test_a_folder_of_fairseq_preprocess_with_two_vocabularies_is_refused(theirs, tmp_path):
    shutil.copytree(theirs / "pair", tmp_path / "pair")
    with open(tmp_path / "pair/dict.de.txt", "a") as stream:
        stream.write("more 1\n")
    with pytest.raises(UserError, match=r"dict\.de\.txt and dict\.en\.txt differ.*--joined-dictionary"):
        DataFolder.open(tmp_path / "pair")


@pytest.mark.parametrize("index", [0, -1])
def test_a_folder_of_fairseq_preprocess_without_ends_of_sentences_is_refused(theirs, tmp_path, index):
    shutil.copytree(theirs / "pair", tmp_path / "pair")
    prefix = next((tmp_path / "pair").glob("train.*.de.bin")).with_suffix("")
    tokens = MappedTokens(prefix)
    ids = tokens.tokens.copy()
    ids[int(tokens.starts[index]) + int(tokens.sizes[index]) - 1] = 7
    ids.tofile(f"{prefix}.bin")
    said = rf"de\.bin: sentence {index % len(tokens)} does not end in </s>. Run fairseq-preprocess again"
    with pytest.raises(UserError, match=said):
        DataFolder.open(tmp_path / "pair")


@pytest.mark.parametrize(
    "lines, line, message",
    [
        (["<mask> 1", "a b c"], 2, "not of the form `symbol count`"),
        (["<mask> 1", "alone"], 2, "not of the form"),
        (["<mask> 1", "a 1", "a 2"], 3, "'a' is listed twice"),
        (["<mask> 1", "</s> 1"], 2, "'</s>' is listed twice"),
        (["a 1"], 1, "the first symbol is 'a', not <mask>"),
    ],
)
def test_a_dict_that_fairseq_would_read_otherwise_is_refused(tmp_path, lines, line, message):
    path = write_lines(tmp_path / "dict.txt", lines)
    with pytest.raises(UserError, match=message) as caught:
        read_dict(path)
    assert caught.value.line == line


def test_a_dict_is_read_as_fairseq_reads_it(made):
    from fairseq.data import Dictionary

    assert read_dict(made / "sub" / "dict.txt") == Dictionary.load(str(made / "sub" / "dict.txt")).symbols


def test_every_remedy_for_missing_text_is_possible(data):
    """A split that binarize does not know is no argument of a command; a known one is."""
    folder = DataFolder.open(data)
    with pytest.raises(UserError) as caught:
        folder.require("mono", "dev")
    remedy = caught.value.remedy
    assert "binarize" not in remedy and "change --train-subset or --valid-subset" in remedy
    assert "this folder has train" in remedy
    with pytest.raises(UserError, match="Run `xalign-preprocess binarize --subword .* --split test --output "):
        folder.require("mono", "test")


def test_text_is_not_added_to_a_read_only_folder_of_fairseqs(theirs):
    with pytest.warns(UserWarning, match="read-only"):
        folder = DataFolder.open(theirs / "pair")
    with pytest.raises(UserError) as caught:
        folder.require("bitext", "test")
    assert "Give a folder that has it" in caught.value.remedy and "--output" not in caught.value.remedy


def test_text_is_not_added_to_an_adopted_folder_without_a_tokenizer(data):
    (data / "subword.json").unlink()
    with pytest.raises(UserError) as caught:
        DataFolder.open(data).require("mono", "test")
    assert "Give a folder that has it" in caught.value.remedy
