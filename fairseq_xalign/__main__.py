"""``python -m fairseq_xalign`` prints the path to give to fairseq's ``--user-dir``, from anywhere.

fairseq expects a path there, not the name of a module, and looks for it in the working folder first; a checkout, a
wheel and an editable install each have a path of their own. ``--options`` prints the options of our tasks, criterions
and models instead (fairseq's own ``--help`` leaves them out), ``--presets`` the options of a paper's setting,
``--version`` the version.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import guarded
from fairseq_xalign.optimizers.presets import LR_READINGS, TRANSFORMER, WIDTH, listed, preset_options
from fairseq_xalign.version import __version__

EXAMPLE = 'example: fairseq-train DATA --user-dir "$(python -m fairseq_xalign)" --task align_mlm --arch xalign_tiny ...'


def main() -> int:
    """Print the absolute path of the package's folder, and nothing else."""
    parser = argparse.ArgumentParser(
        prog="python -m fairseq_xalign",
        description=(__doc__ or "").splitlines()[0],
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__, help="Print the version and exit.")
    parser.add_argument(
        "--options", action="store_true", help="List every option that this plugin adds to fairseq-train."
    )
    parser.add_argument(
        "--presets",
        nargs="?",
        const="",
        metavar="NAME",
        help="Print the options of a paper's setting on one line, to be pasted into a command of fairseq-train; "
        "without a name, list all presets.",
    )
    parser.add_argument(
        "--width",
        type=int,
        default=WIDTH,
        metavar="D",
        help="Width of the encoder, on which the learning rate of MMTE's schedules depends (default: 1024, MMTE's).",
    )
    parser.add_argument(
        "--lr-reading",
        choices=LR_READINGS,
        default=TRANSFORMER,
        help="How to read a schedule such as (3.0, 40k): 3.0 as the factor of Lingvo's Transformer schedule (default), "
        "as that of its square-root decay, or as the highest learning rate itself.",
    )
    parser.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help="Number of training examples, from which the presets of PPA, TPP, ALIGN-MLM and XTREME compute the update "
        "at which their learning rate is 0: the sequences that fairseq-train says it reads. Each line of a file is "
        "one, unless it is longer than --max-length.",
    )
    parser.add_argument("--debug", action="store_true", help="Show the whole traceback if the command fails.")
    args = parser.parse_args()
    if args.options:
        print_options()
    elif args.presets is not None:
        print_presets(args.presets, args.width, args.lr_reading, args.examples)
    else:
        print(Path(__file__).resolve().parent)
    return 0


def print_presets(name: str, width: int, reading: str, examples: int | None = None) -> None:
    """Print the options of one preset on one line, or, without a name, every preset with what it is for."""
    print(preset_options(name, width, reading, examples) if name else "\n".join(listed(width, reading, examples)))


def print_options() -> None:
    """Print each task, criterion, model and optimizer of ours with its options, defaults and help texts."""
    from fairseq_xalign import compat

    compat.silence_tensorboard()
    compat.register()
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
    from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
    from fairseq.optim import OPTIMIZER_DATACLASS_REGISTRY
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    models = {name: MODEL_DATACLASS_REGISTRY.get(model) for name, model in ARCH_MODEL_NAME_REGISTRY.items()}
    registries = {
        "--task": TASK_DATACLASS_REGISTRY,
        "--criterion": CRITERION_DATACLASS_REGISTRY,
        "--arch": models,
        "--optimizer": OPTIMIZER_DATACLASS_REGISTRY,
    }
    for option, registry in registries.items():
        for names, fields in grouped(registry):
            print(f"{option} {', '.join(names)}")
            for field in fields:
                text = field.metadata["help"]
                stated = field.default in (None, False, "preset", dataclasses.MISSING) or "default" in text
                name = "DATA" if field.name == "data" else f"--{field.name.replace('_', '-')}"
                print(f"  {name:26} {text}{'' if stated or name == 'DATA' else f' (default: {field.default})'}")
            print()


def grouped(registry: Mapping[str, Any]) -> Iterator[tuple[list[str], list[dataclasses.Field]]]:
    """Yield the names of ours in one of fairseq's registries, those with equal options together, and the options."""
    found: dict[tuple, tuple[list[str], list[dataclasses.Field]]] = {}
    for name, options in registry.items():
        module = getattr(options, "__module__", "")
        if module.split(".")[0] == "fairseq_xalign":
            fields = [f for f in dataclasses.fields(options) if f.metadata.get("help") and f.name != "_name"]
            key = (module, *((f.name, f.metadata["help"]) for f in fields))
            found.setdefault(key, ([], fields))[0].append(name)
    yield from found.values()


if __name__ == "__main__":
    raise SystemExit(guarded(main, "python -m fairseq_xalign", debug="--debug" in sys.argv))
