"""``xalign-preprocess dictionary``: derived pairs and word lists over pieces of the vocabulary."""

import json
import lzma
from collections import Counter

import pytest

from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.data.formats.word_list import read_csv, read_muse
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main
from preprocess.derived_dictionary import make_derived_dictionary
from preprocess.dictionary import make_dictionary
from tests.support.public_data import public_files
from tests.support.samples import sentences, subword_folder, write_lines


@pytest.fixture
def place(tmp_path):
    subword_folder(tmp_path / "sub").doubled(0.2, 7).save(tmp_path / "sub2")
    return tmp_path


def dictionary(place, *options, subword="sub"):
    folder = ["--subword", str(place / subword)] if subword else []
    return main(["dictionary", *options, *folder, "--output", str(place / "out.tsv"), "--json"])


def derived(place, *options):
    return dictionary(place, "--derived", str(place / "sub2"), *options, subword=None)


def load(place, subword="sub2"):
    return Dictionary.load(place / "out.tsv", Tokenizer.load(place / subword))


@pytest.mark.parametrize("choose", ["random", "frequent"])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_derived_pairs_are_an_exact_share_of_pieces_and_their_copies(place, capsys, share, choose):
    assert derived(place, "--share", str(share), "--choose", choose) == 0
    report = json.loads(capsys.readouterr().out)
    tokenizer, found = Tokenizer.load(place / "sub2"), load(place)
    kept = tokenizer.derived["kept"]
    expected = min(round(share * tokenizer.pieces), tokenizer.pieces - len(kept))
    assert len(found) == report["entries"] == expected
    assert report["shared pieces left out"] == len(kept) == round(0.2 * tokenizer.pieces)
    assert found.single
    sources = [ids[0] for ids in found.source]
    assert len(set(sources)) == len(sources)
    assert [ids[0] for ids in found.target] == [i + tokenizer.pieces for i in sources]
    assert not {i - 5 for i in sources} & set(kept)
    assert set(sources) <= set(tokenizer.natural_ids)
    assert (found.source_language, found.target_language) == ("natural", "derived")
    assert found.header["made"]["choose"] == choose


def test_a_random_draw_is_fixed_by_its_seed_and_even(place):
    tokenizer = Tokenizer.load(place / "sub2")
    draws, drawn = [], Counter()
    for seed in range(25):
        assert derived(place, "--share", "0.25", "--seed", str(seed)) == 0
        draws.append([ids[0] for ids in load(place).source])
        drawn.update(draws[-1])
    assert derived(place, "--share", "0.25", "--seed", "0") == 0
    assert [ids[0] for ids in load(place).source] == draws[0]
    assert len({tuple(draw) for draw in draws}) == 25
    assert len(drawn) == tokenizer.pieces - len(tokenizer.derived["kept"])


def test_frequent_pieces_are_those_counted_in_text(place, capsys):
    texts = [str(write_lines(place / name, sentences(name, 80))) for name in ("en", "de")]
    assert derived(place, "--choose", "frequent", "--text", texts[0], "--text", texts[1]) == 0
    report = json.loads(capsys.readouterr().out)
    tokenizer = Tokenizer.load(place / "sub2")
    counts = Counter(i for name in ("en", "de") for line in sentences(name, 80) for i in tokenizer.encode(line))
    found = [ids[0] for ids in load(place).source]
    left = set(tokenizer.natural_ids) - set(found) - {5 + i for i in tokenizer.derived["kept"]}
    assert [counts[i] for i in found] == sorted((counts[i] for i in found), reverse=True)
    assert min(counts[i] for i in found) >= max(counts[i] for i in left)
    running = sum(count for i, count in counts.items() if i in tokenizer.natural_ids)
    assert report["share of the running pieces"] == sum(counts[i] for i in found) / running
    assert report["order of frequency"] == "counted in --text"


@pytest.mark.parametrize("choose", ["random", "frequent"])
@pytest.mark.parametrize("derived_text", [True, False])
def test_pieces_are_counted_in_natural_text_alone(place, capsys, choose, derived_text):
    script = Tokenizer.load(place / "sub2").transliterate
    lines = [" ".join(map(script, line.split())) for line in sentences("en", 3)] if derived_text else [""]
    text = str(write_lines(place / "text", lines))
    assert derived(place, "--choose", choose, "--text", text) == 1
    what = ":1: this text is transliterated" if derived_text else ": no piece of the vocabulary occurs in it"
    assert f"{text}{what}" in capsys.readouterr().err
    assert not (place / "out.tsv").exists()


def test_without_text_the_vocabularys_order_is_taken_and_said(place, capsys):
    assert derived(place, "--choose", "frequent") == 0
    output = capsys.readouterr()
    assert "no --text was given" in output.err
    assert json.loads(output.out)["order of frequency"] == "the vocabulary's"
    found = [ids[0] for ids in load(place).source]
    assert found == sorted(found)


