"""``xalign-preprocess check``: every kind of damage is found and named, and a folder of fairseq's is adopted."""

import json
import shutil
import warnings

import numpy as np
import pytest
from fairseq.data import Dictionary

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.mmap import MappedTokens, Writer
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import check
from preprocess.__main__ import main
from tests.support.samples import fairseq_folders, raw_material


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    tokenizer = raw_material(root)
    options = ["--subword", f"{root}/sub", "--output", f"{root}/data", "--workers", "1", "--mono", f"en={root}/en"]
    pair = ["--bitext", f"en-de={root}/en,{root}/de", "--dictionary", f"en-de={root}/dictionary"]
    assert main(["binarize", *options, *pair]) == 0
    fairseq_folders(root, tokenizer)
    return root


@pytest.fixture
def data(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path / "data"


def problems(data, capsys, *options):
    """Run the command; its problems, after a look at the exit status and at what a person reads."""
    capsys.readouterr()
    status = main(["check", str(data), "--json", *options])
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert status == (1 if result["problems"] else 0)
    assert result["ok"] == (not result["problems"])
    assert captured.err.count("problem: ") == len(result["problems"])
    return [(str(p["where"]).removeprefix(f"{data}/"), p["what"]) for p in result["problems"]]


def rewrite(data, prefix, items, dtype=np.uint16):
    """Other items under a name, which the manifest then describes."""
    with Writer(data / prefix, dtype) as writer:
        for item in items:
            writer.write(item)
    manifest = json.loads((data / "manifest.json").read_text())
    for stream in manifest["streams"]:
        for part, about in writer.files.items():
            if f"{prefix}{part}" in stream["files"]:
                stream["files"][f"{prefix}{part}"] = about
                stream.pop("lengths", None)
                if stream["kind"] == "mono":
                    flat = [i for item in items for i in item]
                    stream |= {"sentences": len(items), "tokens": len(flat), "unknown": flat.count(3)}
                    stream["longest"] = max(map(len, items))
    (data / "manifest.json").write_text(json.dumps(manifest))


def test_a_sound_folder_has_no_problem(data, capsys):
    assert problems(data, capsys) == []
    assert main(["check", str(data)]) == 0
    assert "3 streams, no problem" in capsys.readouterr().err


def flip(data):
    raw = bytearray((data / "mono/train.en.bin").read_bytes())
    raw[0] ^= 1
    (data / "mono/train.en.bin").write_bytes(raw)


def swap_index(data):
    """The same sizes, two places exchanged."""
    path = data / "mono/train.en.idx"
    raw = bytearray(path.read_bytes())
    places = np.frombuffer(raw, dtype=np.int64, offset=26 + 4 * 50)
    places[[3, 4]] = places[[4, 3]]
    path.write_bytes(raw)
    describe(data, "mono/train.en.idx")


def describe(data, name):
    """Make the manifest agree with a file."""
    manifest = json.loads((data / "manifest.json").read_text())
    for stream in manifest["streams"]:
        if name in stream["files"]:
            stream["files"][name] = {"size": (data / name).stat().st_size, "sha256": sha256(data / name)}
    (data / "manifest.json").write_text(json.dumps(manifest))


def append(data, name, text):
    with open(data / name, "a") as stream:
        stream.write(text)


def unknown_entry(data):
    append(data, "dictionary/en-de.tsv", "nowhere\tnowhere\t1\n")
    describe(data, "dictionary/en-de.tsv")


def shorten(data):
    rewrite(
        data, "bitext/train.en-de.de", [item.tolist() for item in MappedTokens(data / "bitext/train.en-de.de")][:-1]
    )


def recount(data):
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["streams"][0]["unknown"] += 1
    manifest["streams"][1]["longest"][1] += 1
    (data / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage, where, what",
    [
        (
            lambda d: (d / "mono/train.en.bin").write_bytes(b"x"),
            "mono/train.en.bin",
            "1 bytes long, but manifest.json says",
        ),
        (
            lambda d: (d / "bitext/train.en-de.en.idx").unlink(),
            "bitext/train.en-de.en.idx",
            "missing, although manifest.json lists it",
        ),
        (flip, "mono/train.en.bin", "its checksum is not the one in manifest.json"),
        (
            lambda d: rewrite(d, "mono/train.en", [[5, 2], [6, 90, 2], [7, 2]]),
            "mono/train.en.bin",
            "item 1 has id 90, but the",
        ),
        (lambda d: rewrite(d, "mono/train.en", [[-1, 2]], np.int32), "mono/train.en.bin", "item 0 has id -1, but the"),
        (
            lambda d: rewrite(d, "mono/train.en", [[5, 2], [6, 7], [8]]),
            "mono/train.en.bin",
            "item 1 does not end with </s>",
        ),
        (lambda d: rewrite(d, "mono/train.en", [[5, 2], []]), "mono/train.en.bin", "item 1 does not end with </s>"),
        (swap_index, "mono/train.en.idx", "item 3 does not begin where the one before it ends"),
        (unknown_entry, "dictionary/en-de.tsv", "piece 'nowhere' is not in the vocabulary"),
        (lambda d: append(d, "dict.txt", "more 1\n"), "dict.txt", "has 91 ids, but manifest.json says 90"),
        (lambda d: (d / "dict.txt").unlink(), "dict.txt", "missing, although subword.json names it"),
        (lambda d: (d / "subword.json").unlink(), "", "not a subword folder"),
    ],
)
def test_damage_is_named_with_its_file(data, capsys, damage, where, what):
    damage(data)
    found = problems(data, capsys)
    assert any(at.endswith(where) and said.startswith(what) for at, said in found), found


def test_one_fault_is_one_problem(data, capsys):
    rewrite(data, "mono/train.en", [[5, 2], [6, 90, 2], [7, 95, 2]])
    assert [what for _, what in problems(data, capsys)] == ["item 1 has id 90, but the vocabulary ends at 89"]


@pytest.mark.parametrize("key", ["size", "sha256"])
@pytest.mark.parametrize("value", [[], {}, 1.5])
def test_a_manifest_with_values_of_other_types_is_a_problem(data, capsys, key, value):
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["streams"][0]["files"]["mono/train.en.bin"][key] = value
    (data / "manifest.json").write_text(json.dumps(manifest))
    [(where, what)] = problems(data, capsys)
    assert where == "manifest.json" and "damaged: " in what


@pytest.mark.parametrize("key", ["split", "sentences", "tokens", "longest", "unknown"])
def test_counts_that_are_no_numbers_are_a_problem(data, capsys, key):
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["streams"][0][key] = []
    (data / "manifest.json").write_text(json.dumps(manifest))
    [(where, what)] = problems(data, capsys)
    assert where == "manifest.json" and "damaged: " in what


def test_sides_of_different_length_are_found(data, capsys):
    shorten(data)
    assert "bitext train en-de has 50 and 49 sentences, which cannot be translations line by line" in [
        what for _, what in problems(data, capsys)
    ]


def test_counts_that_are_wrong_are_found(data, capsys):
    recount(data)
    assert [(where, what.split(" are ")[0]) for where, what in problems(data, capsys)] == [
        ("mono/train.en.idx", "unknown"),
        ("bitext/train.en-de.de.idx", "longest"),
    ]


def test_another_tokenizer_is_found(data, made, capsys, tmp_path):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    Tokenizer.load(made / "sub").doubled().save_into(data)
    found = problems(data, capsys)
    assert ("subword.json", "is another tokenizer than the one manifest.json names") in found
    assert ("dict.txt", "has 175 ids, but manifest.json says 90") in found


def test_a_newer_manifest_is_the_only_problem(data, capsys):
    manifest = json.loads((data / "manifest.json").read_text())
    (data / "manifest.json").write_text(json.dumps(manifest | {"format": 3}))
    assert [where for where, _ in problems(data, capsys)] == ["manifest.json"]


def test_counts_of_lengths_that_are_not_the_files_are_a_problem(data, capsys):
    manifest = json.loads((data / "manifest.json").read_text())
    mono, pair = (next(s for s in manifest["streams"] if s["kind"] == kind) for kind in ("mono", "bitext"))
    mono["lengths"] = LengthCounts(np.array([[3]]), np.array([mono["sentences"]])).encode()
    pair["lengths"] = LengthCounts(np.array([[3, 4]]), np.array([pair["sentences"]])).encode()
    (data / "manifest.json").write_text(json.dumps(manifest))
    assert [what for _, what in problems(data, capsys)] == [
        f"manifest.json has other counts of the lengths of {name} than its files"
        for name in ("mono train en", "bitext train en-de")
    ]


def test_items_are_looked_at_in_blocks_with_the_same_result(data, capsys, monkeypatch):
    monkeypatch.setattr(check, "ITEMS", 3)
    assert problems(data, capsys) == []
    rewrite(data, "mono/train.en", [*([[5, 6, 2]] * 10), [5, 90, 2], [5, 2], [6]])
    assert [what for _, what in problems(data, capsys)] == [
        "item 10 has id 90, but the vocabulary ends at 89",
        "item 12 does not end with </s>",
    ]


@pytest.mark.parametrize("name", ["pair", "source", "unnamed", "folders"])
def test_a_folder_of_fairseq_preprocess_is_adopted(made, tmp_path, capsys, name):
    data = tmp_path / name
    shutil.copytree(made / name, data)
    assert [what for _, what in problems(data, capsys)] == ["there is no manifest.json"]
    assert problems(data, capsys, "--write-manifest") == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = DataFolder.open(data)
    assert (folder.fairseq_mode, folder.manifest["tokenizer"]) == (False, None)
    assert problems(data, capsys) == []
    for file in ("subword.json", "spm.model"):
        shutil.copy(made / "sub" / file, data)
    assert problems(data, capsys, "--write-manifest") == []
    assert (
        DataFolder.open(data).tokenizer.sha256
        == json.loads((data / "manifest.json").read_text())["tokenizer"]["sha256"]
    )
    assert problems(data, capsys) == []
    assert [what for _, what in problems(data, capsys, "--write-manifest")] == ["has a manifest.json already"]
    if name == "pair":
        options = ["--subword", f"{made}/sub", "--output", str(data), "--mono", f"fr={made}/en", "--workers", "1"]
        assert main(["binarize", *options]) == 0
        assert problems(data, capsys) == []
        assert DataFolder.open(data).languages == ["en", "de", "fr"]


@pytest.fixture
def pair(made, tmp_path):
    """A folder of fairseq-preprocess with a tokenizer, not adopted yet, and the same without one."""
    data = tmp_path / "pair"
    shutil.copytree(made / "pair", data)
    for file in ("subword.json", "spm.model"):
        shutil.copy(made / "sub" / file, data)
    return data


def contents(data):
    return {str(file.relative_to(data)): file.read_bytes() for file in data.rglob("*") if file.is_file()}


def test_an_adopted_folder_with_bitext_has_language_tokens_after_all_other_ids(made, pair, capsys):
    before = contents(pair)
    assert problems(pair, capsys, "--write-manifest") == []
    assert problems(pair, capsys) == []
    folder, old = DataFolder.open(pair), Tokenizer.load(made / "sub")
    assert folder.tokenizer.symbols() == [*old.symbols(), "<2en>", "<2de>"]
    assert folder.vocabulary_size == len(folder.tokenizer) == len(old) + 2
    assert Dictionary.load(str(pair / "dict.txt")).symbols == folder.tokenizer.symbols()
    after = contents(pair)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"manifest.json", "subword.json", "dict.txt"}
    options = ["--output", str(pair), "--mono", f"fr={made}/en", "--workers", "1"]
    assert main(["binarize", "--subword", f"{made}/sub", *options]) == 0  # the vocabulary only grew
    assert problems(pair, capsys) == []
    assert DataFolder.open(pair).tokenizer.sha256 == folder.tokenizer.sha256


