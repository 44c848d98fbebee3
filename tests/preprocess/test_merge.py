"""``binarize --shard`` and ``merge``: parts that were binarized apart become the folder of a single run, bit by bit."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import binarize as binarize_module
from preprocess import merge as merge_module
from preprocess.__main__ import main
from preprocess.binarize import binarize
from preprocess.check import check
from preprocess.encoding import cut
from preprocess.merge import merge
from preprocess.parts import Part
from tests.support.samples import sentences, subword_folder, write_lines


@pytest.fixture(scope="module")
def subword(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("subword") / "sub"
    subword_folder(path)
    return path


@pytest.fixture
def texts(tmp_path) -> dict[str, Any]:
    """What ``binarize`` is given: 60 sentences in two languages, some of them empty or long."""
    for language in ("en", "de"):
        lines = sentences(language, 60)
        lines[7], lines[30 if language == "en" else 31], lines[59] = "", " ", " ".join(lines[:9])
        write_lines(tmp_path / f"text.{language}", lines)
    en, de = str(tmp_path / "text.en"), str(tmp_path / "text.de")
    return {"mono": [("en", en), ("de", de)], "bitext": [("en-de", (en, de))]}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def parts_of(folder: Path, subword: Path, of: int, **options: Any) -> list[Path]:
    """Binarize all parts of a corpus into ``folder``."""
    paths = [folder / f"part{number}" for number in range(1, of + 1)]
    for number, path in enumerate(paths, start=1):
        binarize(path, subword, shard=f"{number}/{of}", workers=1, **options)
    return paths


line = st.one_of(
    st.just(""), st.just(" "), st.lists(st.sampled_from("the walking house tree".split()), max_size=12).map(" ".join)
)


@settings(max_examples=12, deadline=None)
@given(
    of=st.integers(1, 7),
    lines=st.lists(st.tuples(line, line), min_size=1, max_size=30),
    chunk=st.sampled_from([1, 60, 1 << 20]),
)
def test_any_number_of_parts_of_any_text_become_the_very_bytes_of_a_single_run(subword, of, lines, chunk):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(binarize_module, "CHUNK_BYTES", chunk)
        patch.setattr(merge_module, "ITEMS", 3)
        en, de = (str(write_lines(folder / f"t.{side}", [pair[side] for pair in lines])) for side in (0, 1))
        asked = {"mono": [("en", en)], "bitext": [("en-de", (en, de))], "max_length": 9, "max_unknown": 1.0}
        shards = parts_of(folder, subword, of, **asked)
        try:
            binarize(folder / "whole", subword, workers=1, **asked)
        except UserError as error:  # nothing is left of the text
            with pytest.raises(UserError, match="no sentence of .* is in any part"):
                merge(shards, folder / "merged")
            assert "is left" in str(error)
            return
        merge(shards[::-1], folder / "merged")
        assert everything(folder / "merged") == everything(folder / "whole")
        DataFolder.open(folder / "merged")


def test_splits_dictionaries_and_compressed_text_come_together_too(tmp_path, subword, texts):
    symbols = [p for p in Tokenizer.load(subword).symbols()[5:] if p != "▁"]
    header = json.dumps({"source": "en", "target": "de", "pieces": "single"})
    dictionary = write_lines(
        tmp_path / "en-de.tsv",
        [f"#xalign-dictionary\t{header}", *(f"{a}\t{b}\t1" for a, b in zip(symbols, symbols[1:]))],
    )
    packed = tmp_path / "text.en.gz"
    packed.write_bytes(gzip.compress((tmp_path / "text.en").read_bytes()))
    first = {**texts, "mono": [("en", str(packed))], "dictionaries": [("en-de", str(dictionary))]}
    second = {"mono": texts["mono"], "split": "valid"}
    shards = parts_of(tmp_path, subword, 3, **first)
    assert parts_of(tmp_path, subword, 3, **second) == shards  # more text goes into the same parts
    for asked in (first, second):
        binarize(tmp_path / "whole", subword, workers=1, **asked)
    report = merge(shards, tmp_path / "merged")
    assert everything(tmp_path / "merged") == everything(tmp_path / "whole")
    assert check(tmp_path / "merged").problems == []
    assert len(report["streams"]) == 5 and report["parts"] == [str(path) for path in shards]


def test_a_part_that_was_binarized_again_gives_the_new_text(tmp_path, subword, texts):
    shards = parts_of(tmp_path, subword, 2, **texts)
    write_lines(tmp_path / "text.en", sentences("en", 60, seed=2))
    parts_of(tmp_path, subword, 2, **texts)
    binarize(tmp_path / "whole", subword, workers=1, **texts)
    merge(shards, tmp_path / "merged")
    assert everything(tmp_path / "merged") == everything(tmp_path / "whole")


def test_a_part_says_what_it_is_and_no_command_takes_it_for_the_whole(tmp_path, subword, texts):
    shard = parts_of(tmp_path, subword, 3, **texts)[1]
    manifest = json.loads((shard / "manifest.json").read_text("utf-8"))
    assert manifest["shard"] == {"number": 2, "of": 3}
    assert [stream["part"]["lines"] for stream in manifest["streams"]] == [[20, 40]] * 3
    assert check(shard).problems == []
    with pytest.raises(UserError, match="is part 2 of 3 of a corpus .* Join the parts with `xalign-preprocess merge"):
        DataFolder.open(shard)
    for options, message in (
        ({}, "is part 2 of 3, not a whole corpus"),
        ({"shard": "1/3"}, "is part 2 of 3, not part 1 of 3"),
    ):
        with pytest.raises(UserError, match=message):
            binarize(shard, subword, **texts, **options)


def test_commands_join_parts(tmp_path, subword, texts, capsys):
    shards = [str(tmp_path / f"part{number}") for number in (1, 2)]
    for number, shard in enumerate(shards, start=1):
        options = ["--mono", f"en={tmp_path / 'text.en'}", "--workers", "1", "--shard", f"{number}/2"]
        assert main(["binarize", "--subword", str(subword), "--output", shard, *options]) == 0
    assert main(["merge", *shards, "--output", str(tmp_path / "merged"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["streams"][0]["sentences"] == 58
    assert "mono train en: 58 sentences" in said.err and "1 stream of 2 parts" in said.err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_part_that_there_cannot_be_is_refused(tmp_path, subword, texts, shard):
    with pytest.raises(UserError, match=f"--shard {shard} is not a part of a whole. Write --shard 1/4"):
        binarize(tmp_path / "part", subword, shard=shard, **texts)
    assert not (tmp_path / "part").exists()


@pytest.fixture
def shards(tmp_path, subword, texts) -> list[Path]:
    return parts_of(tmp_path, subword, 3, **texts)


def refused(shards: Sequence[Path], output: Path, message: str) -> None:
    with pytest.raises(UserError, match=message):
        merge(shards, output)
    assert not output.exists() and not list(output.parent.glob(".*.partial"))


def test_missing_double_and_foreign_parts_are_named(tmp_path, subword, texts, shards):
    output = tmp_path / "merged"
    refused(shards[:1], output, "parts 2, 3 of 3 missing. .* `binarize --shard 2/3` makes part 2")
    shutil.copytree(shards[0], tmp_path / "copy")
    refused([*shards, tmp_path / "copy"], output, "copy: is part 1 of 3, and so is .*part1")
    binarize(tmp_path / "other", subword, shard="2/4", **texts)
    refused([*shards[:2], tmp_path / "other"], output, "other: is part 2 of 4, but .*part1 is one of 3")
    binarize(tmp_path / "whole", subword, **texts)
    refused([tmp_path / "whole", *shards], output, "whole: is a whole corpus, not a part of one")
    refused([tmp_path / "nothing"], output, "nothing: no such folder")


def test_parts_of_another_text_or_made_in_another_way_are_named(tmp_path, subword, texts, shards):
    output, again = tmp_path / "merged", tmp_path / "again"
    subword_folder(tmp_path / "sub2", 95)
    mono = {"mono": texts["mono"]}

    def other(**options: Any) -> list[Path]:
        shutil.rmtree(again, ignore_errors=True)
        binarize(again, options.pop("subword", subword), shard="3/3", **options)
        return [*shards[:2], again]

    refused(
        other(subword=tmp_path / "sub2", **texts),
        output,
        r"again: was made with another vocabulary \(95 symbols.*part1 \(90 symbols",
    )
    refused(other(**mono), output, "part1: has bitext train en-de, which .*again has not")
    refused(
        other(**texts, max_length=20), output, "again: mono train en was made with --max-length 20, but None in .*part1"
    )
    write_lines(tmp_path / "text.de", sentences("de", 60, seed=3))
    refused(other(**texts), output, "again: mono train de is a part of another text .60 lines, sha256 ")


def test_a_damaged_part_is_found_while_it_is_copied(tmp_path, shards):
    for name in ("mono/train.de.bin", "mono/train.de.idx"):
        file = shards[1] / name
        raw = file.read_bytes()
        file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        with pytest.raises(UserError, match=rf"part2/{name}: was changed or damaged|damaged"):
            merge(shards, tmp_path / "merged")
        file.write_bytes(raw)
    assert not (tmp_path / "merged").exists()
    (shards[2] / "mono/train.en.bin").unlink()
    with pytest.raises(UserError, match="part3/mono/train.en.bin: missing"):
        merge(shards, tmp_path / "merged")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["shard"], {"number": 1}),
        (["tokenizer"], None),
        (["streams", 0, "part"], None),
        (["streams", 0, "part", "sha256"], []),
        (["streams", 0, "dropped"], True),
        (["streams", 0, "unknown"], "x"),
        (["streams", 0, "files", "mono/train.en.bin"], {}),
    ],
)
def test_a_part_whose_manifest_is_damaged_is_named(tmp_path, shards, keys, value):
    file = shards[0] / "manifest.json"
    manifest = json.loads(file.read_text())
    *path, last = keys
    place = manifest
    for key in path:
        place = place[key]
    place[last] = value
    file.write_text(json.dumps(manifest))
    refused(shards, tmp_path / "M", "damaged: ")


def test_what_exists_is_not_replaced(tmp_path, shards):
    (tmp_path / "merged").mkdir()
    merge(shards, tmp_path / "merged")  # an empty folder is filled
    before = everything(tmp_path / "merged")
    with pytest.raises(UserError, match="merged: exists already"):
        merge(shards, tmp_path / "merged")
    assert everything(tmp_path / "merged") == before


def test_an_interrupted_merge_goes_on_where_it_stopped(tmp_path, subword, texts, shards, monkeypatch, capsys):
    join, joined = merge_module._join_texts, []

    def interrupted(sources: Any, update: Any) -> Any:
        joined.append(sources[0][1]["kind"])
        if len(joined) == 3:
            (update.staging / "bitext").mkdir()
            (update.staging / "bitext" / "half").write_bytes(b"half")
            raise KeyboardInterrupt
        return join(sources, update)

    monkeypatch.setattr(merge_module, "_join_texts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        merge(shards, tmp_path / "merged")
    staging = tmp_path / ".merged.partial"
    assert not (tmp_path / "merged").exists()
    kept = {f"mono/train.{language}.{part}" for language in ("en", "de") for part in ("bin", "idx")}
    assert set(everything(staging)) == kept | {"finished.json"}
    capsys.readouterr()
    merge(shards, tmp_path / "merged")
    assert "mono train de, mono train en: merged before the interruption" in capsys.readouterr().err
    assert joined == ["mono", "mono", "bitext", "bitext"] and not staging.exists()
    binarize(tmp_path / "whole", subword, workers=1, **texts)
    assert everything(tmp_path / "merged") == everything(tmp_path / "whole")


def test_what_was_merged_of_other_parts_is_not_taken(tmp_path, subword, texts, shards, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(merge_module.FolderUpdate, "commit", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            merge(shards, tmp_path / "merged")
    write_lines(tmp_path / "text.en", sentences("en", 60, seed=5))
    shards = parts_of(tmp_path / "again", subword, 2, **texts)
    merge(shards, tmp_path / "merged")
    binarize(tmp_path / "whole", subword, workers=1, **texts)
    assert everything(tmp_path / "merged") == everything(tmp_path / "whole")


def test_the_lines_of_all_parts_are_the_text(tmp_path):
    path = str(write_lines(tmp_path / "text", [str(number) for number in range(23)]))
    for of in (1, 2, 7, 23, 30):
        bounds = [Part(number, of).lines(23) for number in range(1, of + 1)]
        assert [b[0] for b in bounds[1:]] == [b[1] for b in bounds[:-1]] and (bounds[0][0], bounds[-1][1]) == (0, 23)
        chunks = [chunk for lines in bounds for chunk in cut([path], 7, lines)]
        assert [chunk.first_line for chunk in chunks] == [
            1 + sum(c.lines for c in chunks[:i]) for i in range(len(chunks))
        ]
        raw = Path(path).read_bytes()
        assert b"".join(raw[slice(*chunk.parts[0])] for chunk in chunks) == raw