def test_the_manifest_of_a_derived_file_names_the_vocabulary(place, capsys):
    text = write_lines(place / "text", sentences("en", 5))
    options = ["--transform", "trans", "--subword", str(place / "sub2"), "--format", "text", "--input", str(text)]
    assert main(["derive", *options, "--output", str(place / "derived")]) == 0
    manifest = str(place / "derived.manifest.json")
    assert dictionary(place, "--derived", manifest, subword="sub2") == 0
    assert len(load(place)) == round(0.25 * Tokenizer.load(place / "sub2").pieces)
    assert dictionary(place, "--derived", manifest, subword="sub") == 1
    assert "not the vocabulary that" in capsys.readouterr().err


def pair_file(place, tokenizer):
    """Word pairs of every fate, and how many of each."""
    whole = sorted(
        word
        for word in {w for name in ("en", "de") for s in sentences(name, 400) for w in s.rstrip(".").split()}
        if len(tokenizer.encode(word)) == 1
    )
    long = next(w for w in sentences("en", 5)[0].rstrip(".").split() if len(tokenizer.encode(w)) > 1)
    assert len(whole) >= 4
    rows = [(whole[0], whole[1]), (whole[0], whole[2]), (whole[3], whole[3]), (whole[0], long), (whole[0], "漢")]
    return rows, long


@pytest.mark.parametrize("divider", [" ", "\t"])
def test_word_pairs_are_kept_dropped_and_counted(place, capsys, divider):
    tokenizer = Tokenizer.load(place / "sub")
    rows, _ = pair_file(place, tokenizer)
    muse = write_lines(place / "muse.txt", [divider.join(row) for row in rows] + [""])
    assert dictionary(place, "--muse", str(muse), "--source", "en", "--target", "de") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "entries read": 5,
        "entries": 2,
        "share usable": 0.4,
        "share of single pieces": 0.6,
        "dropped": {
            "a side has several pieces": 1,
            "a side has unknown characters": 1,
            "the sides are identical": 1,
        },
    }
    found = load(place, "sub")
    assert [(s, t) for s, t in zip(found.source, found.target)] == [
        (tokenizer.encode(a), tokenizer.encode(b)) for a, b in rows[:2]
    ]
    assert found.weights == [1.0, 1.0]
    assert (found.source_language, found.target_language, found.header["pieces"]) == ("en", "de", "single")


def test_longer_words_stand_by_their_first_piece_or_the_mean_of_all(place):
    tokenizer = Tokenizer.load(place / "sub")
    rows, long = pair_file(place, tokenizer)
    muse = write_lines(place / "muse.txt", [" ".join(rows[3])])
    for mode, target in (("mean", tokenizer.encode(long)), ("first", tokenizer.encode(long)[:1])):
        code = dictionary(place, "--muse", str(muse), "--source", "en", "--target", "de", "--pieces", mode)
        found = load(place, "sub")
        assert code == 0
        assert (found.target, found.single) == ([target], mode == "first")


def test_first_pieces_of_longer_words_are_counted_and_warned_of(place, capsys):
    tokenizer = Tokenizer.load(place / "sub")
    rows, _ = pair_file(place, tokenizer)
    muse = write_lines(place / "muse.txt", [" ".join(row) for row in rows])
    words = ["--muse", str(muse), "--source", "en", "--target", "de"]
    assert dictionary(place, *words, "--pieces", "first") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert (report["entries"], report["entries of fragments"]) == (3, 1)
    assert "--pieces first: in 1 of 3 entries the first piece stands for a longer word" in output.err
    for mode in ("single", "mean"):
        assert dictionary(place, *words, "--pieces", mode) == 0
        output = capsys.readouterr()
        assert "entries of fragments" not in json.loads(output.out)
        assert "longer word" not in output.err


@pytest.mark.parametrize(("kind", "text"), [("muse", ""), ("muse", "\n\n"), ("csv", "english,german\n")])
def test_an_empty_list_is_said_to_be_empty(place, capsys, kind, text):
    (place / "list").write_text(text)
    assert dictionary(place, f"--{kind}", str(place / "list"), "--source", "en", "--target", "de") == 1
    error = capsys.readouterr().err
    assert f"{place / 'list'}: the file has no word pair. It is empty" in error
    assert "--pieces" not in error


def test_no_usable_entry_is_an_error_that_counts_why(place, capsys):
    muse = write_lines(place / "muse.txt", ["漢 字", "house house"])
    assert dictionary(place, "--muse", str(muse), "--source", "en", "--target", "de") == 1
    error = capsys.readouterr().err
    assert f"{muse}: no usable entry among 2: " in error
    assert "a side has unknown characters 1" in error
    assert not (place / "out.tsv").exists()


