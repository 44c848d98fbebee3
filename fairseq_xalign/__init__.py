"""Multilingual encoders that transfer a task to languages without labels: a fairseq plugin.

``fairseq-train DATA --user-dir fairseq_xalign --task align_mlm ...`` from a checkout, or
``--user-dir $(python -m fairseq_xalign)`` from anywhere. fairseq itself imports ``tasks`` and
``models`` of this folder; importing the package alone imports neither fairseq nor torch.
"""

__version__ = "0.1.0"
