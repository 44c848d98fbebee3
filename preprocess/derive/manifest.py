"""``OUTPUT.manifest.json``: how a derived file was made, so that it can be undone and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign import files
from fairseq_xalign.data.formats.header import AUTO
from fairseq_xalign.errors import UserError, unknown_name
from preprocess.derive.marks import SPLITS
from preprocess.derive.registry import TRANSLITERATION, WORD_ORDERS
from preprocess.readers import FORMATS, WITH_HEADER

FORMAT = 1
SUFFIX = ".manifest.json"
DEFAULT_SEED = 1
DEFAULT_OVERLAP = 0.0
AGAIN = "Derive the file again with this version"
ABSENT: Any = object()


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "reverse": (lambda value: isinstance(value, bool), "true or false"),
    "transforms": (
        lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
        "a list of names",
    ),
    "inv_split": (lambda value: isinstance(value, str), "a name"),
    "data_format": (lambda value: isinstance(value, str) and value in FORMATS, f"one of {', '.join(FORMATS)}"),
    "seed": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "overlap": (lambda value: value is None or _number(value), "a number or null"),
    "output": (lambda value: isinstance(value, dict) and "sha256" in value, "an object with sha256"),
    "subword_sha256": (lambda value: value is None or isinstance(value, str), "a checksum or null"),
}
"""What a manifest must have to be undone: whether a value fits, and the same in words."""


@dataclass(frozen=True)
class Settings:
    """What fixes a derived language.

    Attributes:
        orders: word orders, in the order they are applied.
        transliterated: whether words are then transliterated.
        split: how sentences are found.
        data_format: the format of the file.
        seed, overlap, header: as the options.
    """

    orders: tuple[str, ...]
    transliterated: bool
    split: str
    data_format: str
    seed: int = DEFAULT_SEED
    overlap: float = DEFAULT_OVERLAP
    header: str = AUTO

    @property
    def transforms(self) -> list[str]:
        """All transformations, in the order they are applied."""
        return [*self.orders, *([TRANSLITERATION] if self.transliterated else [])]

    def record(self) -> dict[str, Any]:
        """The settings as the manifest has them; ``overlap`` only where there is a transliteration."""
        return {
            "transforms": self.transforms,
            "inv_split": self.split,
            "data_format": self.data_format,
            "seed": self.seed,
            "overlap": self.overlap if self.transliterated else None,
            **({"header": self.header} if self.data_format in WITH_HEADER else {}),
        }


def parse_transforms(text: str) -> tuple[tuple[str, ...], bool]:
    """``trans,inv`` as (word orders, whether transliterated): words come first however the list is written."""
    names = [name.strip() for name in text.split(",")]
    known = [*WORD_ORDERS, TRANSLITERATION]
    for name in names:
        if name not in known:
            raise unknown_name("transformation", name, known)
        if names.count(name) > 1:
            raise UserError(f"--transform names {name!r} twice", remedy="Name it once")
    orders = tuple(name for name in names if name != TRANSLITERATION)
    for name in orders[1:]:
        if WORD_ORDERS[name].parsed:
            first = ",".join([name, *(other for other in names if other != name)])
            raise UserError(
                f"--transform {text}: {name} reads the parse of natural sentences, so it comes first",
                remedy=f"Write --transform {first}",
            )
    return orders, TRANSLITERATION in names


def manifest_path(output: str | Path) -> Path:
    """Where the manifest of a derived file stands: beside it."""
    return Path(f"{output}{SUFFIX}")


def write(
    output: Path,
    source: Path,
    settings: Settings,
    reverse: bool,
    subword: str | None,
    counts: Mapping[str, int],
    syntax: Mapping[str, Any] | None = None,
) -> None:
    """Write the manifest of ``output``; ``syntax`` is what :class:`preprocess.derive.parses.SyntaxFiles` records."""
    files.write_json(
        manifest_path(output),
        {
            "format": FORMAT,
            "kind": "derived",
            "reverse": reverse,
            **settings.record(),
            "input": {"name": source.name, "sha256": files.sha256(source)},
            "output": {"name": output.name, "sha256": files.sha256(output)},
            "subword_sha256": subword,
            **({"syntax": syntax} if syntax else {}),
            "counts": dict(counts),
        },
    )


def read(derived: Path) -> dict[str, Any] | None:
    """The manifest beside a derived file, None if there is none.

    Raises:
        UserError: if it is of another format, itself of a reversal, or the file has changed since.
    """
    path = manifest_path(derived)
    if not path.exists():
        return None
    manifest = files.read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("kind") != "derived":
        raise UserError(f"not a manifest of format {FORMAT}", path, remedy=AGAIN)
    for key, (fits, what) in VALUES.items():
        if not fits(manifest.get(key, ABSENT)):
            shown = "absent" if key not in manifest else f"{manifest[key]!r:.60}"
            raise UserError(f"{key!r} must be {what}, not {shown}", path, remedy=AGAIN)
    if manifest["reverse"]:
        raise UserError(
            "this file was made by --reverse: it is natural text already", derived, remedy="Use it as it is"
        )
    if files.sha256(derived) != manifest["output"]["sha256"]:
        raise UserError(
            f"the file is not the one that {path.name} describes",
            derived,
            remedy="Derive it again, or delete the manifest to reverse it unchecked",
        )
    return manifest


def settings_for_reverse(manifest: dict[str, Any], given: Mapping[str, Any], path: Path) -> Settings:
    """The settings that ``manifest`` records; options ``given`` (None where not) must agree with it."""
    names: Sequence[tuple[str, str]] = (
        ("transforms", "--transform"),
        ("inv_split", "--inv-split"),
        ("data_format", "--format"),
        ("seed", "--seed"),
        ("overlap", "--overlap"),
        ("header", "--header"),
    )
    for key, option in names:
        if given.get(key) is not None and given[key] != manifest.get(key, AUTO):
            raise UserError(
                f"{option} says {_shown(given[key])}, but the manifest says {_shown(manifest.get(key, AUTO))}",
                manifest_path(path),
                remedy=f"Leave {option} out to take the manifest's",
            )
    orders, transliterated = parse_transforms(",".join(manifest["transforms"]))
    if manifest["inv_split"] not in SPLITS:
        raise unknown_name("sentence split", manifest["inv_split"], list(SPLITS))
    overlap = DEFAULT_OVERLAP if manifest["overlap"] is None else manifest["overlap"]
    return Settings(
        orders,
        transliterated,
        manifest["inv_split"],
        manifest["data_format"],
        manifest["seed"],
        overlap,
        manifest.get("header", AUTO),  # not recorded by the first version, which knew one header only
    )


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
