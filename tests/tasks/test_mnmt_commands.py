"""fairseq-generate, -interactive and -validate with ``--task mnmt``: text in and out, nothing lost, one-line errors."""

import re
import shutil

import pytest

from fairseq_xalign.evaluate.metrics.translation import corpus_bleu
from fairseq_xalign.models.checkpoint import read_translator
from fairseq_xalign.models.generate import translate
from tests.support.parallel import COUNTS, make_folder, sentences, spelled
from tests.support.running import ROOT, pretrain
from tests.support.trainings import command, run_function, wait

OURS = ["--user-dir", ROOT / "fairseq_xalign", "--cpu", "--num-workers", 0, "--task", "mnmt"]
LINES = [spelled(words, "en") for words in sentences(COUNTS["test"]["de"], "testde")]
LEARNING = ["--encoder-embed-dim", 64, "--encoder-ffn-embed-dim", 128, "--dropout", 0, "--max-tokens", 1500]


@pytest.fixture(scope="module")
def trained(parallel, tmp_path_factory):
    """A run that has learned a little, in all directions."""
    run = pretrain(parallel, tmp_path_factory.mktemp("trained"), "mnmt", 50, *LEARNING)
    assert run.status == 0, run.text[-1500:]
    return run


def fairseq(name, log, *arguments):
    """Exit status and output of one of fairseq's commands."""
    process = run_function(command, f"fairseq_cli.{name}", [str(a) for a in arguments], ("apply",), log=log)
    return wait(process, 120), log.read_text("utf-8")


def run_all(runs):
    """Run commands one after the other in one process, with a line between their outputs."""
    for name, *arguments in runs:
        command(f"fairseq_cli.{name}", arguments, ("apply",))
        print("=== done", flush=True)


def outputs(log, runs):
    """What each of ``runs``, (command, arguments...), prints."""
    process = run_function(run_all, [[str(a) for a in run] for run in runs], log=log)
    status, text = wait(process, 120), log.read_text("utf-8")
    assert status == 0, text[-2000:]
    parts = text.split("=== done\n")[:-1]
    assert len(parts) == len(runs)
    return parts


def refuse_all(runs):
    """Run commands that must fail, one after the other in one process; print what a user would be shown."""
    from fairseq_xalign.compat.errors import explain

    for name, *arguments in runs:
        try:
            command(f"fairseq_cli.{name}", arguments, ("apply",))
        except Exception as error:  # explain says None to what is no mistake of the user's
            print("REFUSED", explain(error), flush=True)


def refusals(log, runs):
    """What each of ``runs``, (command, arguments...), says instead of a traceback."""
    process = run_function(refuse_all, [[str(a) for a in run] for run in runs], log=log)
    assert wait(process, 120) == 0
    return [line for line in log.read_text("utf-8").splitlines() if line.startswith("REFUSED ")]


def lines_of(output, kind):
    """The texts of the lines ``S-``, ``T-``, ``H-`` or ``D-``, by number, in the order in which they stand."""
    found = re.findall(rf"^{kind}-(\d+)\t(?:-?[\d.e-]+\t)?(.*)$", output, re.MULTILINE)
    return {int(number): text for number, text in found}


def test_generate_translates_every_sentence_once_from_text_to_text(parallel, trained, tmp_path):
    """13 sentences: with fairseq's own batches of eight, the last five would be lost."""
    limits = [["--batch-size", 5], ["--max-tokens", 40], []]
    run = ["generate", parallel, *OURS, "-s", "en", "-t", "de", "--path", trained.save_dir, "--beam", 3]
    german = [spelled(words, "de") for words in sentences(COUNTS["test"]["de"], "testde")]
    model, tokenizer, _ = read_translator(trained.save_dir)
    ours = translate(model, tokenizer, LINES, "en", "de", beam=3)
    *limited, plain = [[*run, "--scoring", "sacrebleu", *limit] for limit in limits] + [run]
    for output in outputs(tmp_path / "log", [*limited, plain]):
        assert lines_of(output, "S") == dict(enumerate(LINES)) and lines_of(output, "T") == dict(enumerate(german))
        assert lines_of(output, "D") == lines_of(output, "H") == dict(enumerate(ours))
        assert "Generate test with beam=3: BLEU" in output


