"""hydra without what it does again in every run: importing this makes it compose fairseq's settings quickly.

It copies its whole store of configurations before every use, parses some 300 settings, most of them the defaults, and
puts the same tree of defaults together for the same task, model and criterion. That was half of the time of a short
training, of which tests run several hundred. What it composes is the same: ``tests/compat/test_quick_hydra.py``.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import inspect
import io
import os
import pickle
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import omegaconf.base
from fairseq.dataclass.constants import ChoiceEnum, StrEnum
from hydra._internal import config_loader_impl, config_repository
from hydra._internal import utils as hydra_utils
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.support.trainings import COMPOSED

_parse_rule = OverridesParser.parse_rule
_defaults_list = config_loader_impl.create_defaults_list
_compose = ConfigLoaderImpl._compose_config_from_defaults_list
_parsed: dict[tuple[str, str], Any] = {}
_composed: dict[str, bytes] = {}


class Repository(config_repository.CachingConfigRepository):
    """The store itself instead of a copy: nothing of fairseq's changes its sources."""

    def __init__(self, delegate: Any) -> None:
        self.delegate, self.cache = delegate, {}


def parse_rule(self: OverridesParser, text: str, rule_name: str) -> Any:
    """What hydra makes of one setting; of the same text the same again."""
    if (text, rule_name) not in _parsed:
        _parsed[text, rule_name] = _parse_rule(self, text, rule_name)
    return copy.copy(_parsed[text, rule_name])


def _registered() -> dict[str, dict[str, type]]:
    """The settings of all tasks, models and so on that fairseq knows by now."""
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    others = {kind: registry["dataclass_registry"] for kind, registry in REGISTRIES.items()}
    return {"task": TASK_DATACLASS_REGISTRY, "model": MODEL_DATACLASS_REGISTRY, **others}


def _settings_of(kind: str, name: str) -> type:
    return _registered()[kind][name]


class _Pickler(pickle.Pickler):
    """Pickles classes that no name leads to: settings that a decorator made, and fairseq's choices.

    The choices come out as other classes of the same values.
    """

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, type):
            return NotImplemented
        if issubclass(thing, StrEnum) and thing.__name__ == "Choices":
            return ChoiceEnum, ([choice.value for choice in thing],)
        if dataclasses.is_dataclass(thing):
            for kind, registry in _registered().items():
                for name, settings in registry.items():
                    if settings is thing:
                        return _settings_of, (kind, name)
        return NotImplemented


def _pickled(thing: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(thing)
    return file.getvalue()


class Defaults(list):
    """The defaults that were chosen, in their order, and the settings that they make together."""

    together: Any = None


def chosen_defaults(
    repo: Any, config_name: str, overrides_list: list, prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    """The defaults that settings without a dot in their names choose; the other settings change values in them."""
    choices = [o for o in overrides_list if "." not in o.key_or_group]
    what = (config_name, prepend_hydra, skip_missing, "fairseq_xalign.tasks" in sys.modules)
    key = hashlib.sha256(repr((what, [o.input_line for o in choices])).encode()).hexdigest()
    kept = Path(os.environ[COMPOSED], key) if COMPOSED in os.environ else None
    if key not in _composed and kept and kept.exists():
        _composed[key] = kept.read_bytes()
    if key not in _composed:
        found = _defaults_list(repo, config_name, choices, prepend_hydra, skip_missing)
        loader = ConfigLoaderImpl.__new__(ConfigLoaderImpl)  # what composes needs nothing of it but its methods
        together = _compose(loader, found.defaults, repo)
        values = {o.input_line for o in found.config_overrides}
        _composed[key] = _pickled((found.defaults, together, found.overrides.known_choices, values))
        if kept:
            part = kept.with_suffix(f".{os.getpid()}")
            part.write_bytes(_composed[key])
            part.replace(kept)
    defaults, together, known, values = pickle.loads(_composed[key])
    defaults = Defaults(defaults)
    defaults.together = together
    return DefaultsList(
        defaults=defaults,
        defaults_tree=None,
        config_overrides=[o for o in overrides_list if "." in o.key_or_group or o.input_line in values],
        overrides=SimpleNamespace(known_choices=known),
    )


def composed(self: Any, defaults: Defaults, repo: Any) -> Any:
    """What `chosen_defaults` has kept."""
    return defaults.together


def stack_without_source() -> list[inspect.FrameInfo]:
    """The frames of the caller and of those around it; the text of their lines, which nobody reads, is left out."""
    return inspect.stack(0)[1:]


QUICK = [
    (config_loader_impl, "CachingConfigRepository", Repository),
    (config_loader_impl, "create_defaults_list", chosen_defaults),
    (ConfigLoaderImpl, "_compose_config_from_defaults_list", composed),
    (OverridesParser, "parse_rule", parse_rule),
    (hydra_utils, "inspect", SimpleNamespace(**vars(inspect) | {"stack": stack_without_source})),
    (omegaconf.base, "parse", functools.lru_cache(maxsize=None)(omegaconf.base.parse)),
]
"""What is replaced: the module or class, the name in it, and what stands there instead."""
HYDRAS_OWN = [(owner, name, getattr(owner, name)) for owner, name, _ in QUICK]
for owner, name, quick in QUICK:
    setattr(owner, name, quick)


def compose(*arguments: object) -> Any:
    """fairseq's settings for a command line of ``fairseq-train``."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    parsed = options.parse_args_and_arch(options.get_training_parser(), [str(a) for a in arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_namespace_to_omegaconf(parsed)


if "fairseq_xalign.tasks.align_mlm" in sys.modules:  # then the defaults of our own settings are parsed once too
    from fairseq_xalign.compat.user_directory import register

    register()
    for task, arch, criterion in (
        ("align_mlm", "xalign_tiny", "align_mlm"),
        ("mnmt", "mmte_tiny", "mnmt"),
        ("xling_tagging", "xalign_tiny", "xling"),
    ):
        compose("data", "--task", task, "--arch", arch, "--criterion", criterion, "--optimizer", "adamw")
compose("data", "--task", "masked_lm", "--arch", "roberta_base", "--criterion", "masked_lm", "--optimizer", "adam")
