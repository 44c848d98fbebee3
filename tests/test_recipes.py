"""What all recipes share: settings, dry runs, the share of parallel text. `make test-recipes` runs their stages."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preprocess.__main__ import main as preprocess
from tests.support.samples import sentences, subword_folder, write_lines
from tests.support.warm import warm_python

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"
pytestmark = pytest.mark.skipif(not RECIPES.exists(), reason="no recipes beside this package")


def recipe(name: str, *options: str) -> subprocess.CompletedProcess:
    command = ["bash", str(RECIPES / name / "run.sh"), *options]
    environment = {**os.environ, "PYTHON": warm_python()}
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=100, cwd="/")


def part(name: str):
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / "lib" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("ablation", "runs"),
    [("dictionary", 4), ("overlap", 3), ("alpha", 3), ("parallel", 5), ("syntax", 4)],
    ids=lambda value: str(value),
)
def test_an_ablation_runs_every_value_with_the_objectives_that_read_it_and_no_other(ablation, runs):
    # parallel: XLM with four shares, and ALIGN-MLM once, which reads no parallel text
    done = recipe("align_mlm", "--conf", "paper", "--ablation", ablation, "--dry-run")
    assert done.returncode == 0 and f"\n{runs} pre-training runs of 500000 updates" in done.stdout


def test_a_run_per_core_trains_at_once_whatever_openmp_is_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = recipe("align_mlm", "--conf", "demo", "--dry-run")
    assert f", {len(os.sched_getaffinity(0))} runs at a time" in done.stdout


def test_a_setting_is_changed_by_name_and_an_unknown_one_is_refused():
    done = recipe("align_mlm", "--set", "SEEDS=1 2 3", "--dry-run")
    assert done.returncode == 0 and "\n36 pre-training runs of 3700 updates of 128 x 128" in done.stdout
    done = recipe("align_mlm", "--set", "SEED=1", "--dry-run")
    assert done.returncode == 2 and "--set NAME=VALUE" in done.stderr


@pytest.mark.parametrize(
    ("device", "first", "last", "stopped"),
    [("gpu", 0, 2, False), ("gpu", 0, 8, True), ("gpu", 4, 8, True), ("gpu", 8, 8, False), ("cpu", 0, 8, False)],
)
def test_only_stages_that_compute_on_a_gpu_ask_for_one(device, first, last, stopped):
    # `false` in place of Python: torch sees no GPU
    settings = f"DEVICE={device} STAGE={first} STOP_STAGE={last} PYTHON=false CONFIG=paper STARTED=0"
    script = f"source {RECIPES}/lib/options.sh; {settings}; require_gpu 3 7; echo goes on"
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == ((1, "") if stopped else (0, "goes on\n"))
    assert ("needs a GPU for stages 3 to 7" in done.stderr) == stopped


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ablation", "nope"], "no ablation 'nope'; there are: alpha dictionary overlap parallel syntax"),
        (["--conf", "nope"], "no configuration 'nope'; there are: demo gpu paper"),
        (["--stage", "two"], "'two' is not a whole number"),
        (["--work"], "--work needs a value"),
        (["--jobs", "0"], "--jobs 0: no run could begin; give 1 or more"),
        (["--stage", "9"], "there is no stage 9; stages are 0 to 6"),
        (["--stop-stage", "7"], "there is no stage 7; stages are 0 to 6"),
        (["--stage", "4", "--stop-stage", "2"], "--stop-stage 2 is before --stage 4; give a --stop-stage from 4 to 6"),
        (["--set", "SEEDS="], 'SEEDS is empty: nothing would be trained; write, for example, --set SEEDS="1 2"'),
        (["--set", "SEEDS=1 a"], "SEEDS: 'a' is not a whole number; write, for example, --set SEEDS=\"1 2\""),
        (["--set", "UPDATES=many"], "UPDATES: 'many' is not a whole number"),
        (["--set", "DEVICE=tpu"], "DEVICE: no device 'tpu'; write --set DEVICE=cpu or --set DEVICE=gpu"),
        (["--work", __file__], f"--work {__file__}: {__file__} is a file; name another folder"),
        (["--work", f"{__file__}/a/b"], f"--work {__file__}/a/b: {__file__} is a file; name another folder"),
    ],
)
def test_wrong_options_are_answered_with_the_right_ones(options, said):
    for more in ([], ["--dry-run"]):
        done = recipe("align_mlm", *more, *options)
        assert done.returncode == 2 and said in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        # 4 runs of 6 minutes, two at a time, and one after the other; with one core too much, no run is cut in two
        (
            "demo",
            ["--jobs", "2"],
            "about 4 GB of memory, 620 MB of disk, 12 minutes after the download, 2 runs at a time",
        ),
        ("demo", ["--jobs", "1"], "24 minutes after the download, 1 runs at a time"),
        ("demo", ["--jobs", "3"], "12 minutes after the download"),
        ("demo", ["--jobs", "8"], "about 8 GB of memory, 620 MB of disk, 6 minutes after the download"),
        ("align_mlm", ["--conf", "gpu"], "60 minutes after the download, 4 runs at a time"),
        ("mmte", ["--jobs", "2"], "25 minutes after the download"),
        ("mmte", ["--conf", "full", "--jobs", "2"], "180 minutes after the download"),
        ("tpp", ["--set", "SEEDS=1 2", "--jobs", "2"], "20 minutes after the download, without the zero-shot tasks"),
        (
            "xtreme",
            ["--set", "ENCODERS=a", "--jobs", "4"],
            "12 runs, about 12 GB of memory, 6200 MB of disk, 60 minutes",
        ),
        ("demo", ["--jobs", "2", "--smallest"], "about 2 GB of memory, 180 MB of disk, 2 minutes on made-up data"),
        ("mmte", ["--jobs", "2", "--smallest"], "1 minute on made-up data"),
        ("tpp", ["--jobs", "2", "--smallest"], "1 minute on made-up data"),
        ("xtreme", ["--jobs", "2", "--smallest"], "12 minutes on made-up data"),
    ],
)
def test_an_estimate_counts_runs_that_train_at_once_and_what_the_smallest_scale_takes(name, options, said):
    done = recipe(name, *options, "--dry-run")
    assert done.returncode == 0 and said in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("jobs", ["0", "", "two"])
def test_trying_all_recipes_needs_a_run_at_a_time(jobs):
    command = ["bash", str(RECIPES / "test.sh"), "--jobs", jobs]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and f"--jobs '{jobs}' is not a number of runs; give 1 or more" in done.stderr


def test_pairs_too_long_for_half_a_sequence_are_not_counted_as_seen(tmp_path):
    subword_folder(tmp_path / "sub")
    lines = sentences("en", 60)
    write_lines(tmp_path / "mono.txt", lines)
    write_lines(tmp_path / "pair.txt", lines[::4])
    made = ["binarize", "--subword", str(tmp_path / "sub"), "--split", "train", "--output", str(tmp_path / "data")]
    mono = [f"--mono=en={tmp_path}/mono.txt", f"--mono=de={tmp_path}/mono.txt"]
    assert preprocess([*made, *mono, f"--bitext=en-de={tmp_path}/pair.txt,{tmp_path}/pair.txt"]) == 0
    share = part("parallel_share").parallel_share
    everything = share(tmp_path / "data", 4096)
    assert everything["pairs"] == 15 and everything["left_out"] == 0 and everything["sentences"] == 0.25
    # a quarter as long as each of two languages, twice: 0.5 of 2.5
    assert everything["tokens"] == pytest.approx(0.2, abs=0.03)
    few = share(tmp_path / "data", 24)
    assert 0 < few["left_out"] <= 15 and few["sentences"] == round((15 - few["left_out"]) / 60, 4)


def test_parallel_text_is_the_share_asked_for_and_sentences_are_spread_over_all_corpora(tmp_path):
    text = part("prepare_text")
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.txt", [f"{name}{n}" for n in range(100)])
    picked = text.spread([tmp_path / "a.txt", tmp_path / "b.txt"], 20)
    assert len(picked) == 20 and sum(line.startswith("a") for line in picked) == 10
    assert text.spread([tmp_path / "a.txt"], 1000) == [f"a{n}" for n in range(100)]


def test_the_cache_of_the_smallest_runs_is_what_fetch_takes_for_ready(tmp_path):
    done = subprocess.run(
        [sys.executable, str(RECIPES / "lib" / "smallest.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert preprocess(["fetch", "sotu", "wikitext-103", "ud-english-ewt", "--cache", str(tmp_path)]) == 0
    about = json.loads((tmp_path / "wikitext-103" / "corpus.json").read_text("utf-8"))
    assert about["files"]["text.en.txt"]["lines"] == 200 and "CC BY-SA" in about["licence"]


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """The command, without its arguments, that trial runs have for Python; one server for all tests here."""
    script, path = RECIPES / "lib" / "warm_python.py", tmp_path_factory.mktemp("warm") / "socket"
    server = subprocess.Popen(
        [sys.executable, script, "serve", path],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    while server.stdout.readline().strip() != "ready":
        assert server.poll() is None
    yield [sys.executable, "-I", "-S", str(script), "run", str(path)]
    server.stdin.close()
    assert server.wait(10) == 0


def call(warm: list[str], *arguments: object, **how) -> subprocess.CompletedProcess:
    return subprocess.run([*warm, *map(str, arguments)], text=True, capture_output=True, timeout=100, **how)


def test_a_warm_interpreter_keeps_arguments_streams_folder_environment_and_exit_status(warm, tmp_path):
    code = "import os, sys; print(sys.argv, input(), os.getcwd(), os.environ['SAID']); sys.exit(3)"
    done = call(warm, "-c", code, "a b", input="hello\n", cwd=tmp_path, env={"SAID": "yes"})
    assert (done.returncode, done.stdout) == (3, f"['-c', 'a b'] hello {tmp_path} yes\n")
    (tmp_path / "own.py").write_text("import sys, other; print(sys.argv[1:], other.x)", "utf-8")
    (tmp_path / "other.py").write_text("x = 5", "utf-8")
    assert call(warm, tmp_path / "own.py", "c").stdout == "['c'] 5\n"
    done = call(warm, "-c", "raise ValueError('no')")
    assert done.returncode == 1 and "ValueError: no" in done.stderr
    assert call(warm, "-c", "import sys; sys.exit('said')").stderr == "said\n"


def test_a_warm_interpreter_runs_modules_as_they_are_run_cold(warm):
    done = call(warm, "-m", "fairseq_xalign", "--version", cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    cold = subprocess.run(
        [sys.executable, "-m", "fairseq_xalign", "--version"], cwd=ROOT, text=True, capture_output=True
    )
    assert (done.returncode, done.stdout) == (cold.returncode, cold.stdout)


def test_a_command_of_a_warm_interpreter_ends_with_its_client(warm, tmp_path):
    file = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([*warm, "-c", code], timeout=5)
    pid = int(file.read_text())
    for _ in range(100):
        if not alive(pid):
            return
        time.sleep(0.1)
    pytest.fail("the command still runs")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def launched(script: str, *arguments: str, **environment: str) -> tuple[str, str]:
    """What a script of recipes/launch has a recipe run: TRAINER, and the recipe's arguments."""
    command = [sys.executable] if script.endswith(".py") else ["bash"]
    done = subprocess.run(
        [*command, str(RECIPES / "launch" / script), *arguments], env={**os.environ, "PYTHON": "python", **environment},
        text=True, capture_output=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trainer, *rest = done.stdout.splitlines()
    return trainer, "\n".join(rest)


@pytest.fixture
def shown(tmp_path):
    """A recipe that shows what it was started with."""
    file = tmp_path / "recipe.sh"
    file.write_text('echo "$TRAINER"; echo "$@"\n', "utf-8")
    return str(file)


def test_several_gpus_and_nodes_are_what_the_recipes_training_is_started_with(shown, tmp_path):
    trainer, arguments = launched("torchrun.sh", "--gpus", "8", shown, "--conf", "paper")
    assert "torch.distributed.run --nnodes 1 --node-rank 0 --nproc-per-node 8" in trainer
    assert trainer.endswith("-m fairseq_cli.train --distributed-world-size 8") and arguments == "--conf paper"
    trainer, _ = launched(
        "torchrun.sh", "--gpus", "8", "--nodes", "4", "--node-rank", "3", "--master", "one:2950", shown
    )
    assert "--master-addr one --master-port 2950" in trainer and trainer.endswith("--distributed-world-size 32")
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text('#!/bin/sh\nshift\nexec "$@"\n', "utf-8")
    srun.chmod(0o755)
    slurm = {"SLURM_NNODES": "4", "SLURM_NTASKS_PER_NODE": "8", "PATH": f"{srun.parent}:{os.environ['PATH']}"}
    trainer, arguments = launched("slurm.sh", shown, "--conf", "paper", **slurm)
    assert trainer == "python -m fairseq_cli.train --distributed-port 29500 --distributed-world-size 32"
    assert arguments == "--conf paper --stage 3 --stop-stage 3"
    text, _ = launched("submitit_train.py", "--nodes", "4", "--dry-run", "--", shown, "--conf", "paper")
    assert "--distributed-port 29500 --distributed-world-size 32" in text
    assert text.endswith(f"bash {shown} --conf paper --stage 3 --stop-stage 3")


def test_english_of_several_sets_has_each_split_of_the_last_one_that_has_it(tmp_path):
    for name, splits in (("multinli", ("train", "valid", "test")), ("xnli", ("valid", "test"))):
        for split in splits:
            row = {"id": "1", "text": f"{name} {split}", "text_pair": "b\tc", "label": "neutral"}
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{split}.en.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    found = part("further_labels").splits_of([tmp_path / "multinli", tmp_path / "xnli"])
    assert {split: rows[0]["text"] for split, rows in found.items()} == {
        "train": "multinli train", "valid": "xnli valid", "test": "xnli test",
    }  # fmt: skip
    assert part("further_labels").lines(found["test"][0]) == "xnli test\tb c\tneutral\n"


def test_the_papers_configuration_of_align_mlm_has_its_three_tasks():
    done = recipe("align_mlm", "--conf", "paper", "--dry-run")
    assert done.returncode == 0 and "ner:wikiann pairs:multinli+xnli" in done.stdout
