"""A family's subclasses of ``nn.Linear``, replaced by it while a base is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from torch import nn

from graftlm.contracts.errors import PluginError


@contextmanager
def plain_linear(classes: Sequence[str]) -> Iterator[None]:
    """``classes`` are ``module:Class``. bitsandbytes takes only modules whose type is ``nn.Linear`` itself, and passes
    Falcon's by without a word.
    """
    replaced = []
    try:
        for name in classes:
            module_name, _, attribute = name.partition(":")
            module = import_module(module_name)
            known = getattr(module, attribute, None)
            if not (isinstance(known, type) and issubclass(known, nn.Linear)):
                raise PluginError(f"the family's linear class {name} is not a subclass of torch.nn.Linear")
            replaced.append((module, attribute, known))
            setattr(module, attribute, nn.Linear)
        yield
    finally:
        for module, attribute, known in replaced:
            setattr(module, attribute, known)
