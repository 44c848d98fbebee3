"""The version of the package: its only home."""

__version__ = "0.2.0"
