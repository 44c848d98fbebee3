"""Sentence vectors, and `align` and `retrieve` on a checkpoint as training writes it."""

import io
import json

import pytest
import sentencepiece
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.retrieve import retrieve
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.sentences import batches_by_length, encode_sentences
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.pooling import pool
from fairseq_xalign.tokenizer.framing import FRAMES
from fairseq_xalign.tokenizer.tokenizer import Tokenizer, reserved_symbol

TEXT = [
    "the cat sat on the mat",
    "a dog ran over the road",
    "she reads the long letter again and again in the garden",
    "no",
    "rain falls on the roof",
    "they sing an old song about the sea",
]


@pytest.fixture(scope="module")
def tokenizer():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 5),
        model_writer=model,
        vocab_size=60,
        model_type="bpe",
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        user_defined_symbols="<mask>",
        minloglevel=2,
    )
    return Tokenizer.trained(model.getvalue(), languages=["en"])


def encoder_for(size, **changes):
    torch.manual_seed(42)
    fields = {"layers": 2, "heads": 2, "width": 16, "ffn_width": 32, "max_positions": 64} | changes
    return Encoder(EncoderConfig(vocab_size=size, **fields))


def save(path, encoder, tokenizer, **state):
    from dataclasses import asdict

    task = {
        "format": 1,
        "encoder": asdict(encoder.config),
        "languages": ["en", "en_trans"],
        "tokenizer": tokenizer.state(),
    }
    model = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"model": model, "task_state": task | state}, path)
    return str(path)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_batches_and_order_do_not_change_a_sentences_vector(tokenizer, pooling):
    encoder = encoder_for(len(tokenizer)).train()
    whole = encode_sentences(encoder, tokenizer, TEXT, pooling)
    assert whole.shape == (6, 16) and whole.dtype == torch.float32
    alone = torch.cat([encode_sentences(encoder, tokenizer, [line], pooling) for line in TEXT])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=1e-5)
    small = encode_sentences(encoder, tokenizer, TEXT[::-1], pooling, batch_tokens=20)
    torch.testing.assert_close(small.flip(0), alone, atol=1e-5, rtol=1e-5)
    assert encoder.training, "the encoder's mode is put back"


def test_pooling_leaves_out_the_ends_but_for_an_empty_sentence():
    batch = pack([[0, 7, 8, 2], [0, 2]])
    features = torch.tensor([[9.0], [1.0], [3.0], [9.0], [4.0], [6.0]])
    assert pool(features, batch.starts, "mean", edges=False).tolist() == [[2.0], [5.0]]
    assert pool(features, batch.starts, "max", edges=False).tolist() == [[3.0], [6.0]]
    assert pool(features, batch.starts, "cls", edges=False).tolist() == [[9.0], [4.0]]


def test_pooling_of_a_text_without_s_leaves_out_the_end_alone():
    batch = pack([[7, 8, 2], [2]])
    features = torch.tensor([[1.0], [3.0], [9.0], [6.0]])
    assert pool(features, batch.starts, "mean", edges=False, before=0).tolist() == [[2.0], [6.0]]
    assert pool(features, batch.starts, "max", edges=False, before=0).tolist() == [[3.0], [6.0]]


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_an_encoder_from_translation_reads_no_s_and_cuts_one_subword_later(tokenizer, pooling, capsys):
    encoder, frame = encoder_for(len(tokenizer), max_positions=8).eval(), FRAMES["eos"]
    ids = tokenizer.encode(TEXT[1])[:7]
    batch = pack([[*ids, 2]])
    expected = pool(encoder(batch)[:7], torch.tensor([0, 7]), pooling)
    found = encode_sentences(encoder, tokenizer, [TEXT[1], ""], pooling, frame=frame)
    assert "1 of 2 sentences cut off at 8 tokens" in capsys.readouterr().err
    torch.testing.assert_close(found[:1], expected.detach())
    torch.testing.assert_close(found[1:], encoder(pack([[2]])).detach())
    with pytest.raises(UserError, match="--pooling cls: this encoder comes from translation"):
        encode_sentences(encoder, tokenizer, TEXT, "cls", frame=frame)


def test_every_sentence_is_in_one_batch_of_the_budget():
    lengths = [5, 30, 2, 9, 9, 1, 12]
    batches = list(batches_by_length(lengths, 20))
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert all(sum(lengths[i] for i in batch) <= 20 for batch in batches if len(batch) > 1)
    assert batches[0] == [1]


def test_long_sentences_are_cut_and_counted(tokenizer, capsys):
    encoder = encoder_for(len(tokenizer), max_positions=8)
    vectors = encode_sentences(encoder, tokenizer, ["no", " ".join(TEXT)])
    assert torch.isfinite(vectors).all()
    assert "1 of 2 sentences cut off at 8 tokens" in capsys.readouterr().err


