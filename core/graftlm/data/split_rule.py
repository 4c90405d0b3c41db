"""``split.json``: the thresholds of a split, kept so that a grown file is split by the same ones."""

from __future__ import annotations

from pathlib import Path

import msgspec

from graftlm.contracts.errors import DataError, GraftlmError
from graftlm.contracts.serial import from_json

from .splitting import SplitRule

VERSION = 1


def rule_json(rule: SplitRule) -> bytes:
    """A rule as people can read it."""
    described = {"graftlm_split": VERSION, **msgspec.to_builtins(rule, order="deterministic")}
    return msgspec.json.format(msgspec.json.encode(described)) + b"\n"


def read_rule(path: Path) -> SplitRule:
    """``DataError`` where the file is none that ``graftlm data split`` wrote."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    try:
        rule = from_json(data, SplitRule, str(path))
        version = msgspec.json.decode(data).get("graftlm_split")
    except GraftlmError as error:
        raise DataError(f"{error}: give a split.json that 'graftlm data split' wrote") from None
    if version != VERSION:
        raise DataError(f"{path} is no split rule of version {VERSION}: give one that 'graftlm data split' wrote")
    shares = [(rule.validation, rule.test), *rule.classes.values()]
    if any(v < 0 or t < 0 or v + t > 1 for v, t in shares):
        raise DataError(f"{path} holds shares outside of 0 to 1")
    return rule
