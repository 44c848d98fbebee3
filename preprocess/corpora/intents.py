"""Commands to a smart home with their intents, in many languages, made from the sentence templates of people.

A template ("turn on [all] (the|my) {area} lights") is expanded at random with fixed seeds. Templates, not sentences,
are split, and no sentence is in two splits: the template of a test sentence was never seen in training.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import progress
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean
from preprocess.corpora.corpus import Corpus, CorpusFolder

INTENTS = Archive(
    "pip",
    "home-assistant-intents",
    "2026.10.27",
    "home_assistant_intents-2026.10.27-py3-none-any.whl",
    775_094,
    "256eb1e4fc6e6f4943d0ba4e089c9639d74d0e9d62ccddeb7148bc168de55e40",
)
SENTENCES = {"test": 20, "valid": 10, "train": 60}
"""The largest number of different sentences per intent in each split, in the order in which splits are filled."""
TEST_SHARE, VALID_SHARE = 0.2, 0.1
FEWEST_INTENTS, FEWEST_SENTENCES = 5, 100
"""A language with fewer intents in training, or fewer training sentences, is left out."""
PATIENCE = 40
"""After this many draws in a row without a new sentence, an intent's templates are taken to have no more wordings."""
DEEPEST = 12
PLACEHOLDER = "X"
"""Stands for a free slot: the name of a room, a device, a message."""


class CannotExpand(Exception):
    """A template that names a rule or a list which the package does not define, or that is not well-formed."""


class Expander:
    """Draws wordings of the templates of one language.

    Syntax: ``[optional]``, ``(one|other)``, ``(any;order)``, ``<rule>``, ``{list}`` or ``{list:slot}``, ``\\`` escapes.
    """

    def __init__(self, rules: dict[str, str], lists: dict[str, Any], generator: random.Random) -> None:
        self.rules, self.lists, self.random = rules, lists, generator

    def expand(self, template: str, depth: int = 0) -> str:
        """One wording of ``template``."""
        if depth > DEEPEST:
            raise CannotExpand("rules that name each other")
        text, end = self._group(template, 0, "", depth)
        if end != len(template):
            raise CannotExpand(f"a bracket without its partner in {template!r}")
        return text

    def _group(self, template: str, place: int, close: str, depth: int) -> tuple[str, int]:
        """Read to the bracket ``close`` (or the end): the text drawn, and the place after it."""
        options, text, any_order = [], "", False
        while True:
            if place == len(template):
                if close:
                    raise CannotExpand(f"no {close} in {template!r}")
                break
            character = template[place]
            place += 1
            if character == close:
                break
            if character == "\\" and place < len(template):
                text += template[place]
                place += 1
            elif character == "(":
                inner, place = self._group(template, place, ")", depth)
                text += inner
            elif character == "[":
                inner, place = self._group(template, place, "]", depth)
                text += inner if self.random.random() < 0.5 else ""
            elif character == "|" or (character == ";" and close):
                any_order |= character == ";"
                options.append(text)
                text = ""
            elif character in "<{":
                end = template.find(">" if character == "<" else "}", place)
                if end < 0:
                    raise CannotExpand(f"no end of {character} in {template!r}")
                name = template[place:end]
                text += self._rule(name, depth) if character == "<" else self._slot(name, depth)
                place = end + 1
            elif character in ")]":
                raise CannotExpand(f"a bracket without its partner in {template!r}")
            else:
                text += character
        options.append(text)
        if any_order:
            self.random.shuffle(options)
            return " ".join(options), place
        return self.random.choice(options), place

    def _rule(self, name: str, depth: int) -> str:
        body = self.rules.get(name.rpartition(":")[2])
        if body is None:
            raise CannotExpand(f"no rule <{name}>")
        return self.expand(body, depth + 1)

    def _slot(self, name: str, depth: int) -> str:
        name = name.partition(":")[0]
        values = self.lists.get(name, {})
        if "values" in values:
            value = self.random.choice(values["values"])
            return self.expand(str(value["in"] if isinstance(value, dict) else value), depth + 1)
        if "range" in values:
            return str(self.random.randint(values["range"]["from"], values["range"]["to"]))
        if values.get("wildcard") or name in ("area", "floor", "name"):
            return PLACEHOLDER
        raise CannotExpand(f"no list {{{name}}}")


def split_templates(templates: list[str]) -> dict[str, list[str]]:
    """Deal the templates of an intent to the splits, in the order of their hashes; a lone one goes to training."""
    ordered = sorted(set(templates), key=lambda template: hashlib.blake2b(template.encode(), digest_size=8).digest())
    count = len(ordered)
    test = max(1, round(TEST_SHARE * count)) if count > 1 else 0
    valid = max(1, round(VALID_SHARE * count)) if count > 2 else 0
    return {"test": ordered[:test], "valid": ordered[test : test + valid], "train": ordered[test + valid :]}


def language_sentences(data: dict[str, Any], language: str) -> dict[str, list[tuple[str, str]]]:
    """Split -> [(intent, sentence)] of one language of the package; every sentence occurs once in all."""
    parts: dict[str, list[tuple[str, str]]] = {split: [] for split in SENTENCES}
    dealt = {
        intent: split_templates([sentence for block in about["data"] for sentence in block.get("sentences", ())])
        for intent, about in sorted(data["intents"].items())
    }
    seen: set[str] = set()
    for split, wanted in SENTENCES.items():
        for intent, templates in dealt.items():
            expander = Expander(data["expansion_rules"], data["lists"], random.Random(f"{language} {intent} {split}"))
            found = fruitless = 0
            while templates[split] and found < wanted and fruitless < PATIENCE:
                try:
                    sentence = clean(expander.expand(expander.random.choice(templates[split])))
                except CannotExpand:
                    sentence = ""
                if sentence and sentence.casefold() not in seen:
                    seen.add(sentence.casefold())
                    parts[split].append((intent, sentence))
                    found, fruitless = found + 1, 0
                else:
                    fruitless += 1
    return parts


def build_intents(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Every language of the package that has enough templates."""
    languages: dict[str, int] = {}
    with zipfile.ZipFile(archives[INTENTS.file]) as wheel:
        names = sorted(
            name for name in wheel.namelist() if re.fullmatch(r"home_assistant_intents/data/[\w-]+\.json", name)
        )
        for name in progress(names, "intents", len(names)):
            language = Path(name).stem
            data = json.loads(wheel.read(name))
            parts = language_sentences(data, language) if data.get("intents") else {"train": []}
            intents = {intent for intent, _ in parts["train"]}
            if len(intents) < FEWEST_INTENTS or len(parts["train"]) < FEWEST_SENTENCES:
                folder.dropped["languages with few templates"] += 1
                continue
            languages[language] = len(intents)
            with ExitStack() as stack:
                for split, pairs in parts.items():
                    stream = stack.enter_context(folder.open(f"{split}.{language}.tsv"))
                    for intent, sentence in pairs:
                        if intent in intents:
                            stream.line(f"{intent}\t{sentence}")
    folder.notes["intents"] = languages
    folder.notes["split"] = "by template; no sentence is in two splits"


CORPORA = (
    Corpus(
        name="intents",
        summary="commands to a smart home with their intent, from people's templates; about 50 languages",
        kind="classification",
        languages=("en", "…"),
        licence="Apache-2.0",
        attribution="Home Assistant intents, Open Home Foundation; package home-assistant-intents",
        cleaning=f"templates expanded at random, seeds fixed; free slots are {PLACEHOLDER!r}; words do not agree",
        archives=(INTENTS,),
        build=build_intents,
        working_space=20_000_000,
    ),
)
