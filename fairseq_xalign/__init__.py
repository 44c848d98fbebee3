"""Multilingual encoders that transfer a task to languages without labels: a fairseq plugin.

``fairseq-train DATA --user-dir fairseq_xalign --task align_mlm ...`` from a checkout, or
``--user-dir $(python -m fairseq_xalign)`` from anywhere. fairseq itself imports ``tasks`` and
``models`` of this folder; importing the package alone imports neither fairseq nor torch.

From Python, without fairseq: :func:`load_encoder`, :func:`load_translator`, :func:`load_tagger`,
:func:`load_classifier`, :func:`load_qa` and :class:`XAlignFeatures`, which are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from fairseq_xalign import compat as _compat
from fairseq_xalign.version import __version__

if TYPE_CHECKING:
    from fairseq_xalign.api import load_classifier as load_classifier
    from fairseq_xalign.api import load_encoder as load_encoder
    from fairseq_xalign.api import load_qa as load_qa
    from fairseq_xalign.api import load_tagger as load_tagger
    from fairseq_xalign.api import load_translator as load_translator
    from fairseq_xalign.api.features import XAlignFeatures as XAlignFeatures

# fairseq imports tasks and models of a user directory only if it imports the package itself, too.
_compat.complete_user_directory()

_API = {
    "XAlignFeatures": "fairseq_xalign.api.features",
    "load_classifier": "fairseq_xalign.api",
    "load_encoder": "fairseq_xalign.api",
    "load_qa": "fairseq_xalign.api",
    "load_tagger": "fairseq_xalign.api",
    "load_translator": "fairseq_xalign.api",
}
"""What Python programs use, and the module of each."""
__all__ = ["__version__", "load_classifier", "load_encoder", "load_qa", "load_tagger", "load_translator"]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_API[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