def test_a_malformed_pair_is_named_with_its_line(place, capsys):
    muse = write_lines(place / "muse.txt", ["a b", "a b c"])
    assert dictionary(place, "--muse", str(muse), "--source", "en", "--target", "de") == 1
    assert f"{muse}:2: 3 words instead of two" in capsys.readouterr().err


TABLES = {
    'id,sourceLang,targetLang,sourceString,targetString\n1,en,de_DE,house,haus\n2,en,de_DE,"walk, go",gehen\n': [
        ("house", "haus"),
        ("walk, go", "gehen"),
    ],
    ",english,german\n0,house,haus\n1,tree,\n": [("house", "haus"), ("tree", "")],
    'english,german\nhouse,"haus, das"\n': [("house", "haus, das")],
    "en,de\nhouse,haus\n": [("house", "haus")],
    "DE,en_GB\nhaus,house\n": [("house", "haus")],
    "id,de,note,en\n1,haus,x,house\n": [("house", "haus")],
    "German,English\nhaus,house\n": [("house", "haus")],
    ",german,english\n0,haus,house\n": [("house", "haus")],
    "translation,word\nhaus,house\n": [("house", "haus")],
    "es,it\ntree,baum\n": [("es", "it"), ("tree", "baum")],
    "de,de\ntree,baum\n": [("de", "de"), ("tree", "baum")],
    "Source,Target\nhouse,haus\n": [("house", "haus")],
    "house,haus\ntree,baum\n": [("house", "haus"), ("tree", "baum")],
}


def words(pairs):
    return [(pair.source, pair.target) for pair in pairs if not pair.header]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("table", list(TABLES))
def test_tables_are_read_by_their_header_if_they_have_one(tmp_path, table, compressed):
    path = tmp_path / ("table.csv.xz" if compressed else "table.csv")
    path.write_bytes(lzma.compress(table.encode()) if compressed else table.encode())
    source = "en_GB" if "en_GB" in table else "en"
    assert words(read_csv(str(path), source, "de")) == TABLES[table]


@pytest.mark.parametrize("read", [read_csv, read_muse])
def test_an_option_decides_whether_the_first_row_is_a_header(tmp_path, read):
    mark = "," if read is read_csv else "\t"
    path = write_lines(tmp_path / "list", [f"english{mark}german", f"house{mark}haus"])
    assert words(read(path, "en", "de", "auto")) == words(read(path, "en", "de", "yes")) == [("house", "haus")]
    assert words(read(path, "en", "de", "no")) == [("english", "german"), ("house", "haus")]
    path = write_lines(tmp_path / "list", [f"one{mark}two", f"house{mark}haus"])
    assert words(read(path, "en", "de", "auto")) == [("one", "two"), ("house", "haus")]
    assert words(read(path, "en", "de", "yes")) == [("house", "haus")]


@pytest.mark.parametrize("read", [read_csv, read_muse])
@pytest.mark.parametrize("names", ["german,english", "de,en", "de_DE,en", "target,source", "German,en"])
def test_a_header_may_name_the_target_first(tmp_path, read, names):
    mark = "," if read is read_csv else "\t"
    path = write_lines(tmp_path / "list", [row.replace(",", mark) for row in (names, "haus,house")])
    source, target = ("en", "de_DE") if "DE" in names else ("en", "de")
    assert words(read(path, source, target)) == [("house", "haus")]


@pytest.mark.parametrize("read", [read_csv, read_muse])
@pytest.mark.parametrize("names", ["French,English", "english,french", "fr,en", "en,fr", "word,english"])
def test_a_header_of_other_languages_is_refused(tmp_path, read, names):
    mark = "," if read is read_csv else "\t"
    path = write_lines(tmp_path / "list", [row.replace(",", mark) for row in (names, "maison,house")])
    with pytest.raises(UserError, match="the columns are named .* not en and de"):
        list(read(path, "en", "de"))
    assert words(read(path, "en", "de", "yes")) == [("maison", "house")]
    assert len(words(read(path, "en", "de", "no"))) == 2
    codes_of_ones_own = [(pair.source, pair.target) for pair in read(path, "xx", "yy", "yes") if not pair.header]
    assert codes_of_ones_own == [("maison", "house")]


