"""Word links in a data folder: written beside the pairs, merged, checked, replaced with them, refused where wrong."""

import json
import random

import pytest

from fairseq_xalign.constants import MANIFEST_FILE
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.shards import open_folder
from fairseq_xalign.data.words import split_words
from fairseq_xalign.errors import UserError
from preprocess import encoding
from preprocess.binarize import binarize
from preprocess.check import check
from preprocess.link_files import note_of, write_note
from preprocess.merge import merge
from tests.support.samples import raw_material, write_lines


def word_links(root, seed=1):
    """A link from every source word, to a random word of the target; the first words are always linked."""
    draw, lines = random.Random(seed), []
    for one, other in zip(*((root / name).read_text("utf-8").splitlines() for name in ("en", "de"))):
        lengths = [len(split_words(text)) for text in (one, other)]
        links = sorted({(0, 0), *((i, draw.randrange(lengths[1])) for i in range(1, lengths[0]))})
        lines.append(" ".join(f"{s}-{t}" for s, t in links))
    return lines


@pytest.fixture
def material(tmp_path):
    """A subword folder, two texts of 50 lines and links between their words."""
    raw_material(tmp_path)
    lines = word_links(tmp_path)
    lines[7] = ""
    write_lines(tmp_path / "links", lines)
    return tmp_path


def make(root, output="data", **changes):
    options = {"bitext": [("en-de", (str(root / "en"), str(root / "de")))], "links": [("en-de", str(root / "links"))]}
    return binarize(root / output, root / "sub", workers=1, **(options | changes))


def read_links(folder, pair=("en", "de")):
    return [item.reshape(-1, 2).tolist() for item in DataFolder.open(folder).links("train")[pair]]


def test_each_pair_has_the_links_of_its_words_between_its_pieces(material):
    report = make(material)
    folder = DataFolder.open(material / "data")
    sides, tokenizer = folder.bitext("train")["en", "de"], folder.tokenizer
    lines = (material / "links").read_text("utf-8").splitlines()
    texts = [(material / name).read_text("utf-8").splitlines() for name in ("en", "de")]
    compared = 0
    for number, links in enumerate(read_links(material / "data")):
        pieces = []  # by word: the places of its pieces, found by encoding ever longer beginnings of the line
        for text in (texts[0][number], texts[1][number]):
            *words, _ = split_words(text)
            ends = [len(tokenizer.encode(" ".join(words[: n + 1]))) for n in range(len(words))]
            if tokenizer.encode(text)[: ends[-1]] != tokenizer.encode(" ".join(words)):
                break  # the full stop has joined the last word: the other test has this case
            whole = len(tokenizer.encode(text))
            pieces.append([range(a, b) for a, b in zip([0, *ends], [*ends, whole])])
        else:
            words = [tuple(map(int, link.split("-"))) for link in lines[number].split()]
            expected = {(i, j) for s, t in words for i in pieces[0][s] for j in pieces[1][t]}
            assert list(map(tuple, links)) == sorted(expected)
            compared += 1
        assert all(i < len(sides[0][number]) - 1 and j < len(sides[1][number]) - 1 for i, j in links)
    assert compared > 10
    about = folder.manifest["streams"][0]["links"]
    assert (about["pieces"], about["words"], about["without"]) == ("all", "split", 1)
    assert about["count"] == sum(map(len, read_links(material / "data"))) == report["streams"][0]["links"]["count"]
    assert folder.manifest["format"] == 2 and not check(material / "data").problems


def test_a_folder_without_links_keeps_its_format_and_bytes(material):
    make(material, "plain", links=())
    make(material, "linked")
    plain, linked = (json.loads((material / name / MANIFEST_FILE).read_text("utf-8")) for name in ("plain", "linked"))
    assert plain["format"] == 1 and "links" not in plain["streams"][0]
    files = plain["streams"][0]["files"]
    assert files.items() <= linked["streams"][0]["files"].items()
    assert DataFolder.open(material / "plain").links("train") == {}
    texts = [
        DataFolder.open(material / name).checksum(["bitext"], "train", ["en", "de"]) for name in ("plain", "linked")
    ]
    assert texts[0] == texts[1]  # runs that read no links go on


def test_links_come_and_go_with_their_bitext(material):
    make(material, links=())
    make(material)
    assert len(read_links(material / "data")) == 50
    before = set((material / "data").rglob("links/*"))
    make(material, link_pieces="first")
    assert before and not before & set((material / "data").rglob("links/*"))
    make(material, links=())
    folder = DataFolder.open(material / "data")
    assert folder.links("train") == {} and folder.manifest["format"] == 1
    assert not list((material / "data").rglob("links/*"))


