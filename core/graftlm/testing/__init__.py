"""The conformance kit: what is asked of each kind of plugin, as classes to subclass.

>>> from graftlm.testing import TemplateSuite
... class TestMyTemplate(TemplateSuite):
...     template = "my-template"
...     tokenizer = Path(__file__).parent / "tokenizer"
...     goldens = (...)

pytest runs them, and so does ``graftlm plugins check`` where the spec names its suite.
"""

from __future__ import annotations

import sys

if "pytest" in sys.modules:  # its failures show the values as well
    import pytest

    pytest.register_assert_rewrite(
        *(f"graftlm.testing.{name}" for name in (
            "suite", "manners", "targets", "formats", "templates", "families", "family_checks", "quantizations",
            "backends", "accelerators", "trackers", "optimizers", "evaluators", "commands", "methods",
            "kept_weights", "several_adapters",
            "sources",
        ))
    )  # fmt: skip

from .accelerators import AcceleratorSuite
from .answered import Example
from .backends import BackendSuite
from .commands import CommandSuite
from .evaluators import EvaluatorSuite
from .families import FamilySuite
from .formats import FormatSuite
from .gaps import Gap
from .methods import MethodSuite
from .optimizers import OptimizerSuite
from .quantizations import QuantizationSuite
from .sources import SourceSuite, lay_tiny_model
from .suite import KIT, Suite
from .templates import TemplateSuite
from .tiny_models import tokenizer_of
from .trackers import Told, TrackerSuite

__all__ = [
    "KIT",
    "AcceleratorSuite",
    "BackendSuite",
    "CommandSuite",
    "EvaluatorSuite",
    "Example",
    "FamilySuite",
    "FormatSuite",
    "Gap",
    "MethodSuite",
    "OptimizerSuite",
    "QuantizationSuite",
    "SourceSuite",
    "Suite",
    "TemplateSuite",
    "Told",
    "TrackerSuite",
    "lay_tiny_model",
    "tokenizer_of",
]
