"""Result files for tests: a small grid of runs with made-up figures."""

from fairseq_xalign.evaluate.report import results
from fairseq_xalign.evaluate.report.results import Result

# objective, dictionary, SUP, ZS, alignment
GRID = [
    ("align_mlm", "25 % frequent", 88.0, 58.0, 25.4),
    ("align_mlm", "25 % random", 87.0, 27.0, 22.0),
    ("mlm", None, 88.5, 14.0, 0.2),
    ("dict_mlm", "25 % frequent", 86.0, 48.0, 24.7),
    ("xlm", None, 89.0, 17.0, 0.1),
]


def result(objective="align_mlm", dictionary=None, sup=90.0, zs=60.0, align=50.0, seed=1, **changes):
    fields = {
        "objective": objective,
        "pair": "en-en_transinv",
        "transform": "Trans∘Inv",
        "task": "pos",
        "seed": seed,
        "dictionary": dictionary,
        "scores": {
            "source": {"accuracy": 90.0, "chunk_f1": 88.0},
            "sup": {"accuracy": sup, "chunk_f1": sup - 2},
            "zs": {"accuracy": zs, "chunk_f1": zs - 2},
        },
        "alignment": {"all": align, "heldout": 0.5},
        "retrieval": 71.25,
        "signature": {"accuracy": "accuracy|per:token|n:20|v:0"},
    }
    return Result(**(fields | changes))


def grid(folder, seeds=(1, 2), **changes):
    """Write the grid under ``folder``, a folder a run; the second seed is 2 points off in ZS."""
    for number, (objective, dictionary, sup, zs, align) in enumerate(GRID):
        for seed in seeds:
            run = folder / f"{changes.get('transform', 'inv')}-{changes.get('task', 'pos')}-{number}-{seed}"
            run.mkdir(parents=True)
            results.write(run, result(objective, dictionary, sup, zs + 2 * (seed - 1), align + seed, seed, **changes))
    return folder
