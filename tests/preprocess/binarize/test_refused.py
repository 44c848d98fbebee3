"""``xalign-preprocess binarize``: what is refused, and that nothing is written then."""

import pytest

from preprocess import binarize
from preprocess.__main__ import main
from tests.support.binarizing import everything, run
from tests.support.samples import sentences, subword_folder, write_lines


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "bad, message",
    [(b"caf\xe9", "invalid UTF-8 at byte 3 of the line"), (b"a\0b", "a NUL byte")],
    ids=["Latin-1", "NUL"],
)
def test_a_bad_line_is_named_with_its_file_and_number(texts, subword, monkeypatch, capsys, bad, message, workers):
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    raw = (texts / "text.de").read_bytes().split(b"\n")
    raw[249] = bad
    (texts / "text.de").write_bytes(b"\n".join(raw))
    pair = f"en-de={texts}/text.en,{texts}/text.de"
    assert run(subword, texts / "data", "--bitext", pair, workers=workers) == 1
    assert f"{texts}/text.de:250: {message}" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]


def test_text_the_tokenizer_fails_on_is_named(texts, subword, monkeypatch, capsys):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    encode = Tokenizer.encode
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(Tokenizer, "encode", lambda self, text: encode(self, text) if "Ω" not in text else 1 / 0)
    write_lines(texts / "text.en", [*sentences("en", 100), "Ω"])
    assert run(subword, texts / "data", "--mono", f"en={texts}/text.en") == 1
    assert f"{texts}/text.en:101: the tokenizer fails on this line: ZeroDivisionError" in capsys.readouterr().err


def test_files_of_different_length_are_refused_before_anything_is_written(texts, subword, capsys):
    write_lines(texts / "text.de", sentences("de", 299))
    assert run(subword, texts / "data", "--bitext", f"en-de={texts}/text.en,{texts}/text.de") == 1
    assert f"{texts}/text.en has 300 lines, but {texts}/text.de has 299" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]


def test_too_much_unknown_text_is_refused_with_the_ten_worst_pieces(tmp_path, subword, capsys):
    greek = [chr(ord("α") + n) for n in range(12)]
    lines = [f"the {' '.join(greek[n:])} tree" for n in range(12) for _ in range(3)]
    text, fine = write_lines(tmp_path / "a", lines), write_lines(tmp_path / "b", sentences("de", 20))
    options = ["--mono", f"en={text}", "--mono", f"de={fine}"]
    assert run(subword, tmp_path / "data", *options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    worst = [f"{character} ({3 * (n + 1)})" for n, character in enumerate(greek)][:1:-1]
    assert "of en in mono train en" in message
    assert f"most often {', '.join(worst)}. At most 5.0% may be" in message
    assert "of de" not in message
    assert not (tmp_path / "data").exists()
    assert run(subword, tmp_path / "data", *options, "--max-unknown", "0.9") == 0


def test_another_vocabulary_is_refused_and_both_are_named(texts, subword, tmp_path_factory, capsys):
    other = tmp_path_factory.mktemp("other") / "sub"
    subword_folder(other, pieces=80)
    assert run(subword, texts / "data", "--mono", f"en={texts}/text.en") == 0
    before = everything(texts / "data")
    assert run(other, texts / "data", "--mono", f"de={texts}/text.de") == 1
    message = capsys.readouterr().err
    assert "(90 symbols" in message
    assert f"than {other} (80 symbols" in message
    assert everything(texts / "data") == before


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "nothing to binarize"),
        (["--mono", "en"], "not of the form NAME=VALUE"),
        (["--mono", "zh--Hans=FILE"], "--mono 'zh--Hans' is not a language code"),
        (["--mono", "1a=FILE"], "--mono '1a' is not a language code"),
        (["--mono", "a.b=FILE"], "--mono 'a.b' is not a language code"),
        (["--mono", "en=nowhere"], "nowhere: No such file"),
        (["--mono", "en=FILE", "--mono", "en=FILE"], "mono train en is given twice"),
        (["--bitext", "en-de=FILE"], "does not name two files"),
        (["--bitext", "en=FILE,FILE"], "not a pair of two languages"),
        (["--bitext", "en-en=FILE,FILE"], "not a pair of two languages"),
        (["--bitext", "en-de-fr=FILE,FILE"], "can be split in several ways. Write en:de-fr or en-de:fr"),
        (["--mono", "zh-TW=FILE", "--bitext", "zh-TW=FILE,FILE"], "'zh-TW' is one language here, not a pair"),
        (["--mono", "en=EMPTY"], "no sentence of mono train en is left: 2 lines, dropped 2 empty"),
        (["--mono", "en=FILE", "--workers", "0"], "--workers 0"),
        (["--mono", "en=FILE", "--max-unknown", "5"], "--max-unknown 5.0 is not a share"),
        (["--mono", "en=FILE", "--max-length", "1"], "--max-length 1 is too small. Choose 2 or more"),
        (["--dictionary", "en-de=FILE"], "not a dictionary of ours"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(texts, subword, capsys, options, message):
    write_lines(texts / "empty", ["", " "])
    options = [o.replace("FILE", f"{texts}/text.en").replace("EMPTY", f"{texts}/empty") for o in options]
    assert main(["binarize", "--subword", str(subword), "--output", str(texts / "data"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(p.name for p in texts.iterdir()) == ["empty", "text.de", "text.en"]


def test_a_folder_that_is_not_a_data_folder_is_left_alone(texts, subword, capsys):
    assert run(subword, texts, "--mono", f"en={texts}/text.en") == 1
    assert "not a data folder of ours" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]
