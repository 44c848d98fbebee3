"""``xalign-preprocess bitext``: which pairs are left out, counted, and that workers, pipes and order change nothing."""

import gzip
import json

import pytest

from preprocess import bitext
from preprocess.__main__ import main
from tests.support.samples import subword_folder, write_lines

LONG = " ".join(["walking"] * 12)


class Words:
    """A tokenizer whose pieces are words."""

    def encode(self, text):
        return [len(word) for word in text.split() if word != "-"]


@pytest.fixture
def words(monkeypatch):
    monkeypatch.setattr(bitext, "load_tokenizer", lambda folder: Words())


def numbered(count, side="x"):
    return " ".join(f"{side}{i}" for i in range(count))


def run(tmp_path, pairs, *options, output="out", languages=("en", "de")):
    """The exit status, and the lines of both outputs."""
    files = [write_lines(tmp_path / f"in.{side}", [pair[i] for pair in pairs]) for i, side in enumerate("xy")]
    arguments = ["--source", f"{languages[0]}={files[0]}", "--target", f"{languages[1]}={files[1]}",
                 "--subword", "SUB", "--output", str(tmp_path / output), "--workers", "1", *options]  # fmt: skip
    status = main(["bitext", *arguments])
    results = [tmp_path / f"{output}.{language}" for language in languages]
    return status, [file.read_text("utf-8").splitlines() if file.exists() else None for file in results]


def pair(first, second=None, names="xy"):
    return numbered(first, names[0]), numbered(first if second is None else second, names[1])


def test_the_papers_limits_are_at_least_10_pieces_a_side_and_at_most_128_together(words, tmp_path, capsys):
    pairs = [pair(9), pair(10), pair(9, 50), pair(50, 9), pair(64), pair(64, 65), pair(118, 10), pair(119, 10)]
    status, (first, second) = run(tmp_path, pairs, "--json")
    kept = [pairs[i] for i in (1, 4, 6)]
    assert status == 0 and list(zip(first, second)) == kept
    report = json.loads(capsys.readouterr().out)
    assert (report["pairs"], report["read"], report["kept"]) == (8, 8, 3)
    assert report["dropped"] == {"short": 3, "long": 2}


def test_empty_sides_and_repeated_pairs_are_left_out_and_counted(words, tmp_path, capsys):
    good, other = pair(10), pair(10, names="ab")
    pairs = [good, ("", good[1]), (good[0], " \t"), ("- -", "- -"), good, (good[0], other[1]), other, good]
    assert run(tmp_path, pairs) == (0, [[good[0], good[0], other[0]], [good[1], other[1], other[1]]])
    said = capsys.readouterr().err
    assert "3 pairs of 8 read; left out: 3 with an empty side, 2 that came before" in said
    status, (first, _) = run(tmp_path, pairs, "--duplicates", "keep")
    assert status == 0 and len(first) == 5


def test_the_first_pairs_are_those_that_remain_and_nothing_after_them_is_counted(words, tmp_path, capsys):
    pairs = [pair(9), *(pair(10 + i) for i in range(6)), pair(9)]
    _, (first, _) = run(tmp_path, pairs, "--first", "3", "--json")
    report = json.loads(capsys.readouterr().out)
    assert first == [pairs[i][0] for i in (1, 2, 3)] and (report["read"], report["dropped"]) == (4, {"short": 1})
    _, (first, _) = run(tmp_path, pairs, "--read", "3")
    assert first == [pairs[i][0] for i in (1, 2)], "the other reading of `the first N pairs`"
    run(tmp_path, pairs, "--first", "7")
    assert "fewer than --first 7: the corpus has no more" in capsys.readouterr().err
    run(tmp_path, pairs, "--first", "7", "--read", "3")
    assert "fewer than --first 7: --read 3 looks at no more" in capsys.readouterr().err


def test_lines_are_written_as_they_are_read(words, tmp_path):
    pairs = [(f"  {LONG}\u2028x", f"{LONG} \u00a0"), pair(10)]
    assert run(tmp_path, pairs)[0] == 0
    text = (tmp_path / "out.en").read_text("utf-8")
    assert text == pairs[0][0] + "\n" + pairs[1][0] + "\n" and (tmp_path / "out.de").read_text("utf-8").startswith(LONG)