def test_pairs_that_are_dropped_take_their_links_with_them(material):
    make(material, "all")
    texts = {name: (material / name).read_text("utf-8").splitlines() for name in ("en", "de")}
    lines = (material / "links").read_text("utf-8").splitlines()
    texts["en"][3], lines[3] = "", ""
    for name, rows in (*texts.items(), ("links", lines)):
        write_lines(material / name, rows)
    make(material, "fewer")
    expected = read_links(material / "all")
    assert read_links(material / "fewer") == expected[:3] + expected[4:]


def test_parts_merge_into_the_folder_of_a_single_run(material, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK_BYTES", 300)
    make(material)
    for number in (1, 2, 3):
        make(material, f"part{number}", shard=f"{number}/3")
    merge([material / f"part{n}" for n in (2, 3, 1)], material / "merged")
    for name in ("data", "merged"):
        assert not check(material / name).problems
    manifests = [(material / name / MANIFEST_FILE).read_text("utf-8") for name in ("data", "merged")]
    one, other = (json.loads(text) for text in manifests)
    assert one == other
    make(material, "other", shard="3/3", link_pieces="first")
    with pytest.raises(UserError, match="was made with other links"):
        merge([material / "part1", material / "part2", material / "other"], material / "wrong")


def test_several_folders_are_read_as_one(material):
    make(material, "a")
    make(material, "b", link_pieces="first")
    make(material, "c", links=())
    joined = open_folder(f"{material / 'a'}:{material / 'b'}").links("train")["en", "de"]
    flat, lengths = joined.gather([60, 3])
    links = [flat[: lengths[0]].reshape(-1, 2).tolist(), flat[lengths[0] :].reshape(-1, 2).tolist()]
    assert links == [read_links(material / "b")[10], read_links(material / "a")[3]]
    assert open_folder(f"{material / 'a'}:{material / 'c'}").links("train") == {}


def test_check_finds_links_to_pieces_that_are_not_there(material):
    make(material)
    file = next((material / "data" / "links").glob("*.bin"))
    raw = bytearray(file.read_bytes())
    raw[2:4] = b"\xff\xff"
    file.write_bytes(raw)
    problems = [str(problem) for problem in check(material / "data").problems]
    assert any("checksum" in problem for problem in problems)
    assert any("item 0 links a piece that its sentence does not have" in problem for problem in problems)


def refused(material, **changes):
    with pytest.raises(UserError) as caught:
        make(material, **changes)
    assert not (material / "data").exists()
    return str(caught.value)


def test_links_that_cannot_be_meant_are_refused_before_anything_is_written(material):
    lines = word_links(material)

    def write(rows):
        write_lines(material / "links", rows)

    write(lines[:-1])
    assert "has 49 lines of links, but bitext train en-de has 50 pairs" in refused(material)
    one_more = [" ".join("-".join(str(int(n) + 1) for n in link.split("-")) for link in line.split()) for line in lines]
    write(one_more)
    assert "links:1" in (said := refused(material)) and "seem to count from 1" in said
    write(["1-1 2-2 3-3"] * 50)  # every sentence has three words and a full stop
    assert "is of a first word (0)" in (said := refused(material)) and "subtract 1" in said
    write([*lines[:20], lines[20] + " 0-99", *lines[21:]])
    assert "links:21" in (said := refused(material)) and "the link 0-99" in said
    write(["0:0", *lines[1:]])
    assert "links:1" in (said := refused(material)) and "is not a link" in said
    write([""] * 50)
    assert "every line is empty" in refused(material)
    write(lines)
    assert "has no --bitext de-en beside it" in refused(material, links=[("de-en", str(material / "links"))])
    assert "given twice" in refused(material, links=[("en-de", str(material / "links"))] * 2)
    assert "Known: all, first, last, in-order" in refused(material, link_pieces="every")


def test_sides_that_are_swapped_are_found_where_a_link_does_not_fit(material):
    write_lines(material / "en", ["a b c d"] * 50)
    write_lines(material / "de", ["a b"] * 50)
    write_lines(material / "links", ["0-0 1-1"] * 20 + ["0-0 1-3"] * 30)
    assert "links:21" in (said := refused(material)) and "swap the numbers" in said


def test_what_was_noted_beside_links_decides_how_they_are_read(material):
    texts = str(material / "en"), str(material / "de")
    write_lines(material / "links", ["0-0"] * 50)
    write_note(material / "links", "space", texts)
    make(material, "noted")
    assert DataFolder.open(material / "noted").manifest["streams"][0]["links"]["words"] == "space"
    assert "counted with --words space" in refused(material, link_words="split")
    write_note(material / "links", "split", texts[::-1])
    assert "swap the numbers" in refused(material)
    write_note(material / "links", "split", (texts[0], texts[0]))
    assert "whose text is not that of" in refused(material)
    write_lines(material / "links", ["0-0 1-1"] * 50)  # by another program: the note is of other links
    assert note_of(material / "links").exists()
    make(material, "unnoted")