def test_a_language_changes_the_vector_and_bf16_hardly(tokenizer):
    encoder = encoder_for(len(tokenizer), n_languages=2)
    plain = encode_sentences(encoder, tokenizer, TEXT)
    assert (encode_sentences(encoder, tokenizer, TEXT, language=2) - plain).abs().max() > 1e-3
    half = encode_sentences(encoder, tokenizer, TEXT, bf16=True)
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(half, plain).min() > 0.99


@pytest.mark.parametrize("normalize_before", [False, True])
def test_a_layers_vectors_are_those_of_an_encoder_that_ends_there(tokenizer, normalize_before):
    encoder = encoder_for(len(tokenizer), normalize_before=normalize_before)
    last = encode_sentences(encoder, tokenizer, TEXT)
    assert torch.equal(encode_sentences(encoder, tokenizer, TEXT, layer=2), last)
    shorter = encoder_for(len(tokenizer), layers=1, normalize_before=normalize_before)
    shorter.load_state_dict(encoder.state_dict(), strict=False)
    shorter.final_norm = None  # the norm after all layers is the last one's alone
    first = encode_sentences(encoder, tokenizer, TEXT, layer=1)
    torch.testing.assert_close(first, encode_sentences(shorter, tokenizer, TEXT))
    assert (first - last).abs().max() > 1e-3
    word = pack([[0, *tokenizer.encode("no"), 2]])
    expected = pool(encoder.eval()._embed(word), word.starts, "mean", edges=False)
    torch.testing.assert_close(encode_sentences(encoder, tokenizer, ["no"], layer=0), expected.detach())


def test_unknown_pooling_names_the_choices(tokenizer):
    with pytest.raises(UserError, match="cls, mean, max"):
        encode_sentences(encoder_for(len(tokenizer)), tokenizer, TEXT, "median")


def aligned_checkpoint(path, tokenizer, share=0.5, overlap=0.0, **changes):
    """A doubled vocabulary's encoder whose first half of the copies equals the natural rows."""
    doubled = tokenizer.doubled(overlap=overlap, seed=1)
    encoder = encoder_for(len(doubled), **changes)
    aligned = round(share * doubled.pieces)
    with torch.no_grad():
        weight = encoder.embed_tokens.weight
        natural = doubled.natural_ids
        weight[doubled.derived_ids.start : doubled.derived_ids.start + aligned] = weight[
            natural.start : natural.start + aligned
        ]
    return save(path, encoder, doubled), doubled, aligned


