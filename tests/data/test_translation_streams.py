"""What translation reads of a data folder: its directions, and text for the encoder in their languages alone."""

import logging

import pytest

from fairseq_xalign.data.directions import Limits
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.translation_streams import direction_streams, encoder_streams
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.view import BITEXT, MONO, Settings
from preprocess.__main__ import main
from tests.support.samples import raw_material, write_lines

EN_DE, DE_EN, EN_FR = ("en", "de"), ("de", "en"), ("en", "fr")
NO_LIMITS = Limits(None, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Training text of en-de (50 pairs) and en-fr (3), monolingual en, de and fr; validation text of en-de."""
    root = tmp_path_factory.mktemp("made")
    raw_material(root)
    lines = (root / "en").read_text().splitlines()
    write_lines(root / "few", [lines[0], f"{lines[1]} {lines[2]} {lines[3]}", lines[4]])
    common = ["--subword", str(root / "sub"), "--output", str(root / "data"), "--workers", "1"]
    pairs = ["--bitext", f"en-de={root}/en,{root}/de", "--bitext", f"en-fr={root}/few,{root}/few"]
    mono = [word for name, file in (("en", "en"), ("de", "de"), ("fr", "few"))
            for word in ("--mono", f"{name}={root}/{file}")]  # fmt: skip
    assert main(["binarize", *common, *pairs, *mono]) == 0
    assert main(["binarize", *common, "--split", "valid", "--bitext", f"en-de={root}/en,{root}/de"]) == 0
    return DataFolder.open(root / "data")


def test_both_directions_of_a_pair_are_streams_in_the_order_asked_for_and_are_counted(folder, caplog):
    with caplog.at_level(logging.INFO):
        streams = direction_streams(folder, "train", [DE_EN, EN_FR, EN_DE], NO_LIMITS, True, True)
    assert [(stream.languages, len(stream)) for stream in streams] == [(DE_EN, 50), (EN_FR, 3), (EN_DE, 50)]
    assert [record.getMessage() for record in caplog.records] == [
        "train de-en: 50 pairs", "train en-fr: 3 pairs", "train en-de: 50 pairs",
    ]  # fmt: skip
    ours, theirs = streams[0].mapped, streams[2].mapped
    assert [ids.tolist() for ids in (ours[0][0], ours[1][0])] == [ids.tolist() for ids in (theirs[1][0], theirs[0][0])]


def test_pairs_that_are_too_long_are_counted_and_a_direction_without_any_other_is_refused(folder, caplog):
    longest = sorted(map(len, (folder.bitext("train")[EN_FR][0][i] for i in range(3))))
    limits = Limits(None, longest[1], None)
    with caplog.at_level(logging.INFO):
        direction_streams(folder, "train", [EN_FR], limits, False, True)
    assert caplog.messages == [
        f"train en-fr: 3 pairs, left out: 1 pair over the limits of length (1 for --max-target-positions {longest[1]})"
    ]
    with pytest.raises(UserError, match="every one of the 3 pairs of train en-fr is empty or longer than") as caught:
        direction_streams(folder, "train", [EN_FR], Limits(None, 1, None), False, True)
    assert "--max-target-positions" in caught.value.remedy and "--tokens-per-sample" not in caught.value.remedy


def test_training_needs_text_of_every_direction_and_validation_of_one(folder, caplog):
    with pytest.raises(UserError, match=r"no valid text for en-fr \(it has en-de, de-en\)"):
        direction_streams(folder, "valid", [EN_DE, EN_FR], NO_LIMITS, True, training=True)
    with caplog.at_level(logging.INFO):
        (stream,) = direction_streams(folder, "valid", [EN_DE, EN_FR], NO_LIMITS, True, training=False)
    assert stream.languages == EN_DE and "valid: no text for en-fr: these directions are not validated" in caplog.text
    with pytest.raises(UserError, match="no valid text for en-fr") as caught:
        direction_streams(folder, "valid", [EN_FR], NO_LIMITS, True, training=False)
    assert "--disable-validation" in caught.value.remedy


@pytest.mark.parametrize(
    ("kinds", "directions", "names"),
    [
        ([], [EN_DE], []),
        ([MONO], [EN_DE], ["mono/en", "mono/de"]),
        ([MONO], [EN_FR], ["mono/en", "mono/fr"]),
        ([BITEXT], [DE_EN], ["bitext/en-de"]),
        ([MONO, BITEXT], [EN_DE, EN_FR], ["mono/en", "mono/de", "mono/fr", "bitext/en-de", "bitext/en-fr"]),
    ],
)
def test_the_encoder_reads_text_in_the_languages_and_pairs_of_the_directions(folder, kinds, directions, names):
    streams = encoder_streams(folder, "train", kinds, directions, Settings(), 64, True)
    assert sorted(stream.name for stream in streams) == sorted(names)


def test_training_on_text_that_is_missing_is_refused_and_validation_does_without(folder):
    assert encoder_streams(folder, "valid", [MONO], [EN_DE], Settings(), 64, False) == []
    with pytest.raises(UserError, match="no monolingual train text in it, ro") as caught:
        encoder_streams(folder, "train", [MONO], [("it", "ro")], Settings(), 64, True)
    assert "--mono XX=FILE" in caught.value.remedy
