"""TPP's tests of sentiment: layouts as their publishers, or programs that read their files, describe them.

The texts are made up: posts may not be passed on. Layouts:

- Abdulla et al. (2013): 1,000 files each in ``Positive`` and ``Negative``, by the archive's "Data set Description.txt"
  and its files in github.com/AbdelrahmanShahrour/sentiment_analysis_arabic, of which some begin with a byte order mark,
  nine are in Windows-1256, and four are empty;
- Suzuki (2019): eight columns without names, by github.com/tatHi/tweet_extructor, which joins them with the posts;
- SAIL-2015: one id per line in a file for each label, by the shared task's own program, SAIL_Crawl.java;
- posts: lines of JSON, by twarc (twarc-project.readthedocs.io), of versions 1.1 and 2 of Twitter's interface.
"""

import json

import pytest

from preprocess.__main__ import main as preprocess
from preprocess.labelled_sets import benchmark
from preprocess.sets import SETS

GOOD, BAD = "يوم جميل", "خبر سيء"


def write(root, name, content):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


def made(name, root, **options):
    report, labels = benchmark(name, root / "L", folder=root / "in", **options)
    rows = {
        f.stem: [json.loads(line) for line in f.read_text("utf-8").splitlines()] for f in (root / "L").glob("*.jsonl")
    }
    return report, rows, labels


def refused(name, root, capsys):
    assert preprocess(["benchmark", name, "--from", str(root / "in"), "--output", str(root / "M")]) == 1
    assert not (root / "M").exists()
    return capsys.readouterr().err


def test_arabic_posts_have_a_file_each_and_three_encodings(tmp_path):
    write(tmp_path, "in/Twitter/Positive/positive2.txt", f"{GOOD}\n")
    write(tmp_path, "in/Twitter/Positive/positive10.txt", f"\ufeff{GOOD}\n{GOOD}\n")
    write(tmp_path, "in/Twitter/Negative/negative1.txt", f"{BAD}\n".encode("cp1256"))
    write(tmp_path, "in/Twitter/Negative/negative234.txt", "\n")
    write(tmp_path, "in/Twitter/Data set Description.txt", "1. Title: Twitter Data set for Arabic Sentiment Analysis\n")
    report, rows, labels = made("abdulla2013", tmp_path)
    assert rows == {
        "test.ar": [
            {"id": "negative1", "text": BAD, "label": "negative"},
            {"id": "negative234", "text": "", "label": "negative"},
            {"id": "positive2", "text": GOOD, "label": "positive"},
            {"id": "positive10", "text": f"{GOOD} {GOOD}", "label": "positive"},
        ]
    }
    assert report["test.ar"]["changes"] == {
        "files in Windows-1256 converted": 1,
        "examples with an empty text, kept": 1,
    }
    assert labels == ["negative", "positive"]


def test_two_copies_of_an_arabic_post_are_both_named(tmp_path, capsys):
    for copy in ("a", "b"):
        write(tmp_path, f"in/{copy}/Positive/positive1.txt", GOOD)
    error = refused("abdulla2013", tmp_path, capsys)
    assert "b/Positive/positive1.txt:1: id 'positive1' is already that of " in error
    assert "a/Positive/positive1.txt:1. Give" in error


# id, topic, post, then 1 or 0 for: both, positive, negative, neutral, unrelated
JAPANESE = """10025,10000,522407718091366400,0,0,1,1,0
10026,10000,1,0,1,0,0,0
10027,10021,2,0,0,1,0,0
10028,10021,3,0,0,0,1,0
10029,10021,4,1,0,0,0,0
10030,10021,5,0,0,0,0,1
10031,10021,6,0,1,0,0,0
10032,10000,2,0,1,0,0,0
"""
V1 = {"id": 1, "id_str": "1", "full_text": "良い\nです"}
V2 = {"data": [{"id": "2", "text": "悪い"}, {"id": "3", "text": "普通"}], "meta": {"result_count": 2}}
FLAT = {"id": "522407718091366400", "text": "どちらも"}


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_japanese_marks_are_joined_with_posts_from_twitter(tmp_path):
    write(tmp_path, "in/tweets_open.csv", JAPANESE)
    write(tmp_path, "in/tweets.jsonl", lines(V1, V2))
    write(tmp_path, "in/more/tweets-2.jsonl", lines(FLAT))
    report, rows, _ = made("suzuki2019", tmp_path)
    assert rows["test.ja"] == [
        {"id": "10026", "text": "良い です", "label": "positive"},
        {"id": "10027", "text": "悪い", "label": "negative"},
        {"id": "10032", "text": "悪い", "label": "positive"},
    ]
    assert report["test.ja"]["changes"] == {
        "posts with another mark than one of positive, negative and neutral, left out": 3,
        "examples with the label neutral left out": 1,
        "posts without a text in tweets.jsonl, left out": 1,
    }
    assert [row["label"] for row in made("suzuki2019", tmp_path, dropped=[])[1]["test.ja"]].count("neutral") == 1