@pytest.mark.parametrize("kind", ["csv", "muse"])
def test_a_list_without_header_keeps_its_first_pair_and_a_header_is_said(place, capsys, kind):
    tokenizer = Tokenizer.load(place / "sub")
    rows = pair_file(place, tokenizer)[0][:2]
    mark = {"csv": ",", "muse": "\t"}[kind]
    for header, said in ([], False), ([("english", "german")], True):
        path = write_lines(place / "list", [mark.join(row) for row in [*header, *rows]])
        assert dictionary(place, f"--{kind}", str(path), "--source", "en", "--target", "de") == 0
        output = capsys.readouterr()
        report = json.loads(output.out)
        assert (report["entries read"], report["entries"]) == (2, 2)
        assert ("the first row (english, german) was taken for the names of the columns" in output.err) == said


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,lang,word\n", "which columns are the words?"),
        ("a,b\n1,2,3\n1,2,3\n", "a row has more or fewer columns than the first 2"),
        ("sourceLang,targetLang,sourceString,targetString\nde_DE,en,haus,house\n", "the file goes from de to en"),
        ("", "the file has no word pair. It is empty"),
        ("en,de,en\n", "t.csv:1: which columns are the words?"),
        ("house\thaus\n", "give the file to --muse"),
        ("house;haus\n", "Separate the columns with commas"),
        ('en,de\na,b\nc,d\ne,f\n"not,nicht\n' + 100 * "with,mit\n", "t.csv:5: a quote is opened and not closed"),
        ('en,de\n"not,nicht\nwith,mit\n"a",b\n', "t.csv:2: a quote is opened and not closed"),
        ('"en,de\na,b\n', "t.csv:1: a quote is opened and not closed"),
    ],
)
def test_a_table_that_is_not_understood_is_refused(place, capsys, table, message):
    (place / "t.csv").write_text(table)
    assert dictionary(place, "--csv", str(place / "t.csv"), "--source", "en", "--target", "de") == 1
    assert message in capsys.readouterr().err
    assert not (place / "out.tsv").exists()


def test_every_published_table_at_hand_is_read_to_its_end():
    for table in public_files("dictionaries/*/*.csv.xz"):
        every = list(read_csv(str(table), "xx", "yy"))
        rows = [row for row in every if not (row.ragged or row.header)]
        assert len(rows) >= max(40, 0.98 * (len(every) - 1))
        assert sum(bool(row.source.strip() and row.target.strip()) for row in rows) >= 40


def test_a_pair_that_is_listed_again_is_dropped_and_counted(place, capsys):
    tokenizer = Tokenizer.load(place / "sub")
    first, second = pair_file(place, tokenizer)[0][:2]
    path = write_lines(place / "list", ["\t".join(row) for row in (*9 * [first], second)])
    assert dictionary(place, "--muse", str(path), "--source", "en", "--target", "de") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["entries read"], report["entries"]) == (10, 2)
    assert report["dropped"] == {"the pair is repeated": 8}
    assert len(load(place, "sub")) == 2


def test_dictionaries_are_made_from_python(place):
    tokenizer = Tokenizer.load(place / "sub")
    path = write_lines(place / "list", [" ".join(row) for row in pair_file(place, tokenizer)[0][:2]])
    out = place / "out.tsv"
    report = make_dictionary(out, "muse", path, subword=place / "sub", source="zh-TW", target="pt-BR")
    assert report["entries"] == 2 and load(place, "sub").source_language == "zh-TW"
    assert make_derived_dictionary(out, place / "sub2", share=0.5)["entries"] == len(load(place))
    with pytest.raises(UserError, match="--source 'e n' is not a language code"):
        make_dictionary(out, "muse", path, subword=place / "sub", source="e n", target="de")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--share", "0"], "--share 0 is out of range"),
        (["--share", "1.5"], "--share 1.5 is out of range"),
        (["--share", "0.001"], "no piece can be in the dictionary"),
        (["--pieces", "mean"], "derived entries are single pieces"),
        (["--choose", "frequent", "--seed", "0"], "--seed is for --choose random"),
    ],
)
def test_wrong_options_of_derived_dictionaries_are_one_line(place, capsys, options, message):
    assert derived(place, *options) == 1
    assert message in capsys.readouterr().err
    assert not (place / "out.tsv").exists()


def test_other_wrong_options_are_one_line(place, capsys):
    muse = str(write_lines(place / "muse.txt", ["a b"]))
    cases = [
        (["--derived", str(place / "sub")], None, "this vocabulary is not doubled"),
        (["--derived", str(place / "sub2")], "sub", "not the vocabulary in"),
        (["--muse", muse, "--source", "en"], "sub", "--target is needed"),
        (["--muse", muse, "--source", "en", "--target", "de", "--share", "0.5"], "sub", "--share is for --derived"),
        (["--muse", muse, "--source", "en", "--target", "de"], None, "--subword is needed"),
        (["--muse", muse, "--source", "en", "--target", "en"], "sub", "--source and --target are both 'en'"),
        (["--derived", str(place / "sub2"), "--source", "en", "--target", "en"], "sub2", "are both 'en'"),
        (["--derived", str(place / "sub2"), "--header", "no"], "sub2", "--header is for --muse and --csv"),
    ]
    for options, subword, message in cases:
        assert dictionary(place, *options, subword=subword) == 1
        assert message in capsys.readouterr().err
