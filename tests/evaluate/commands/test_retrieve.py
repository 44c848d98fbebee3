"""`xalign-evaluate retrieve`: both directions, margins, distances, several pairs, encoders of any origin."""

import json

import numpy as np
import pytest
import torch

import fairseq_xalign
from fairseq_xalign.api import opening
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands import align
from fairseq_xalign.evaluate.commands import retrieve as command
from fairseq_xalign.evaluate.commands.retrieve import retrieve, retrieve_pairs
from fairseq_xalign.evaluate.metrics.alignment import nearest_by_margin
from fairseq_xalign.evaluate.metrics.retrieval import normalized_distances, retrieval_accuracy
from tests.support.checkpoints import save, two_layers_state
from tests.support.foreign_models import write_bert
from tests.support.samples import write_lines

LINES = ["the house on the hill", "no", "a walk in the garden behind the house", "he said no"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save(two_layers_state(), folder / "checkpoint_best.pt")
    write_lines(folder / "a", LINES)
    write_lines(folder / "b", [*LINES[:2], "the garden", "he said"])
    return folder


def margins(x, y, k, ratio):
    """The margin of every pair, by the formula of Artetxe and Schwenk 2019, one pair at a time."""
    cosine = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in y] for a in x])
    scores = np.empty_like(cosine)
    for i, row in enumerate(cosine):
        for j, value in enumerate(row):
            mean = sum(sorted(row)[-k:]) / (2 * k) + sum(sorted(cosine[:, j])[-k:]) / (2 * k)
            scores[i, j] = value / mean if ratio else value - mean
    return scores


@pytest.mark.parametrize("margin", ["ratio", "distance"])
def test_margins_are_artetxe_and_schwenks(margin):
    generator = np.random.default_rng(3)
    x, y = generator.normal(0.4, 1, (30, 6)), generator.normal(0.4, 1, (25, 6))
    expected = margins(x, y, 4, margin == "ratio").argmax(axis=1)
    found = nearest_by_margin(torch.from_numpy(x), torch.from_numpy(y), margin, 4)
    np.testing.assert_array_equal(found, expected)
    plain = (x @ y.T / np.linalg.norm(y, axis=1)).argmax(axis=1)
    assert (plain != expected).any(), "the margin must matter for this test to say anything"


def test_a_margin_finds_what_is_equally_near_to_all():
    """A sentence with the same cosine to every other belongs to the one that has no better neighbour."""
    source = torch.eye(4) + 0.5
    target = torch.cat([torch.eye(4)[:3] * 0.6 + 0.5, torch.ones(1, 4)])
    by_cosine = retrieval_accuracy(source, target)
    by_margin = retrieval_accuracy(source, target, margin="ratio", neighbours=2)
    assert (by_cosine.backward, by_margin.backward) == (75.0, 100.0)
    assert "neighbour:margin-ratio-2" in by_margin.signature


def test_a_ratio_of_means_that_are_not_positive_is_refused():
    with pytest.raises(ValueError, match="use the margin distance"):
        nearest_by_margin(torch.eye(3), -torch.eye(3), "ratio", 2)


