"""The conformance kit: what is asked of each kind of plugin, as classes to subclass.

>>> from graftlm.testing import TemplateSuite
... class TestMyTemplate(TemplateSuite):
...     template = "my-template"
...     goldens = (...)
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("pytest"):
    import pytest

    pytest.register_assert_rewrite(
        *(
            f"graftlm.testing.{name}"
            for name in ("formats", "templates", "families", "quantizations", "backends", "accelerators", "trackers")
        )
    )

from .accelerators import AcceleratorSuite
from .backends import BackendSuite
from .families import FamilySuite
from .formats import FormatSuite
from .quantizations import QuantizationSuite
from .templates import TemplateSuite
from .trackers import Told, TrackerSuite

__all__ = [
    "AcceleratorSuite",
    "BackendSuite",
    "FamilySuite",
    "FormatSuite",
    "QuantizationSuite",
    "TemplateSuite",
    "Told",
    "TrackerSuite",
]
