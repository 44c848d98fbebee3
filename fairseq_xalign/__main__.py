"""``python -m fairseq_xalign`` prints the path to give to fairseq's ``--user-dir``, from anywhere.

fairseq takes a path there, not a module's name, and looks for it in the working folder first; a checkout, a wheel
and an editable install each have another. ``--options`` prints the options of our tasks, criterions and models instead
(fairseq's own ``--help`` leaves them out), ``--version`` the version.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from fairseq_xalign import __version__
from fairseq_xalign.cli import guarded

EXAMPLE = 'example: fairseq-train DATA --user-dir "$(python -m fairseq_xalign)" --task align_mlm --arch xalign_tiny ...'


def main() -> int:
    """Print the absolute path of the package's folder, and nothing else."""
    parser = argparse.ArgumentParser(
        prog="python -m fairseq_xalign",
        description=(__doc__ or "").splitlines()[0],
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--options", action="store_true", help="list every option of fairseq-train that is ours")
    parser.add_argument("--debug", action="store_true", help="show the whole traceback if the command fails")
    if parser.parse_args().options:
        print_options()
    else:
        print(Path(__file__).resolve().parent)
    return 0


def print_options() -> None:
    """Each task, criterion, model and optimizer of ours with its options, defaults and help."""
    import fairseq_xalign.tasks.align_mlm
    import fairseq_xalign.tasks.xling
    from fairseq_xalign.criterions import xalign, xling
    from fairseq_xalign.models.presets import PRESETS
    from fairseq_xalign.models.xalign_encoder import XAlignEncoderConfig
    from fairseq_xalign.optimizer import AdamWConfig

    tasks = fairseq_xalign.tasks
    groups: dict[str, Any] = {
        "--task align_mlm": tasks.align_mlm.AlignMLMConfig,
        **{f"--task xling_{name}": tasks.xling.config_class(kind) for name, kind in tasks.xling.KINDS.items()},
        "--criterion mlm, tlm, xlm": xalign.ObjectivesConfig,
        "--criterion dict_mlm": xalign.DictionaryMLMConfig,
        "--criterion align_mlm": xalign.AlignConfig,
        "--criterion xalign": xalign.XAlignConfig,
        "--criterion xling": xling.XlingConfig,
        f"--arch {', '.join(PRESETS)}": XAlignEncoderConfig,
        "--optimizer adamw": AdamWConfig,
    }
    for title, options in groups.items():
        print(f"{title}")
        for field in dataclasses.fields(options):
            text = field.metadata.get("help")
            if text and field.name != "_name":
                default = "" if field.default in (None, False, "preset") else f" (default: {field.default})"
                print(f"  --{field.name.replace('_', '-'):24} {text}{default}")
        print()


if __name__ == "__main__":
    raise SystemExit(guarded(main, "python -m fairseq_xalign", debug="--debug" in sys.argv))