def test_distances_are_over_the_largest_of_the_pairs_and_of_any_two():
    source, target = torch.tensor([[0.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [4.0, 3.0]])
    found = normalized_distances(source, target)
    assert found.of_pairs.tolist() == [0.25, 1.0]
    assert found.of_all.tolist() == [0.2, 0.8]
    longer = normalized_distances(10 * source, 10 * target)
    assert torch.allclose(longer.of_all, found.of_all), "the length of vectors does not matter"
    assert normalized_distances(source, source).of_all.tolist() == [0.0, 0.0]


def test_several_pairs_are_measured_with_one_encoder(run, capsys):
    pair = ["--source", f"en={run / 'a'}", "--target", f"xx={run / 'b'}"]
    same = ["--source", f"en={run / 'a'}", "--target", f"yy={run / 'a'}"]
    options = ["retrieve", "--checkpoint", str(run), "--device", "cpu", "--layer", "1", "--pooling", "max"]
    assert main([*options, *pair, *same, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    first, second = report["pairs"]
    assert first == retrieve(run, ("en", run / "a"), ("xx", run / "b"), layer=1, pooling="max", device="cpu")
    assert second["mean"] == 100.0 and second["distance"] == {"of_pairs": 0.0, "of_all": 0.0}
    assert report["forward"] == (first["forward"] + 100.0) / 2
    assert main([*options, *pair, *same]) == 0
    assert capsys.readouterr().out.splitlines()[4].split()[:2] == ["mean", f"{report['forward']:.2f}"]
    assert main([*options, *pair, "--source", f"en={run / 'a'}"]) == 1
    assert "Give a --target for each --source" in capsys.readouterr().err


def test_a_side_that_several_pairs_share_is_encoded_once(run, monkeypatch):
    encoded = []
    encode = command.encode_sentences

    def counting(encoder, tokenizer, lines, *others, language, **options):
        encoded.append(len(lines))
        return encode(encoder, tokenizer, lines, *others, language=language, **options)

    monkeypatch.setattr(command, "encode_sentences", counting)
    english = ("en", run / "a")
    report = retrieve_pairs(run, [(("xx", run / "b"), english), (("yy", run / "b"), english), (english, english)])
    assert len(encoded) == 3
    assert [found["mean"] for found in report["pairs"]][2] == 100.0
    assert report["pairs"][1]["forward"] == retrieve(run, ("yy", run / "b"), english)["forward"]


def test_a_folder_of_transformers_is_read_as_encode_reads_it(run, tmp_path):
    folder = write_bert(tmp_path / "bert")
    report = retrieve(folder, ("en", run / "a"), ("xx", run / "b"), device="cpu", pooling="mean_all", margin="distance")
    encoder = fairseq_xalign.load_encoder(folder, "cpu")
    vectors = [
        torch.from_numpy(encoder.encode((run / name).read_text().splitlines(), pooling="mean_all")) for name in "ab"
    ]
    assert report["forward"] == retrieval_accuracy(*vectors, margin="distance").forward


def test_a_name_that_is_no_path_here_is_one_of_the_hub(monkeypatch, tmp_path):
    folder = write_bert(tmp_path / "bert")
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(name, **options):
        asked.append(name)
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    for name in ("bert-base-made-up", "somebody/bert-base"):
        assert opening.open_encoder(name)[0].config.layers == 2
    assert asked == ["bert-base-made-up", "somebody/bert-base"]
    (tmp_path / "runs").mkdir()
    for name in ("runs/aling", "model.pt", str(tmp_path / "nowhere")):
        with pytest.raises(UserError, match="no such checkpoint"):
            opening.open_encoder(name)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--margin", "ratio", "--neighbours", "0"], "--neighbours 0 is too small"),
        (["--margin", "ratio", "--neighbours", "5"], "has 4 sentences, fewer than --neighbours 5. Choose 4 or fewer"),
        (["--neighbours", "4"], "--neighbours is for --margin"),
        (["--layer", "3"], "the model has 2 layers"),
    ],
)
def test_values_out_of_range_are_refused(run, capsys, options, message):
    pair = ["--source", f"en={run / 'a'}", "--target", f"xx={run / 'b'}"]
    assert main(["retrieve", "--checkpoint", str(run), *pair, *options]) == 1
    assert message in capsys.readouterr().err


def test_the_signature_names_the_neighbours_that_a_margin_has_looked_at(run, tmp_path):
    for name, lines in (("a", LINES[:2]), ("b", LINES[2:4])):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    sides = (("en", tmp_path / "a"), ("xx", tmp_path / "b"))
    assert "margin-distance-2" in retrieve(run, *sides, margin="distance")["signature"]
    assert "margin-distance-1" in retrieve(run, *sides, margin="distance", neighbours=1)["signature"]


def test_predictions_say_which_source_sentence_each_target_sentence_finds(run, tmp_path, capsys):
    sides = ["--source", f"de={run}/a", "--target", f"en={run}/a"]
    command = ["retrieve", "--checkpoint", str(run), *sides, "--predictions", str(tmp_path / "p.jsonl"), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["backward"] == 100.0
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines()]
    assert [(row["language"], row["text"], row["prediction"]) for row in rows] == [
        ("de", text, n) for n, text in enumerate(LINES)
    ]
    assert (
        main(["xtreme", "--task", "tatoeba", "--predictions", str(tmp_path / "p.jsonl"), "--output", str(tmp_path)])
        == 0
    )
    assert (tmp_path / "tatoeba" / "test-de.tsv").read_text("utf-8") == "2\n3\n1\n0\n"


def test_retrieve_refuses_what_is_no_language_and_predictions_in_place_of_a_text(tmp_path, capsys):
    for name in ("s.en", "s.de"):
        (tmp_path / name).write_text("one\ntwo\n", "utf-8")
    sides = [f"--source=en={tmp_path}/s.en", f"--target=de={tmp_path}/s.de"]
    assert main(["retrieve", "--checkpoint", "nowhere", *sides, "--predictions", str(tmp_path / "s.en")]) == 1
    assert "is read by this command, which would replace it" in capsys.readouterr().err
    assert main(["retrieve", "--checkpoint", "nowhere", f"--source=e n={tmp_path}/s.en", sides[1]]) == 1
    assert "--source 'e n' is not a language code" in capsys.readouterr().err
    assert main(["retrieve", "--checkpoint", "nowhere", sides[0], f"--target=en={tmp_path}/s.de"]) == 1
    assert "--source and --target are both 'en'" in capsys.readouterr().err


def test_no_column_of_a_printed_table_mixes_units(run, capsys):
    sides = ["--source", f"xx={run / 'a'}", "--target", f"yy={run / 'b'}"]
    assert main(["retrieve", "--checkpoint", str(run), *sides, "--device", "cpu"]) == 0
    accuracies, distances, _ = capsys.readouterr().out.split("\n\n")
    assert accuracies.splitlines()[0].endswith("accuracy (%)") and len(accuracies.splitlines()) == 5
    assert distances.splitlines()[0].endswith("distance (0 to 1)") and len(distances.splitlines()) == 4
    found = {"alignment": {"all": 25.0}, "precision": {"csls": {1: 30.0}}, "mean_cosine": 0.5, "signature": "s"}
    shares, cosines, _ = align._text(found).split("\n\n")
    assert shares.splitlines()[0].split() == ["measure", "%"] and "cosine" not in shares
    assert cosines.splitlines()[0].endswith("cosine (-1 to 1)") and cosines.endswith("0.5000")
