"""The parallel corpora of the papers, read from small archives in the true forms."""

import bz2
import gzip
import io
import json
import tarfile
import zipfile

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE
from preprocess.fetch import fetch

ENGLISH = [f"Number {n} of the {'abcdefghij'[n % 10] * (n + 1)} sentences." for n in range(40)]
OTHER = [f"Satz {n}." for n in range(40)]


def text(lines):
    return "".join(f"{line}\n" for line in lines)


def lines(path):
    return path.read_text("utf-8").splitlines()


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def make_opus(folder, name):
    corpus = {"europarl": "Europarl", "multiun": "MultiUN", "eubookshop": "EUbookshop"}[name.split("-")[0]]
    target = name.rsplit("-", 1)[1]
    pair = "-".join(sorted(("en", target)))
    write_zip(folder / f"{corpus}.{pair}.txt.zip", {
        "README": "x", f"{corpus}.{pair}.en": text(ENGLISH), f"{corpus}.{pair}.{target}": text(OTHER),
    })  # fmt: skip


def make_iitb(folder, name):
    with tarfile.open(folder / "parallel.tgz", "w:gz") as archive:
        for side, lines in (("hi", OTHER), ("en", ENGLISH)):
            data, about = text(lines).encode(), tarfile.TarInfo(f"parallel/IITB.en-hi.{side}")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))


def make_chinese(folder, name):
    rows = [json.dumps({"english": e, "chinese": o}) for e, o in zip(ENGLISH, OTHER)]
    write_zip(folder / "translation2019zh.zip", {"translation2019zh_train.json": text(rows)})


def make_wikimatrix(folder, name):
    pair = "-".join(sorted(("en", name.rsplit("-", 1)[1])))
    sides = (ENGLISH, OTHER) if pair.startswith("en") else (OTHER, ENGLISH)
    rows = [f"1.1\t{a}\t{b}" for a, b in zip(*sides)] + ["1.04\tx\ty"]
    (folder / f"WikiMatrix.{pair}.tsv.gz").write_bytes(gzip.compress(text(rows).encode()))


def make_tatoeba(folder, name):
    code = {"ar": "ara", "hi": "hin", "ja": "jpn"}[name.rsplit("-", 1)[1]]
    rows = {
        "eng_sentences": [f"{n}\teng\t{line}" for n, line in enumerate(ENGLISH)],
        f"{code}_sentences": [f"{100 + n}\t{code}\t{line}" for n, line in enumerate(OTHER)],
        f"eng-{code}_links": [f"{n}\t{100 + n}" for n in range(40)],
    }
    for file, lines in rows.items():
        (folder / f"{file}.tsv.bz2").write_bytes(bz2.compress(text(lines).encode()))


def make_wikidata(folder, name):
    def value(language, word):
        return {language: {"language": language, "value": word}}

    rows = [
        json.dumps({"labels": value("en", e) | value("ja", o), "descriptions": value("en", "d") | value("ja", "d")})
        for e, o in zip(ENGLISH, OTHER)
    ]
    (folder / "latest-all.json.gz").write_bytes(gzip.compress(("[\n" + ",\n".join(rows) + "\n]\n").encode()))


MAKERS = {
    "europarl-en-de": make_opus, "europarl-en-bg": make_opus, "multiun-en-zh": make_opus, "eubookshop-en-bg": make_opus,
    "iitb-en-hi": make_iitb, "translation2019zh": make_chinese, "wikimatrix-en-ar": make_wikimatrix,
    "wikimatrix-en-hi": make_wikimatrix, "tatoeba-en-ja": make_tatoeba, "wikidata": make_wikidata,
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_a_corpus_becomes_parallel_files_whose_archives_are_told_by_their_checksums(tmp_path, capsys, name):
    source, cache = tmp_path / "source", tmp_path / "cache"
    source.mkdir()
    MAKERS[name](source, name)
    folder = fetch(name, cache, source)
    targets = CORPORA[name].languages[1:]
    target = "ja" if name == "wikidata" else targets[-1]
    pairs = []
    for split in ("train", "valid", "test"):
        sides = [
            (folder / f"{split}.en-{target}.{side}.txt").read_text("utf-8").splitlines() for side in ("en", target)
        ]
        pairs += list(zip(*sides, strict=True))
    more = " d" if name == "wikidata" else ""
    assert sorted(pairs) == sorted((e + more, o + more) for e, o in zip(ENGLISH, OTHER))
    about = json.loads((folder / CORPUS_FILE).read_text("utf-8"))
    assert about["taken"] == {file.name: sha256(file) for file in source.iterdir()}
    said = capsys.readouterr().err
    assert all(digest in said for digest in about["taken"].values())
    assert CORPORA[name].state(folder) == "ready" and fetch(name, cache) == folder


@pytest.mark.parametrize("name", ["europarl-en-de", "iitb-en-hi"])
def test_sides_of_different_length_and_missing_files_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(f"{__name__}.OTHER", OTHER[:-1])
    MAKERS[name](tmp_path, name)
    with pytest.raises(UserError, match="different numbers of lines: one ends after 39"):
        fetch(name, tmp_path / "cache", tmp_path)
    assert not (tmp_path / "cache" / name).exists()


def test_an_archive_without_the_files_is_refused(tmp_path):
    write_zip(tmp_path / "Europarl.de-en.txt.zip", {"Europarl.de-en.en": "x\n"})
    with pytest.raises(UserError, match=r"has no Europarl\.de-en\.de"):
        fetch("europarl-en-de", tmp_path / "cache", tmp_path)


def test_what_only_a_browser_can_download_says_so(tmp_path):
    with pytest.raises(UserError, match="with a browser only") as caught:
        fetch("translation2019zh", tmp_path / "cache")
    assert "--from" in caught.value.remedy
    with pytest.raises(UserError, match="a browser, from https://drive") as caught:
        fetch("translation2019zh", tmp_path / "cache", tmp_path)


def test_near_repetitions_of_an_english_sentence_share_a_split(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ENGLISH", [f"{'Go' if n % 2 else 'go'} home, {n}!" for n in range(40)])
    make_tatoeba(tmp_path, "tatoeba-en-hi")
    folder = fetch("tatoeba-en-hi", tmp_path / "cache", tmp_path)
    sizes = [
        len((folder / f"{split}.en-hi.en.txt").read_text("utf-8").splitlines()) for split in ("train", "valid", "test")
    ]
    assert sorted(sizes) == [0, 0, 40]
