"""`xalign-evaluate report`: one page that holds everything, opens offline, and says what the runs say."""

import html.parser
import re

import pytest

from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.report import results
from fairseq_xalign.version import __version__
from tests.evaluate.report.test_training_log import JSON
from tests.support.runs import grid, result
from tests.support.samples import write_lines

EMPTY = {"meta", "img", "br", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    """The texts of a page, its cells, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.sources = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    grid(folder / "runs")
    for target, zs in (("de", 60.0), ("es", 70.0)):
        (folder / "runs" / target).mkdir()
        changes = {"pair": f"en-{target}", "transform": "natural", "alignment": {}}
        results.write(folder / "runs" / target, result("<b>weam", zs=zs, **changes))
    (folder / "runs" / "weam" / "pretrain").mkdir(parents=True)
    write_lines(folder / "runs" / "weam" / "pretrain" / "train.log", JSON)
    assert main(["report", str(folder / "runs"), "--output", str(folder / "out"), "--title", "A & B"]) == 0
    return (folder / "out" / "index.html").read_text()


def test_nothing_is_loaded_from_elsewhere(page):
    assert all(source.startswith("data:image/svg+xml;base64,") for source in Page(page).sources)
    assert Page(page).sources and not re.search(r"<(script|link|iframe)|@import|url\(|https?://", page)


def test_the_page_has_tables_figures_settings_and_versions(page):
    texts = Page(page).texts
    for expected in ("A & B", "Results", "By language", "Figures", "Settings", "Versions"):
        assert expected in texts
    assert "pos, en-en_transinv, Trans∘Inv (accuracy, %)" in texts and "59.0 ± 1.4" in texts
    assert "AVG(zero-shot)" in texts and "65.0" in texts
    assert texts[texts.index("fairseq_xalign") + 1] == __version__
    assert any('"languages": "en,de"' in text for text in texts), "the settings of the training"
    assert page.count("<figcaption>") == 3


def test_names_are_text_and_never_markup(page):
    assert "<b>weam" in Page(page).texts and "<b>" not in page


def test_a_folder_without_anything_to_report_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for run, message in (("empty", "no result.json, bleu.json or train.log in it"), ("none", "no such file or folder")):
        assert main(["report", str(tmp_path / run), "--output", str(tmp_path / "r.html")]) == 1
        assert message in capsys.readouterr().err and not (tmp_path / "r.html").exists()


def test_a_file_with_another_ending_is_not_taken_for_a_folder(tmp_path, capsys):
    grid(tmp_path / "runs")
    (tmp_path / "old.json").write_text("{}", "utf-8")
    assert main(["report", str(tmp_path / "runs"), "--output", str(tmp_path / "old.json")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/old.json: is a file whose name does not end in .html. Name a .html file or a folder" in said
    assert (tmp_path / "old.json").read_text("utf-8") == "{}"
