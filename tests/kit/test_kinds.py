"""Every kind of plugin has a suite, and an example to begin with."""

from __future__ import annotations

from graftlm.testing.choosing import SUITES
from graftlm_registry.discovery import KIND_OF_HOOK


def test_every_kind_has_a_suite() -> None:
    kinds = [suite.kind for suite in SUITES]
    assert sorted(kinds) == sorted(set(KIND_OF_HOOK.values()))
