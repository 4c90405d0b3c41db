"""A record from outside: words and numbers are kept, but nothing in it may choose what is executed here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json, to_builtins, to_json
from graftlm.contracts.specs import Quantization
from graftlm_registry.adapters.names import check_name
from graftlm_registry.plugins import registry

LONGEST = 20_000
"""Characters of a word in a record."""
DEEPEST = 32
LARGEST = 10**12
"""Of a number: more than any count that a run has."""
ATTENTION = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""transformers fetches an implementation from a hub, and runs it, where the name has a slash in it."""
RUN = re.compile(r"[0-9A-Za-z-]{0,64}")
"""It is the name of a folder."""
NEEDED = ("options", "target_modules", "encoding")
"""Of the hyperparameters: what later runs go on from."""
NUMBERS = (
    "rank", "alpha", "dropout", "learning_rate", "steps", "epochs", "batch_size", "tokens_per_step", "seed", "density",
    "weight_decay", "loraplus_ratio", "label_smoothing", "neftune_alpha", "early_stopping", "kept_step",
)  # fmt: skip


def read_record(data: bytes, where: str) -> AdapterRecord:
    """``StoreError``, its sentence about ``where``, for anything that no record of graftlm holds. ``created`` is in UTC
    then, as graftlm writes it: adapters are sorted by it.
    """
    try:
        record = from_json(data, AdapterRecord, where)
    except RecursionError:
        raise StoreError(f"{where} is nested too deeply") from None
    except GraftlmError as error:
        raise StoreError(str(error)) from None
    for said in _values(to_builtins(record), where):
        _check_value(said, where)
    check_name(record.name)
    if record.kind != "adapter":
        raise StoreError(f"{where} is of an overlay, which only the graftlm that made it can use")
    if record.load.trust_remote_code:
        raise StoreError(f"{where} asks to run code of its base's repository, which graftlm does not take from outside")
    if not ATTENTION.fullmatch(record.load.attention):
        raise StoreError(f"{where} names the attention '{record.load.attention[:80]}', which is none of transformers'")
    if not RUN.fullmatch(record.run):
        raise StoreError(f"{where} names the run {record.run[:80]!r}, which is no name of a run")
    for problem in (*_options(record), *_hyperparameters(record.hyperparameters)):
        raise StoreError(f"{where} {problem}")
    return replace(record, created=_moment(record.created, where))


def _check_value(said: object, where: str) -> None:
    if isinstance(said, str):
        if not said.isprintable() and not said.replace("\n", "").replace("\t", "").isprintable():
            raise StoreError(f"{where} holds characters that a terminal would obey")
        if len(said) > LONGEST:
            raise StoreError(f"{where} holds a word of {len(said):,} characters")
    elif isinstance(said, int | float) and not abs(said) <= LARGEST:
        raise StoreError(f"{where} holds a number that is no count and no measure")


def _options(record: AdapterRecord) -> Iterator[str]:
    """The quantization's: a plugin that is not here is missed when the adapter is used."""
    try:
        known = {option.name for option in registry().get(Quantization, record.quantization).options}
    except GraftlmError:
        return
    for name in sorted(set(record.load.options) - known):
        yield f"has the option {name[:80]!r} of quantization {record.quantization}, which it has not"


def _hyperparameters(known: Mapping[str, Any]) -> Iterator[str]:
    for name in NEEDED:
        if known.get(name) is None:
            yield f"does not say {name} among its hyperparameters"
    for name in NUMBERS:
        if not (known.get(name) is None or _is_number(known[name])):
            yield f"says that {name} is {str(known[name])[:80]!r}, which is no number"
    for name in ("schedule", "combination", "optimizer"):
        if not isinstance(known.get(name, ""), str):
            yield f"has something else than it should for {name}"
    for name in ("options", "optimizer_options", "encoding"):
        if not isinstance(known.get(name, {}), Mapping):
            yield f"has something else than it should for {name}"
    for name, good in (("target_modules", lambda each: isinstance(each, str)), ("weights", _is_number)):
        values = known.get(name)
        if not (values is None or (isinstance(values, list | tuple) and all(map(good, values)))):
            yield f"has something else than it should for {name}"
    if isinstance(known.get("encoding"), Mapping):
        try:
            from_json(to_json(known["encoding"]), EncodingPlan, "the encoding")
        except GraftlmError as error:
            yield f"has an encoding that is none: {error}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(created: str, where: str) -> str:
    try:
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        pass
    raise StoreError(f"{where} has no moment at which it was made")


def _values(value: object, where: str, depth: int = 0) -> Iterator[object]:
    """All words and numbers in a JSON value, keys too."""
    if depth > DEEPEST:
        raise StoreError(f"{where} is nested too deeply")
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from _values(each, where, depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _values(each, where, depth + 1)
    else:
        yield value
