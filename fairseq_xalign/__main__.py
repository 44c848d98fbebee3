"""``python -m fairseq_xalign`` prints the path to give to fairseq's ``--user-dir``, from anywhere.

fairseq takes a path there, not a module's name, and looks for it in the working folder first; a checkout, a wheel
and an editable install each have another. ``--version`` prints the version instead.
"""

import argparse
from pathlib import Path

from fairseq_xalign import __version__

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
    parser.parse_args()
    print(Path(__file__).resolve().parent)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
