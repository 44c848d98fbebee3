"""The version of the package: its only home."""

__version__ = "0.3.0.dev0"