def figures(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_align_scores_the_derived_pairs_of_a_checkpoint(tokenizer, tmp_path, capsys):
    checkpoint, doubled, aligned = aligned_checkpoint(tmp_path / "checkpoint_best.pt", tokenizer)
    report = figures(capsys, "align", "--checkpoint", str(tmp_path))
    assert report["pairs"]["all"] == report["candidates"] == doubled.pieces
    # The aligned half is found; of the others hardly one, by chance.
    assert 100 * aligned / doubled.pieces <= report["alignment"]["all"] <= 100 * (aligned + 4) / doubled.pieces
    assert main(["align", "--checkpoint", checkpoint]) == 0
    assert "alignment (all)" in capsys.readouterr().out


def test_align_leaves_out_pieces_that_both_languages_share(tokenizer, tmp_path, capsys):
    checkpoint, doubled, _ = aligned_checkpoint(tmp_path / "c.pt", tokenizer, share=0.0, overlap=0.25)
    report = figures(capsys, "align", "--checkpoint", checkpoint)
    assert report["candidates"] == doubled.pieces - round(0.25 * doubled.pieces)


def test_align_scores_what_the_training_dictionary_does_not_hold(tokenizer, tmp_path, capsys):
    checkpoint, doubled, aligned = aligned_checkpoint(tmp_path / "c.pt", tokenizer)
    entries = [(doubled.piece(i), reserved_symbol(i - 5), "1") for i in doubled.natural_ids[:aligned]]
    dictionary = tmp_path / "en-en_trans.tsv"
    header = '#xalign-dictionary\t{"source": "en", "target": "en_trans", "pieces": "single"}'
    dictionary.write_text("\n".join([header, *("\t".join(entry) for entry in entries)]) + "\n", encoding="utf-8")
    arguments = ["align", "--checkpoint", checkpoint, "--heldout", str(dictionary), "--subset", "authors"]
    report = figures(capsys, *arguments)
    assert report["pairs"]["heldout"] == doubled.pieces - aligned
    assert report["alignment"]["heldout"] < 20.0 < report["alignment"]["all"]
    assert {"authors_40", "authors_90"} <= set(report["alignment"])
    # Scored as the gold dictionary the aligned entries are all right, among all copies as candidates.
    report = figures(capsys, "align", "--checkpoint", checkpoint, "--dictionary", str(dictionary))
    assert report["alignment"]["all"] == 100.0
    assert report["candidates"] == doubled.pieces
    assert report["mean_cosine"] == pytest.approx(1.0, abs=1e-6)
    same = ["align", "--checkpoint", checkpoint, "--dictionary", str(dictionary), "--heldout", str(dictionary)]
    assert main(same) == 1
    assert "nothing is held out" in capsys.readouterr().err


def test_align_adds_language_embeddings_in_the_authors_reading(tokenizer, tmp_path, capsys):
    checkpoint, _, _ = aligned_checkpoint(tmp_path / "c.pt", tokenizer, n_languages=2)
    report = figures(capsys, "align", "--checkpoint", checkpoint, "--subset", "authors")
    assert {"authors_40_language", "authors_90_language"} <= set(report["alignment"])
    wrong = ["align", "--checkpoint", checkpoint, "--subset", "authors", "--languages", "en,de"]
    assert main(wrong) == 1
    assert "unknown language 'de'" in capsys.readouterr().err


def test_align_without_pairs_says_what_to_give(tokenizer, tmp_path, capsys):
    checkpoint = save(tmp_path / "c.pt", encoder_for(len(tokenizer)), tokenizer)
    assert main(["align", "--checkpoint", checkpoint]) == 1
    assert "--dictionary FILE" in capsys.readouterr().err


def test_align_refuses_a_model_that_diverged(tokenizer, tmp_path, capsys):
    doubled = tokenizer.doubled()
    encoder = encoder_for(len(doubled))
    encoder.embed_tokens.weight.data[7] = float("nan")
    assert main(["align", "--checkpoint", save(tmp_path / "c.pt", encoder, doubled)]) == 1
    assert "NaN" in capsys.readouterr().err


def test_retrieve_finds_the_transliteration_of_each_sentence(tokenizer, tmp_path, capsys):
    checkpoint, doubled, _ = aligned_checkpoint(tmp_path / "c.pt", tokenizer, share=1.0)
    source, target = tmp_path / "s", tmp_path / "t"
    source.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    lines = [" ".join(doubled.transliterate(word) for word in line.split()) for line in TEXT]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["retrieve", "--checkpoint", checkpoint, "--source", f"en={source}", "--target", f"en_trans={target}"]
    report = figures(capsys, *arguments)
    assert (report["forward"], report["backward"], report["mean"]) == (100.0, 100.0, 100.0)
    assert "pooling:mean" in report["signature"] and "n:6" in report["signature"]
    target.write_text("\n".join(lines[::-1]) + "\n", encoding="utf-8")
    assert figures(capsys, *arguments, "--centre")["mean"] < 50.0


def test_retrieve_counts_repeated_sentences_and_takes_any_copy_as_right(tokenizer, tmp_path, capsys):
    checkpoint, doubled, _ = aligned_checkpoint(tmp_path / "c.pt", tokenizer, share=1.0)
    source, target = tmp_path / "s", tmp_path / "t"
    lines = [" ".join(doubled.transliterate(word) for word in line.split()) for line in TEXT]
    source.write_text("\n".join([*TEXT, *TEXT]) + "\n", encoding="utf-8")
    target.write_text("\n".join([*lines, *lines]) + "\n", encoding="utf-8")
    arguments = ["retrieve", "--checkpoint", checkpoint, "--source", f"en={source}", "--target", f"en_trans={target}"]
    report = figures(capsys, *arguments)
    assert (report["mean"], report["duplicates"]) == (100.0, {"source": 6, "target": 6})
    assert "right:any-translation|n:12" in report["signature"]
    assert main(arguments) == 0
    assert "repeating an earlier line: 6 lines of source and 6 lines of target" in capsys.readouterr().err
    assert report == retrieve(checkpoint, ("en", source), ("en_trans", target), device="cpu")


def test_retrieve_takes_the_vectors_of_a_layer(tokenizer, tmp_path, capsys):
    checkpoint = save(tmp_path / "c.pt", encoder_for(len(tokenizer)), tokenizer)
    text = tmp_path / "text"
    text.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    arguments = ["retrieve", "--checkpoint", checkpoint, "--source", f"en={text}", "--target", f"xx={text}"]
    assert "layer:0" in figures(capsys, *arguments, "--layer", "0")["signature"]
    assert figures(capsys, *arguments) == figures(capsys, *arguments, "--layer", "2")
    assert main([*arguments, "--layer", "3"]) == 1
    assert "the model has 2 layers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [("a\nb\n", "a\n", "2 lines, but"), ("a\n\n", "a\nb\n", ":2: an empty line"), ("", "", "no sentences")],
)
def test_retrieve_refuses_files_that_are_not_parallel(tmp_path, capsys, source, target, message):
    (tmp_path / "s").write_text(source)
    (tmp_path / "t").write_text(target)
    arguments = ["--checkpoint", "none.pt", "--source", f"en={tmp_path / 's'}", "--target", f"de={tmp_path / 't'}"]
    assert main(["retrieve", *arguments]) == 1
    assert message in capsys.readouterr().err