@pytest.mark.parametrize(("languages", "added"), [("none", []), ("zh-TW,de", ["<2zh-TW>", "<2de>"])])
def test_language_tokens_can_be_chosen(made, pair, capsys, languages, added):
    assert problems(pair, capsys, "--write-manifest", "--language-tokens", languages) == []
    assert DataFolder.open(pair).tokenizer.symbols() == [*Tokenizer.load(made / "sub").symbols(), *added]
    assert problems(pair, capsys) == []


def test_a_folder_of_ours_gets_language_tokens_only_when_asked(data, made, capsys):
    assert [what for _, what in problems(data, capsys, "--write-manifest")] == ["has a manifest.json already"]
    assert problems(data, capsys, "--write-manifest", "--language-tokens", "fr") == []
    assert DataFolder.open(data).tokenizer.symbols() == [*Tokenizer.load(made / "sub").symbols(), "<2fr>"]
    assert problems(data, capsys) == []


def test_tokens_need_write_manifest_and_a_tokenizer(made, tmp_path, capsys):
    with pytest.raises(UserError, match="Add --write-manifest"):
        check.check(made / "pair", language_tokens=["fr"])
    shutil.copytree(made / "pair", tmp_path / "pair")
    found = problems(tmp_path / "pair", capsys, "--write-manifest", "--language-tokens", "fr")
    assert [what for _, what in found] == ["--language-tokens: this folder has no tokenizer to add them to"]
    assert not (tmp_path / "pair" / "manifest.json").exists()