def test_interactive_gives_the_ids_of_training_in_the_order_of_the_input(parallel, trained, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"{line}\n" for line in LINES), "utf-8")
    options = ["-s", "en", "-t", "de", "--path", trained.save_dir, "--beam", 3]
    status, output = fairseq("interactive", tmp_path / "log", parallel, *OURS, *options, "--input", tmp_path / "in.txt",
                             "--buffer-size", 100, "--max-tokens", 40)  # fmt: skip
    assert status == 0, output[-2000:]
    _, generated = fairseq("generate", tmp_path / "log2", parallel, *OURS, *options)
    for kind in "SHD":
        found = lines_of(output, kind)
        assert list(found) == list(range(13)) and found == dict(sorted(lines_of(generated, kind).items()))
    scores = [dict(re.findall(r"^H-(\d+)\t(\S+)", text, re.MULTILINE)) for text in (output, generated)]
    assert {k: float(v) for k, v in scores[0].items()} == pytest.approx({k: float(v) for k, v in scores[1].items()},
                                                                        abs=1e-4)  # fmt: skip


def test_empty_and_unknown_text_goes_through_interactive(parallel, trained, tmp_path):
    (tmp_path / "in.txt").write_text("\nba <2fr> </s>\n☃☃☃\n  ba  be\n", "utf-8")
    status, output = fairseq("interactive", tmp_path / "log", parallel, *OURS, "-s", "en", "-t", "fr", "--path",
                             trained.save_dir / "checkpoint_last.pt", "--input", tmp_path / "in.txt")  # fmt: skip
    assert status == 0, output[-2000:]
    found = lines_of(output, "D")
    assert list(found) == [0, 1, 2, 3] and not any("<2" in text for text in found.values())


def test_bleu_is_that_of_plain_text_and_signed_unless_a_scorer_is_chosen(parallel, trained, tmp_path):
    run = ["generate", parallel, *OURS, "-s", "en", "-t", "de", "--path", trained.save_dir]
    plain, fairseqs, pieces, chrf = outputs(
        tmp_path / "log",
        [[*run, *more] for more in ([], *(["--scoring", name] for name in ("sacrebleu", "bleu", "chrf")))],
    )
    found = corpus_bleu(*([text for _, text in sorted(lines_of(plain, kind).items())] for kind in "DT"), "de")
    said = re.search(r"^Generate test with beam=5: BLEU = ([\d.]+) \(length ratio [\d.]+, (BLEU\|.*)\)$", plain, re.M)
    assert float(said[1]) == pytest.approx(found.score, abs=0.006) and said[2] == found.signature
    assert re.search(r"BLEU = ([\d.]+)", fairseqs)[1] == said[1]
    assert "--scoring bleu compares the vocabulary's pieces" in pieces and "xalign-evaluate bleu" in pieces
    assert "BLEU4 = " in pieces and "chrF2 = " in chrf


OFFERED = {
    "sampling": ["--sampling", "--nbest", 2, "--beam", 2],
    "penalties": ["--lenpen", 2, "--no-repeat-ngram-size", 2],
    "prefix": ["--prefix-size", 1],
    "reference": ["--score-reference"],
    "alignment": ["--print-alignment"],
}


def test_what_fairseqs_generator_offers_works(parallel, trained, tmp_path):
    run = ["generate", parallel, *OURS, "-s", "en", "-t", "de", "--path", trained.save_dir]
    found = outputs(tmp_path / "log", [[*run, *options] for options in OFFERED.values()])
    for name, output in zip(OFFERED, found, strict=True):
        assert len(lines_of(output, "D")) == 13, name
        if name == "reference":
            assert lines_of(output, "D") == lines_of(output, "T")


def test_constraints_are_plain_text_too(parallel, trained, tmp_path):
    (tmp_path / "in.txt").write_text("ba be\tIK\nba be\n", "utf-8")
    status, output = fairseq("interactive", tmp_path / "log", parallel, *OURS, "-s", "en", "-t", "de", "--constraints",
                             "--path", trained.save_dir, "--input", tmp_path / "in.txt", "--beam", 8)  # fmt: skip
    assert status == 0, output[-2000:]
    found = lines_of(output, "D")
    assert "IK" in found[0] and "IK" not in found[1]


def test_directions_without_training_data_are_translated_and_validated(parallel, trained, tmp_path):
    options = ["-s", "de", "-t", "fr", "--path", trained.save_dir]
    status, output = fairseq("generate", tmp_path / "log", parallel, *OURS, *options)
    assert status == 0 and len(lines_of(output, "D")) == 9, output[-2000:]
    status, output = fairseq("validate", tmp_path / "log", parallel, *OURS, *options, "--valid-subset", "test",
                             "--max-tokens", 500, "--log-format", "json")  # fmt: skip
    assert status == 0 and '"test_loss_de_fr"' in output, output[-2000:]


