"""Multilingual encoders that transfer a task to languages without labels: a fairseq plugin.

``fairseq-train DATA --user-dir fairseq_xalign --task align_mlm ...`` from a checkout, or
``--user-dir $(python -m fairseq_xalign)`` from anywhere. fairseq itself imports ``tasks`` and
``models`` of this folder; importing the package alone imports neither fairseq nor torch.
"""

__version__ = "0.2.0"

from fairseq_xalign import compat as _compat

# fairseq imports tasks and models of a user directory only if it imports the package itself, too.
_compat.complete_user_directory()
