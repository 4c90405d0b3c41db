"""``--config run.yaml``: the same keys as the flags, and ``options`` by kind of plugin."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graftlm.contracts.config import SETTINGS, RunConfig
from graftlm.contracts.errors import UsageError
from graftlm_registry.suggestions import unknown


def read_config_file(path: Path) -> dict[str, Any]:
    """Settings by name; ``UsageError`` on anything that is not one. Paths of data are relative to the file."""
    return typed_settings(str(path), read_yaml(path), path.parent)


def read_yaml(path: Path) -> dict[Any, Any]:
    """The keys and values of a file; ``UsageError`` where it has none."""
    import yaml

    try:
        if not path.is_file():
            raise UsageError(f"there is no configuration file {path}")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold keys and values, such as 'model: tiny-mistral'")
    return content


def typed_settings(what: str, content: Mapping[Any, Any], folder: Path | None = None) -> dict[str, Any]:
    """Keys and values as settings by name; ``UsageError`` begins with ``what``. Paths of data are relative to
    ``folder``.
    """
    kinds = typing.get_type_hints(RunConfig)
    names = [f.name for f in fields(RunConfig)]
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in names:
            raise UsageError(f"{what}: {unknown('key', str(key), [n.replace('_', '-') for n in names])}")
        if value is not None:
            found[name] = typed(f"{what}: {key}", name, value, kinds[name])
    for name in ("data", "val_data", "test_data", "replay", "retention_suite"):
        if name in found and folder is not None and not found[name].startswith("hf:") and found[name] != "-":
            found[name] = str(folder / found[name])
    return found


def typed(what: str, name: str, value: Any, kind: Any) -> Any:
    """A setting as its type, from YAML or Python; ``UsageError`` begins with ``what``."""
    if name == "options":
        if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
            raise UsageError(
                f"{what} must hold kinds of plugins, each with its options, such as 'method: {{use_rslora: true}}'"
            )
        return {str(kind): {str(option): v for option, v in values.items()} for kind, values in value.items()}
    wanted = next(t for t in typing.get_args(kind) if t is not types.NoneType)
    if wanted is str and isinstance(value, list):
        return ("," if name == "target_modules" else "+").join(map(str, value))
    words = SETTINGS[name]["words"]
    if isinstance(value, str) and value in words:
        return value
    if isinstance(value, str) and wanted is float:
        try:  # YAML 1.1 reads 2e-4 as text
            return float(value)
        except ValueError:
            pass
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise UsageError(f"{what} is {value!r}, and must be {' or '.join([_NAMES[wanted], *words])}")
    return value


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
