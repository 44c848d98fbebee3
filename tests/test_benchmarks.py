"""Every benchmark runs, prints one table and writes JSON; their figures are measured by `make bench`, not here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.warm import warm_python

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="no benchmarks beside this package")


def run(*command: object) -> subprocess.CompletedProcess:
    variables = {**os.environ, "PYTHON": warm_python(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*map(str, command)], env=variables, text=True, capture_output=True, timeout=900, cwd="/")


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ("throughput", ["--contenders", "ours,fairseq"], "ours is ... times faster"),
        ("binarize", [], "equal bytes: yes"),
        ("derive", [], "trans,inv"),
        ("links", ["--aligners", "diagonal"], "AER gdfa"),
        ("predict", [], "times as fast"),
        ("finetune", [], "times as fast"),
        ("encode", [], "vectors agree to 0.0001: yes"),
        ("mnmt_throughput", ["--contenders", "ours,fairseq,products"], "ours is ... times faster"),
        ("decode", [], "translations equal to ours"),
        ("beam_width", [], "length ratio"),
        ("objectives", [], "wordalign"),
        ("startup", ["--contenders", "ours,fairseq"], "ours / fairseq"),
        ("startup", ["--simulate"], "large to small"),
    ],
)
def test_a_benchmark_prints_one_table_and_writes_json(script, options, said, tmp_path):
    pytest.importorskip("transformers" if script in ("predict", "encode") else "torch")
    pytest.importorskip("accelerate" if script == "finetune" else "torch")
    done = run(warm_python(), BENCHMARKS / f"{script}.py", "--small", "--json", tmp_path / "out.json", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert said in done.stdout
    value = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert "torch" in value["signature"] and value["arguments"]["small"] is True


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(tmp_path, monkeypatch):
    from benchmarks.common import use_peers

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "before")
    with pytest.raises(SystemExit, match=r"no_such_peer is not installed: pip install .* -r benchmarks/peers.txt"):
        use_peers(None, needed="no_such_peer")
    (tmp_path / "no_such_peer.py").touch()
    use_peers(str(tmp_path), needed="no_such_peer")
    assert os.environ["PYTHONPATH"].split(os.pathsep) == ["before", str(tmp_path)]


def test_make_bench_runs_every_benchmark():
    line = next(line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if line.startswith("BENCHMARKS"))
    scripts = {path.stem for path in BENCHMARKS.glob("[a-z]*.py") if "__main__" in path.read_text("utf-8")}
    assert set(line.split(":=")[1].split()) == scripts


def test_what_a_gpu_must_show_is_tried_without_one(tmp_path):
    pytest.importorskip("transformers")
    done = run("bash", BENCHMARKS / "gpu_check.sh", "--device", "cpu", "--small", "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    steps = {step["name"]: step for step in json.loads((tmp_path / "out.json").read_text("utf-8"))["figures"]}
    names = {"tests", "throughput, blocks", "translation", "fine-tuning", "data", "fairseq-train", "repeats"}
    assert set(steps) == names | {"float32", "--autocast bf16"}
    assert "at most 0.0000 bits apart" in steps["repeats"]["result"]
    assert "resumed at 2, loss" in steps["float32"]["result"] and len(steps["float32"]["figures"]["updates"]) == 2
    assert all(step["passed"] for step in steps.values())
    assert "FAILED" not in done.stdout and "passed" in done.stdout


def test_without_a_gpu_the_check_says_how_to_try_it():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = run("bash", BENCHMARKS / "gpu_check.sh")
    assert done.returncode == 2 and "--device cpu --small" in done.stderr


def test_kernels_are_told_apart_by_the_names_that_a_profile_of_an_h100_had():
    from benchmarks.gpu.shares import kind_of

    names = {
        "void pytorch_flash::flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<Flash_bwd_kernel_traits>": "attention",
        "nvjet_sm90_tst_192x192_64x4_2x1_v_bz_coopB_bias_TNN": "products",
        "void at::native::multi_tensor_apply_kernel<FusedOptimizerTensorListMetadata>": "norm of the gradient, update",
        "triton_red_fused__log_softmax__to_copy_nll_loss_forward_prepare_softmax_online_sub_6": "compiled: losses",
        "triton_per_fused__to_copy_add_native_dropout_native_layer_norm_6": "compiled: reductions",
        "triton_poi_fused_gelu_5": "compiled: one value at a time",
        "void at::native::CatArrayBatchedCopy_vectorized<OpaqueType<2u>, unsigned int, 2, 128, 1, 16>": "copies",
        "void at::native::sum_and_scatter<float, long>(long const*, float*, long)": "other",
    }
    assert {name: kind_of(name) for name in names} == names