def test_a_folder_is_as_it_was_where_tokens_cannot_be_written(pair, monkeypatch):
    before = contents(pair)

    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(check, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        check.check(pair, write_manifest=True)
    assert contents(pair) == before


def test_a_folder_with_a_problem_is_not_adopted(made, tmp_path, capsys):
    data = tmp_path / "pair"
    shutil.copytree(made / "pair", data)
    with Writer(data / "train.en-de.en", np.uint16) as writer:
        for _ in range(50):
            writer.write([5, 99, 2])
    assert [what for _, what in problems(data, capsys, "--write-manifest")] == [
        "item 0 has id 99, but the vocabulary ends at 89"
    ]
    assert not (data / "manifest.json").exists()
    (data / "train.en-de.de.idx").unlink()
    assert "train.en-de has only one side" in problems(data, capsys, "--write-manifest")[0][1]


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("text\n", "utf-8")
    for name, message in (("nowhere", "no such data folder"), ("file", "is a file, not a folder")):
        assert main(["check", str(tmp_path / name)]) == 1
        said = capsys.readouterr().err
        assert f"{tmp_path / name}: {message}. Make it with" in said and said.count("\n") == 1


def test_a_check_is_a_function_that_returns_what_it_found(tmp_path):
    from preprocess.check import check

    (tmp_path / "empty").mkdir()
    report = check(tmp_path / "empty")
    assert report.problems and not report.written and report.streams == []