@pytest.mark.parametrize("direction", [[], ["-s", "en", "-t", "de"]], ids=["all", "one"])
def test_validate_gives_the_figures_of_training_from_a_folder_that_was_moved(parallel, trained, tmp_path, direction):
    moved = shutil.copytree(trained.save_dir, tmp_path / "moved")
    status, output = fairseq("validate", tmp_path / "log", parallel, *OURS, *direction, "--max-tokens", 1500, "--path",
                             moved, "--log-format", "json")  # fmt: skip
    assert status == 0, output[-2500:]
    best = trained.records("valid")[-1]
    names = ["loss_en_de"] if direction else ["loss", "loss_en_de", "loss_fr_en"]
    for name in names:
        assert float(re.search(rf'"valid_{name}": "?([0-9.]+)', output)[1]) == pytest.approx(
            float(best[f"valid_{name}"]), abs=0.002
        )
    assert ("loss_fr_en" in output) == (not direction)


@pytest.mark.parametrize("target_token", ["separate", "none"])
def test_other_places_of_the_target_token_translate_too(parallel, tmp_path, target_token):
    """A checkpoint says where its token stands; several of them translate together."""
    options = [*LEARNING, "--target-token", target_token, "--directions", "en-de"]
    runs = [pretrain(parallel, tmp_path / str(seed), "mnmt", 10, *options, "--seed", seed) for seed in (1, 2)]
    paths = ":".join(str(run.save_dir / "checkpoint_last.pt") for run in runs)
    direction = ["-s", "en", "-t", "de", "--beam", 2, "--path"]
    status, output = fairseq("generate", tmp_path / "log", parallel, *OURS, *direction, paths)
    assert status == 0 and len(lines_of(output, "D")) == 13, output[-2000:]
    one = runs[0].save_dir / "checkpoint_last.pt"
    status, output = fairseq("generate", tmp_path / "log", parallel, *OURS, *direction, one)
    model, tokenizer, state = read_translator(one)
    assert state["target_token"] == model.target_token == target_token
    assert [text for _, text in sorted(lines_of(output, "D").items())] == translate(
        model, tokenizer, LINES, "en", "de", 2
    )


def test_models_of_different_shapes_translate_together(parallel, trained, tmp_path):
    shape = ["--encoder-layers", 2, "--positions", "sinusoidal", "--dropout", 0.1, "--directions", "en-de"]
    other = pretrain(parallel, tmp_path / "other", "mnmt", 10, *shape)
    apart = pretrain(parallel, tmp_path / "apart", "mnmt separate", 2, *LEARNING)
    run = ["generate", parallel, *OURS, "-s", "en", "-t", "de", "--beam", 2, "--path"]
    paths = [str(r.save_dir / "checkpoint_last.pt") for r in (trained, other)]
    forth, back = outputs(tmp_path / "log", [[*run, ":".join(order)] for order in (paths, paths[::-1])])
    assert len(lines_of(forth, "D")) == 13 and lines_of(forth, "D") == lines_of(back, "D")
    scores = [re.findall(r"^H-\d+\t(\S+)", text, re.M) for text in (forth, back)]
    assert [float(s) for s in scores[0]] == pytest.approx([float(s) for s in scores[1]], abs=1e-4)
    (message,) = refusals(tmp_path / "log2", [[*run, f"{paths[0]}:{apart.save_dir}"]])
    assert "trained with --target-token separate, not source" in message and "trained alike" in message


def test_dropout_is_retained_where_that_is_asked_for(parallel, trained, tmp_path):
    run = ["generate", parallel, *OURS, "-s", "en", "-t", "de", "--path", trained.save_dir, "--beam", 2]
    dropping = [*run, "--model-overrides", "{'dropout': 0.3}"]
    retained = [*dropping, "--retain-dropout", "--seed"]
    several = [dropping, [*retained, 1], [*retained, 1], [*retained, 2], [*retained, 1, "--score-reference"]]
    plain, one, again, two, scored = (
        re.findall(r"^[HP]-.*$", text, re.M) for text in outputs(tmp_path / "log", several)
    )
    assert one == again != two and plain not in (one, two)
    (evaluated,) = outputs(tmp_path / "log2", [[*dropping, "--score-reference"]])
    assert re.findall(r"^[HP]-.*$", evaluated, re.M) != scored
    (message,) = refusals(tmp_path / "log3", [[*run, "--retain-dropout"]])
    assert "--retain-dropout has no effect: the model was trained without dropout" in message


def test_a_line_that_is_too_long_is_named_by_its_number_in_the_input(parallel, trained, tmp_path):
    (tmp_path / "in.txt").write_text("ba\nbe\nba\n\nba be\nba be ba be ba\nba\n", "utf-8")
    run = ["interactive", parallel, *OURS, "-s", "en", "-t", "de", "--path", trained.save_dir, "--input",
           tmp_path / "in.txt", "--buffer-size"]  # fmt: skip
    cases = [[*run, size, *limit] for size in (1, 4, 100) for limit in (["--max-source-positions", 6],
                                                                         ["--max-tokens", 6])]  # fmt: skip
    for number, message in enumerate(refusals(tmp_path / "log", cases)):
        assert "line 6 of the input" in message and "7" in message, message
        assert ("Raise --max-tokens to 7" if number % 2 else "7 source tokens, at most 6. Raise --max-s") in message
    assert number == 5


