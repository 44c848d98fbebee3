"""The settings of test runs are those that hydra composes by itself."""

from unittest import mock

from hydra._internal import config_loader_impl, config_repository
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.support import quick_hydra
from tests.support.trainings import TINY


def test_what_is_composed_quickly_is_what_hydra_composes():
    for further in ([], ["--lr", "0.5,0.25", "--seed", 7, "--save-dir", "a b/c:d=e", "--adam-betas", "(0.9, 0.98)"]):
        arguments = ["data", *TINY, *further]
        quick = [quick_hydra.compose(*arguments) for _ in range(2)]
        with (
            mock.patch.object(config_loader_impl, "CachingConfigRepository", config_repository.CachingConfigRepository),
            mock.patch.object(OverridesParser, "parse_rule", quick_hydra._parse_rule),
        ):
            assert quick == 2 * [quick_hydra.compose(*arguments)]
