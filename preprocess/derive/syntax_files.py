"""What ``derive --transform syn`` reads besides the text: the model of orders, and the parses or a parser."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import regular
from preprocess.derive.manifest import Settings
from preprocess.derive.order_model import OrderModel
from preprocess.derive.parses import Parsed, parses_path, passages_of, write_parses
from preprocess.derive.registry import WORD_ORDERS
from preprocess.parsers.loading import load_parser
from preprocess.readers import FORMATS, WITH_HEADER
from preprocess.readers.words import Change

TREEBANK = "conllu"
"""The format that brings its parses along."""
ONLY_FOR_SYN = "--order-model, --parser and --parses are for syn"


@dataclass(frozen=True)
class SyntaxFiles:
    """The files that the user named, None where not.

    Attributes:
        order_model: a model of orders.
        parser: ``stanza``, ``stanza:LANGUAGE``, or a folder of spaCy.
        parses: parses that are there, or the place for those that ``parser`` makes.
    """

    order_model: str | None = None
    parser: str | None = None
    parses: str | None = None

    def model(self, settings: Settings, recorded: dict[str, Any] | None) -> OrderModel | None:
        """The model of orders, None if no transformation needs it.

        Raises:
            UserError: if it is missing, not needed, or not the one that ``recorded``, a manifest, names.
        """
        if not any(WORD_ORDERS[name].parsed for name in settings.orders):
            if self.order_model or self.parser or self.parses:
                raise UserError(ONLY_FOR_SYN, remedy="Add syn to --transform")
            return None
        if self.order_model is None:
            raise UserError(
                "syn needs the order of another language",
                remedy="Make a model with xalign-preprocess order --treebank FILE, and give it as --order-model",
            )
        _agree("--order-model", Path(self.order_model), "order_model", recorded)
        return OrderModel.load(self.order_model)

    def with_parses(
        self, change: Change, settings: Settings, source: Path, reverse: bool, recorded: dict[str, Any] | None
    ) -> Change:
        """The change, given the parse of each passage; parses are made if they are not there yet."""
        if settings.data_format == TREEBANK and not reverse:
            if self.parser or self.parses:
                raise UserError(
                    "a treebank has its own parses: --parser and --parses are for other formats",
                    remedy="Leave them out",
                )
            return change
        path = Path(self.parses) if self.parses else parses_path(source)
        if reverse:
            if self.parses is None:
                raise UserError(
                    "syn is undone by the parses of the natural words",
                    remedy="Give --parses: the file of parses, or for --format conllu the natural treebank itself",
                )
            _agree("--parses", path, "parses", recorded)
            return Parsed(change, path, natural=False)
        if path.exists():
            cli.say(f"reading the parses in {path}")
        else:
            self._parse(settings, source, path)
        return Parsed(change, path, natural=True)

    def _parse(self, settings: Settings, source: Path, path: Path) -> None:
        if self.parser is None:
            raise UserError(
                f"syn needs the parse of each sentence, and {path} is missing",
                source,
                remedy="Give --parser DIR, made by xalign-preprocess parser, or --parser stanza",
            )
        parser = load_parser(self.parser)
        reader = importlib.import_module(FORMATS[settings.data_format])
        place = regular(source)
        examples = reader.read(place, settings.header) if settings.data_format in WITH_HEADER else reader.read(place)
        write_parses(passages_of(reader, examples), parser, path)
        cli.say(f"wrote the parses of {source} into {path}")

    def record(self, settings: Settings, source: Path, reverse: bool) -> dict[str, Any] | None:
        """What the manifest keeps: names and digests, so that the way back can check them."""
        if self.order_model is None:
            return None
        natural = source if settings.data_format == TREEBANK and not reverse else None
        parses = natural or (Path(self.parses) if self.parses else parses_path(source))
        return {"order_model": _digest(Path(self.order_model)), "parses": _digest(parses)}


def _digest(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": files.sha256(path)}


def _agree(option: str, path: Path, key: str, recorded: dict[str, Any] | None) -> None:
    there = (recorded or {}).get("syntax")
    if there is None:
        return
    if not path.exists():
        raise UserError("no such file", path, remedy=f"Give {there[key]['name']} as {option}")
    if files.sha256(path) != there[key]["sha256"]:
        raise UserError(
            f"not the {option} that the file was derived with: the manifest has another digest",
            path,
            remedy=f"Give {there[key]['name']} as it was",
        )
