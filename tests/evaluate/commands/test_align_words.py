"""`xalign-evaluate align --gold`: links of words in context against links made by people; and lists of words."""

import json
from pathlib import Path

import pytest
import torch

import fairseq_xalign
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.align import align, align_words
from fairseq_xalign.evaluate.linking import read_linked_text
from fairseq_xalign.evaluate.metrics.link_errors import METRICS, GoldLinks
from tests.support.checkpoints import save, two_layers_state
from tests.support.foreign_models import real_encoder, write_bert
from tests.support.public_data import public_files
from tests.support.samples import write_lines

SENTENCES = ["the house on the hill", "a walk in the garden"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save(two_layers_state(), folder / "checkpoint_best.pt")
    return folder


def counts(*pairs):
    """The error rate, precision and recall of (sure, possible besides, found)."""
    items = [(GoldLinks(set(sure), {*sure, *possible}), set(found)) for sure, possible, found in pairs]
    return [round(metric.corpus(items), 4) for metric in METRICS]


def test_the_error_rate_is_och_and_neys():
    # |A| = 3, |S| = 2, |A and S| = 1, |A and P| = 2.
    assert counts(({(0, 0), (1, 1)}, {(2, 2)}, {(0, 0), (2, 2), (3, 3)})) == [40.0, 66.6667, 50.0]
    assert counts(({(0, 0)}, set(), {(0, 0)})) == [0.0, 100.0, 100.0]
    assert counts(({(0, 0)}, set(), set())) == [100.0, 0.0, 0.0]
    # Counts are added up over sentences, not rates.
    assert counts(({(0, 0)}, set(), {(0, 0)}), ({(0, 0), (1, 1), (2, 2)}, set(), set())) == [60.0, 100.0, 25.0]


def test_gold_links_have_sure_and_possible_ones_and_may_count_from_one(tmp_path):
    path = write_lines(tmp_path / "gold", ["1-1 2p2 3?1", "", "1-2"])
    assert list(pharaoh.read_gold(path, first=1)) == [
        ({(0, 0)}, {(0, 0), (1, 1), (2, 0)}),
        (set(), set()),
        ({(0, 1)},) * 2,
    ]
    for line, first, message in (("0-1", 1, "place 0"), ("1:1", 0, "not a link")):
        with pytest.raises(UserError, match=f"gold:2.*{message}"):
            list(pharaoh.read_gold(write_lines(tmp_path / "gold", ["1-1", line]), first))


def test_a_text_linked_with_itself_has_no_errors(checkpoint, tmp_path, capsys):
    write_lines(tmp_path / "text", [f"{text} ||| {text}" for text in SENTENCES])
    # The method argmax links equal words one to one; "the" stands twice in the first sentence, in two contexts.
    write_lines(tmp_path / "gold", [" ".join(f"{i}-{i}" for i in range(5))] * 2)
    bitext = ["--bitext", f"en-xx={tmp_path / 'text'}", "--gold", str(tmp_path / "gold")]
    arguments = ["--checkpoint", str(checkpoint), *bitext]
    assert main(["align", *arguments, "--method", "argmax", "--layer", "2", "--json", "--device", "cpu"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scores"] == {"aer": 0.0, "precision": 100.0, "recall": 100.0, "f1": 100.0}
    assert report["links"] == {"found": 10, "sure": 10, "possible": 10} and report["intervals"]["aer"] == [0.0, 0.0]
    assert report["signature"].startswith("aer|per:link|n:2|method:argmax|layer:2|")
    assert main(["align", *arguments]) == 0
    assert "alignment error rate" in capsys.readouterr().out


def test_the_links_are_those_of_the_python_interface(checkpoint, tmp_path):
    other = ["garden the hill house", "on a walk"]
    for name, lines in (("a", SENTENCES), ("b", other), ("gold", ["0-0 1-3", "1-2"])):
        write_lines(tmp_path / name, lines)
    report = align_words(
        checkpoint,
        bitext=[tmp_path / "a", tmp_path / "b"],
        languages=("en", "xx"),
        gold=tmp_path / "gold",
        method="argmax",
        layer=1,
        device="cpu",
    )
    links = fairseq_xalign.load_encoder(checkpoint, "cpu").align(SENTENCES, other, method="argmax", layer=1)
    gold = [{(0, 0), (1, 3)}, {(1, 2)}]
    hits = sum(len(right & set(found)) for right, found in zip(gold, links))
    assert report["links"]["found"] == sum(map(len, links))
    assert report["scores"]["recall"] == pytest.approx(100 * hits / 3)


def test_a_word_of_white_space_counts_as_a_place_and_is_never_linked(checkpoint, tmp_path):
    write_lines(tmp_path / "text", ["house \u3000 hill ||| house hill"])
    write_lines(tmp_path / "gold", ["0-0 2-1"])
    text = read_linked_text([tmp_path / "text"], tmp_path / "gold")
    assert text.source == [["house", "\u3000", "hill"]]
    report = align_words(
        checkpoint, bitext=[tmp_path / "text"], languages=("ja", "en"), gold=tmp_path / "gold", method="argmax", layer=0
    )
    assert report["scores"]["recall"] == 100.0


WRONG = [
    (["a b ||| c"], ["0-0", ""], "2 lines of links for 1 sentence pair"),
    (["a b ||| c"], ["0-1"], "gold:1: a link to source word 0 and target word 1 of a pair with 2 and 1 words"),
    (["a b c"], ["0-0"], "text:1: 1 sides instead of two"),
    (["a ||| "], [""], "text:1: a sentence without words"),
    (["a ||| b"], [""], "no links: every line is empty"),
    ([], [], "no sentences"),
]


@pytest.mark.parametrize(("text", "gold", "message"), WRONG, ids=range(len(WRONG)))
def test_text_and_links_that_do_not_fit_are_refused_before_a_model_is_read(tmp_path, capsys, text, gold, message):
    write_lines(tmp_path / "text", text)
    write_lines(tmp_path / "gold", gold)
    bitext = ["--bitext", f"ja-en={tmp_path / 'text'}"]
    assert main(["align", "--checkpoint", "none.pt", *bitext, "--gold", str(tmp_path / "gold")]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bitext", "ja-en=x"], "--bitext and --gold go together"),
        (["--bitext", "ja-en=x", "--gold", "y", "--dictionary", "z"], "--gold measures links in context"),
        (["--bitext", "ja-en=x,y,z", "--gold", "y"], "names 3 files"),
        (["--bitext", "ja-en=x", "--gold", "y", "--threshold", "1"], "threshold 1.0 is not a probability"),
        (["--bitext", "ja-en=x", "--gold", "y", "--method", "argmax", "--threshold", "0.1"], "is for --method softmax"),
        (["--bitext", "ja-en=x", "--gold", "y", "--subset", "authors"], "--subset is for embeddings"),
        (["--bitext", "ja-en=x", "--gold", "y", "--languages", "ja,en"], "--languages is for embeddings"),
        (["--bitext", "ja-en=x", "--gold", "y", "--header", "no"], "--header is for embeddings"),
        (["--method", "softmax"], "--method is for links in context"),
        (["--threshold", "0.1"], "--threshold is for links in context"),
        (["--layer", "3"], "--layer is for links in context"),
        (["--device", "cpu"], "--device is for links in context"),
        (["--one-based"], "--one-based is for links in context"),
        (["--languages", "ja,en"], "--languages is for a list of word pairs"),
        (["--header", "yes"], "--header is for a list of word pairs"),
    ],
)
def test_options_that_do_not_go_together_or_have_no_effect_are_refused(capsys, arguments, message):
    assert main(["align", "--checkpoint", "none.pt", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_kftts_gold_links_are_read_whole():
    gold, both = public_files("word-alignment/kftt-ja-en/jaen.*.xz")
    text = read_linked_text([both], gold, one_based=True)
    assert len(text.gold) == 582
    assert sum(len(gold.sure) for gold in text.gold) == 13_562, "as its README states"


def test_a_real_encoder_links_words_of_japanese_and_english(tmp_path):
    gold, both = public_files("word-alignment/kftt-ja-en/jaen.*.xz")
    text = read_linked_text([both], gold, one_based=True)
    first = [(" ".join(s), " ".join(t)) for s, t in zip(text.source[:20], text.target[:20])]
    write_lines(tmp_path / "text", [f"{s} ||| {t}" for s, t in first])
    write_lines(tmp_path / "gold", [pharaoh.line_of(set(gold.sure)) for gold in text.gold[:20]])
    report = align_words(
        real_encoder("e5"),
        bitext=[tmp_path / "text"],
        languages=("ja", "en"),
        gold=tmp_path / "gold",
        method="argmax",
        device="cpu",
    )
    # Words linked at random would be right in about one of twenty.
    assert report["scores"]["precision"] > 40


# -- lists of words ---------------------------------------------------------------------------------


def test_a_list_of_words_is_scored_by_the_means_of_their_pieces(checkpoint, tmp_path, capsys):
    write_lines(tmp_path / "words.txt", ["house house", "hill hill", "garden garden", "☃☃ house"])
    report = align(checkpoint, dictionary=tmp_path / "words.txt", languages=["en", "xx"])
    assert report["alignment"] == {"all": 100.0} and report["left_out"] == 1 and report["pairs"] == {"all": 3}
    assert report["mean_cosine"] == pytest.approx(1.0, abs=1e-6)
    (tmp_path / "words.csv").write_text("en,xx\nhouse,hill\n")
    options = ["--dictionary", str(tmp_path / "words.csv"), "--languages", "en,xx", "--json"]
    assert main(["align", "--checkpoint", str(checkpoint), *options]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["candidates"] == 1 and "names of the columns" in found.err


def test_a_list_of_words_must_name_its_languages_and_have_known_words(checkpoint, tmp_path):
    write_lines(tmp_path / "words.txt", ["☃ ☂"])
    with pytest.raises(UserError, match="--languages XX,YY"):
        align(checkpoint, dictionary=tmp_path / "words.txt")
    with pytest.raises(UserError, match=r"words.txt: the vocabulary knows both words of none of 1 pairs"):
        align(checkpoint, dictionary=tmp_path / "words.txt", languages=["en", "xx"])


def test_a_folder_of_transformers_is_measured_as_its_embeddings_stand(tmp_path):
    import transformers

    folder = write_bert(tmp_path / "bert")
    words = [line for line in (Path(folder) / "vocab.txt").read_text().splitlines() if line.isalpha()][:6]
    write_lines(tmp_path / "words.txt", [f"{a} {b}" for a, b in zip(words, words[1:])])
    report = align(folder, dictionary=tmp_path / "words.txt", languages=["en", "de"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    weight = transformers.AutoModel.from_pretrained(folder).get_input_embeddings().weight.detach()
    rows = torch.stack([weight[tokenizer(word, add_special_tokens=False)["input_ids"]].mean(0) for word in words])
    cosines = torch.nn.functional.cosine_similarity(rows[:-1], rows[1:])
    assert report["mean_cosine"] == pytest.approx(float(cosines.mean()), abs=1e-5)
    with pytest.raises(UserError, match="--dictionary"):
        align(folder)
