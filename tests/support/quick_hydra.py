"""hydra without what it does again in every run: importing this makes it compose fairseq's settings in half the time.

It copies its whole store of configurations before every use, and parses some 300 settings, most of them the defaults.
That was a third of the time of a short training, of which tests run several hundred. What it composes is the same:
``tests/compat/test_quick_hydra.py``.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

from hydra._internal import config_loader_impl, config_repository
from hydra.core.override_parser.overrides_parser import OverridesParser

_parse_rule = OverridesParser.parse_rule
_parsed: dict[tuple[str, str], Any] = {}


class Repository(config_repository.CachingConfigRepository):
    """The store itself instead of a copy: nothing of fairseq's changes its sources."""

    def __init__(self, delegate: Any) -> None:
        self.delegate, self.cache = delegate, {}


def parse_rule(self: OverridesParser, text: str, rule_name: str) -> Any:
    """What hydra makes of one setting; of the same text the same again."""
    if (text, rule_name) not in _parsed:
        _parsed[text, rule_name] = _parse_rule(self, text, rule_name)
    return copy.copy(_parsed[text, rule_name])


config_loader_impl.CachingConfigRepository = Repository
OverridesParser.parse_rule = parse_rule


def compose(*arguments: object) -> Any:
    """fairseq's settings for a command line of ``fairseq-train``."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    parsed = options.parse_args_and_arch(options.get_training_parser(), [str(a) for a in arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_namespace_to_omegaconf(parsed)


compose("data", "--task", "masked_lm", "--arch", "roberta_base", "--criterion", "masked_lm", "--optimizer", "adam")