def test_a_side_in_the_other_sides_language_is_left_out(words, tmp_path, capsys):
    english, german = (
        "This is the house that was built by the old man .",
        "Dies ist das Haus , das der alte Mann gebaut hat .",
    )
    pairs = [
        (english, german),
        (english + " And so on .", english),
        (german, german + " Und so weiter ."),
        ("1 " * 12, "2 " * 12),
    ]
    status, (first, _) = run(tmp_path, pairs, "--check-language")
    assert status == 0 and first == [english, "1 " * 12]
    assert "2 in another language" in capsys.readouterr().err


def test_workers_and_compression_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(bitext, "CHUNK_BYTES", 300)
    tokenizer = subword_folder(tmp_path / "sub")
    text = [" ".join(["walking house tree"] * (1 + i % 9)) + f" {i}" for i in range(120)]
    plain = [write_lines(tmp_path / name, text) for name in ("a", "b")]
    packed = []
    for file in plain:
        packed.append(file.with_suffix(".gz"))
        packed[-1].write_bytes(gzip.compress(file.read_bytes()))
    results = []
    for name, (source, target), workers in (("one", plain, 1), ("two", plain, 2), ("gz", packed, 2)):
        assert main(["bitext", "--source", f"en={source}", "--target", f"de={target}", "--subword",
                     str(tmp_path / "sub"), "--output", str(tmp_path / name), "--workers", str(workers), "--first",
                     "40"]) == 0  # fmt: skip
        results.append([(tmp_path / f"{name}.{language}").read_bytes() for language in ("en", "de")])
    assert results[0] == results[1] == results[2] and results[0][0].count(b"\n") == 40
    lengths = [len(tokenizer.encode(line)) for line in results[0][0].decode().splitlines()]
    assert min(lengths) >= 10 and max(lengths) <= 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--least", "70"], "--least 70 and --most 128 leave out every pair"),
        (["--most", "0"], "--most 0 is too small"),
        (["--first", "0"], "--first 0 is too small"),
        (["--least", "11"], "no pair is left: 2 too short"),
        (["--workers", "0"], "--workers 0 is too small"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(words, tmp_path, capsys, options, message):
    assert run(tmp_path, [pair(10), pair(10, names="ab")], *options) == (1, [None, None])
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.x", "in.y"]


def test_languages_that_cannot_be_told_apart_are_refused(words, tmp_path, capsys):
    for languages, message in ((("en", "en-GB"), "takes en and en-GB for one language"),
                               (("en", "xx"), "py3langid does not know xx"),
                               (("en", "en"), "--source and --target are both 'en'")):  # fmt: skip
        assert run(tmp_path, [pair(10)], "--check-language", languages=languages)[0] == 1
        assert message in capsys.readouterr().err


def test_files_that_differ_in_length_are_refused(words, tmp_path, capsys):
    one, other = write_lines(tmp_path / "a", [LONG] * 3), write_lines(tmp_path / "b", [LONG] * 2)
    assert main(["bitext", "--source", f"en={one}", "--target", f"de={other}", "--subword", "SUB", "--output",
                 str(tmp_path / "out")]) == 1  # fmt: skip
    assert "has 3 lines, but" in capsys.readouterr().err


def test_an_input_is_not_replaced(words, tmp_path, capsys):
    one, other = write_lines(tmp_path / "a.en", [LONG]), write_lines(tmp_path / "a.de", [LONG])
    assert main(["bitext", "--source", f"en={one}", "--target", f"de={other}", "--subword", "SUB", "--output",
                 str(tmp_path / "a"), "--workers", "1"]) == 1  # fmt: skip
    assert "is read by this command, which would replace it" in capsys.readouterr().err
    assert one.read_text() == LONG + "\n"


def test_a_line_that_is_not_utf_8_is_named(words, tmp_path, capsys):
    one = tmp_path / "a"
    one.write_bytes(f"{LONG}\n".encode() * 2 + b"\xff\n")
    other = write_lines(tmp_path / "b", [LONG] * 3)
    assert main(["bitext", "--source", f"en={one}", "--target", f"de={other}", "--subword", "SUB", "--output",
                 str(tmp_path / "out"), "--workers", "1"]) == 1  # fmt: skip
    assert "a:3: invalid UTF-8" in capsys.readouterr().err and not (tmp_path / "out.en").exists()