def test_hindi_ids_have_their_label_in_the_name_of_their_file(tmp_path):
    for label, ids in (("POS", "1\n"), ("NEG", "2\n2\n\n"), ("NEU", "3\n9\n\n2\n")):
        write(tmp_path, f"in/HI_Train_SAIL2015/HI_{label}.txt", ids)
    write(tmp_path, "in/tweets.jsonl", lines(V1, V2))
    report, rows, _ = made("sail2015", tmp_path)
    assert rows == {
        "train.hi": [
            {"id": "2", "text": "悪い", "label": "negative"},
            {"id": "1", "text": "良い です", "label": "positive"},
        ]
    }
    assert report["train.hi"]["changes"] == {
        "posts that an earlier line has, left out": 1,
        "posts that an earlier line has with another label, left out": 1,
        "examples with the label neutral left out": 1,
        "posts without a text in tweets.jsonl, left out": 1,
    }


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("suzuki2019", "tweets_open.csv", JAPANESE, "in: no tweets.jsonl, the texts of the posts. The set has only "),
        ("sail2015", "HI_POS.txt", "1\n", "in: no tweets.jsonl, the texts of the posts"),
        ("abdulla2013", "tweets.txt", "1\n", "no file of abdulla2013. It reads Positive/positive1.txt"),
    ],
)
def test_what_is_not_there_is_named_with_where_to_get_it(name, file, content, message, tmp_path, capsys):
    write(tmp_path, f"in/{file}", content)
    assert message in refused(name, tmp_path, capsys)


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("suzuki2019", "tweets_open.csv", "1,2,3\n", "tweets_open.csv:1: 3 columns instead of 8"),
        ("suzuki2019", "tweets_open.csv", "1,2,3,0,0,0,2,0\n", "tweets_open.csv:1: marks 0,0,0,2,0, not each 0 or 1"),
        ("suzuki2019", "tweets.jsonl", '{"id": 1}\n', "tweets.jsonl:1: no 'text'"),
        ("suzuki2019", "tweets.jsonl", '{"id": null, "text": "x"}\n', "tweets.jsonl:1: 'id' must be a text or a whole"),
        ("suzuki2019", "tweets.jsonl", '{"data": ["x"]}\n', "tweets.jsonl:1: 'data' must be a list of posts"),
        ("sail2015", "HI_NEU.txt", "1|0|text\n", "HI_NEU.txt:1: not the id of a post: '1|0|text'"),
    ],
)
def test_a_line_of_another_form_is_named(name, file, content, message, tmp_path, capsys):
    write(tmp_path, "in/tweets_open.csv", JAPANESE)
    write(tmp_path, "in/HI_POS.txt", "1\n")
    write(tmp_path, "in/tweets.jsonl", lines(V1))
    write(tmp_path, f"in/{file}", content)
    assert message in refused(name, tmp_path, capsys)


def test_fetch_says_where_the_three_sets_are_and_what_reads_them(tmp_path, capsys):
    for name in ("abdulla2013", "suzuki2019", "sail2015"):
        assert preprocess(["fetch", name, "--cache", str(tmp_path / "cache")]) == 1
        error = capsys.readouterr().err
        assert f"no checksum of {name} is known" in error and f"benchmark {name} --from DIR" in error
        assert SETS[name].address in error and SETS[name].published
