"""Translations are made direction by direction, kept, and never made twice; files and logs are scored the same way."""

import json

import pytest

from fairseq_xalign.data.test_set import TextTestSet
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate import translating
from fairseq_xalign.evaluate.translating import given_translations, translated
from tests.support.samples import write_lines


class Upper:
    """A translator that answers in capitals, and remembers what it was asked; it breaks off when told to."""

    def __init__(self, until=99):
        self.asked, self.until = [], until

    def __call__(self, lines, source, target):
        if len(self.asked) >= self.until:
            raise KeyboardInterrupt
        self.asked.append((source, target, len(lines)))
        return [f"{target}:{line.upper()}\n!" for line in lines]


@pytest.fixture
def test_set(tmp_path):
    texts = {"en": ["a", "b", "c"], "de": ["x", "y", "z"]}
    return TextTestSet({name: write_lines(tmp_path / name, lines) for name, lines in texts.items()})


BOTH = [("en", "de"), ("de", "en")]


def test_an_interrupted_command_goes_on_with_what_is_not_translated(test_set, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(translating, "CHUNK", 2)
    out, broken, again = tmp_path / "out", Upper(until=3), Upper()
    with pytest.raises(KeyboardInterrupt):
        list(translated(test_set, BOTH, broken, {"beam": 4}, out))
    assert [file.name for file in sorted(out.iterdir())] == ["en-de.hyp.txt", "en-de.json"]
    found = list(translated(test_set, BOTH, again, {"beam": 4}, out))
    assert again.asked == [("de", "en", 2), ("de", "en", 1)]
    assert "1 of 2 directions were translated before: en-de" in capsys.readouterr().err
    assert [item.hypotheses for item in found] == [["de:A !", "de:B !", "de:C !"], ["en:X !", "en:Y !", "en:Z !"]]
    assert (found[1].sources, found[1].references) == (["x", "y", "z"], ["a", "b", "c"])
    assert (out / "de-en.hyp.txt").read_text() == "en:X !\nen:Y !\nen:Z !\n"
    whole = Upper()
    assert [i.hypotheses for i in translated(test_set, BOTH, whole, {}, None)] == [i.hypotheses for i in found]


def other_settings(out):
    return {"beam": 5}


def changed_text(out):
    write_lines(out / "en-de.hyp.txt", ["a", "b", "d"])
    return {"beam": 4}


def lost_line(out):
    write_lines(out / "en-de.hyp.txt", ["de:A !"])
    return {"beam": 4}


def lost_file(out):
    (out / "en-de.json").unlink()
    return {"beam": 4}


@pytest.mark.parametrize("change", [other_settings, changed_text, lost_line, lost_file])
def test_what_does_not_agree_is_translated_again(test_set, tmp_path, change):
    out, again = tmp_path / "out", Upper()
    list(translated(test_set, BOTH[:1], Upper(), {"beam": 4}, out))
    settings = change(out)
    (item,) = translated(test_set, BOTH[:1], again, settings, out)
    assert again.asked == [("en", "de", 3)] and item.hypotheses == ["de:A !", "de:B !", "de:C !"]
    assert json.loads((out / "en-de.json").read_text())["beam"] == settings["beam"]


def test_given_translations_find_their_references(test_set, tmp_path):
    plain = write_lines(tmp_path / "plain", ["1", "", "3"])
    log = write_lines(
        tmp_path / "log", [f"{kind}-{n}\t{x}{n}" for n in (2, 0, 1) for kind, x in (("T", "t"), ("H", "-1\th"))]
    )
    (own,) = given_translations({"fr-de": log}, None, test_set, {})
    assert (own.direction, own.sources, own.references, own.hypotheses) == (
        ("fr", "de"), [], ["t0", "t1", "t2"], ["h0", "h1", "h2"]
    )  # fmt: skip
    (tested,) = given_translations({"en-de": log}, None, test_set, {})
    assert (tested.sources, tested.references) == (["a", "b", "c"], ["x", "y", "z"])
    named = write_lines(tmp_path / "named", ["r", "s", "t"])
    for name in ("de", "en-de"):
        (item,) = given_translations({"en-de": plain}, None, test_set, {name: named})
        assert (item.references, item.hypotheses) == (["r", "s", "t"], ["1", "", "3"])
    chosen = given_translations({"en-de": plain, "de-en": plain}, [("de", "en")], test_set, {})
    assert [item.direction for item in chosen] == [("de", "en")]


@pytest.mark.parametrize(
    ("files", "wanted", "message"),
    [
        ({"en-fr": ["1"]}, None, "no references for en-fr. Add --references fr=FILE"),
        ({"en-de": ["1", "2"]}, None, "has 2 translations, but there are 3 references"),
        ({"en-de": ["1", "2", "3"]}, [("de", "en")], "--directions de-en: no translations"),
        ({"ende": ["1"]}, None, "--hypotheses 'ende' is not a pair"),
    ],
)
def test_given_translations_that_do_not_fit_are_refused(test_set, tmp_path, files, wanted, message):
    paths = {name: write_lines(tmp_path / name, lines) for name, lines in files.items()}
    with pytest.raises(UserError, match=message):
        list(given_translations(paths, wanted, test_set, {}))