REFUSED = {
    "unknown target": (["-s", "en", "-t", "it"], "'it'", "<2en>, <2de>, <2fr>"),
    "unknown source": (["-s", "it", "-t", "en"], "'it'", "en, de, fr"),
    "one language": (["-s", "en"], "a direction has a source and a target language", "--target-lang"),
    "no language": ([], "directions to translate is not said", "--source-lang XX --target-lang YY"),
    "no test set": (["-s", "fr", "-t", "de", "--gen-subset", "valid"], "no valid text for fr-de", "en-de"),
    "too long": (["-s", "en", "-t", "de", "--max-source-positions", 4], "is too long", "--max-source-positions"),
    "a large sentence": (["-s", "en", "-t", "de", "--max-tokens", 5], "does not fit into --max-tokens 5", "Raise"),
    "options": (["-s", "en", "-t", "de", "--sampling"], "--sampling draws --beam 5", "--nbest 5"),
    "no such symbol": (["-s", "en", "-t", "de", "--sampling", "--nbest", 5, "--sampling-topk", 999],
                       "--sampling-topk 999 exceeds the vocabulary of", "Lower it"),
    "too short": (["-s", "en", "-t", "de", "--min-len", 30, "--max-len-a", 1, "--max-len-b", 1],
                  "--min-len 30 exceeds the longest translation,", "(--max-len-a 1.0 --max-len-b 1)"),
    "no scorer": (["-s", "en", "-t", "de", "--scoring", "bert_score"], "needs the package bert_score", "pip install"),
    "a tokenizer": (["-s", "en", "-t", "de", "--bpe", "bert"], "--bpe bert", "plain text"),
    "another token": (["-s", "en", "-t", "de", "--target-token", "none"], "trained with --target-token source", ""),
}  # fmt: skip


def test_what_cannot_be_translated_is_one_line(parallel, trained, tmp_path):
    runs = [["generate", parallel, *OURS, *options, "--path", trained.save_dir] for options, *_ in REFUSED.values()]
    messages = refusals(tmp_path / "log", runs)
    for (name, (_, *said)), message in zip(REFUSED.items(), messages, strict=True):
        assert all(part in message for part in said), f"{name}: {message}"


def test_checkpoints_that_do_not_fit_are_one_line(parallel, trained, tmp_path):
    other = make_folder(tmp_path, vocabulary=45)
    encoder = pretrain(parallel, tmp_path / "encoder", "mlm", 1)
    direction = ["-s", "en", "-t", "de"]
    cases = [
        (["generate", other, *OURS, *direction, "--path", trained.save_dir], "its vocabulary"),
        (["generate", parallel, *OURS, *direction, "--path", encoder.save_dir], "An encoder generates no text"),
        (["generate", parallel, *OURS, *direction, "--path", tmp_path / "none.pt"], "no such checkpoint"),
        (["interactive", parallel, *OURS, *direction], "Add --path CKPT"),
        (["interactive", parallel, *OURS[:-2], "--path", trained.save_dir], "Add --task mnmt"),
    ]
    messages = refusals(tmp_path / "log", [run for run, _ in cases])
    for message, (_, said) in zip(messages, cases, strict=True):
        assert said in message


def test_bleu_and_chrf_are_measured_in_training_and_choose_the_checkpoint(parallel, tmp_path):
    options = ["--eval-bleu", "--eval-bleu-sentences", 6, "--best-checkpoint-metric", "chrf", "--updates-per-epoch", 10,
               "--maximize-best-checkpoint-metric", "--directions", "en-de,de-en"]  # fmt: skip
    run = pretrain(parallel, tmp_path, "mnmt", 20, *LEARNING, *options)
    assert run.status == 0, run.text[-2000:]
    valid = run.records("valid")[-1]
    for name in ("bleu", "chrf", "repetition", "off_target"):
        each = [float(valid[f"valid_{name}_{key}"]) for key in ("en_de", "de_en")]
        assert float(valid[f"valid_{name}"]) == pytest.approx(sum(each) / 2, abs=0.01)
    assert "valid_best_chrf" in valid and "BLEU|nrefs:1|" in run.text and "chrF|nrefs:1|" in run.text
    plain = pretrain(parallel, tmp_path / "plain", "mnmt", 20, *LEARNING, *options[-2:], "--updates-per-epoch", 10)
    assert plain.losses() == run.losses(), "translating does not move training"
