"""``--from-adapter``: an adapter of the store to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.load import RopePlan
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import MethodPlan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import TuningMethod
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.plugins import Registry

from .fingerprints import model_digest
from .settings import Settings, flag


def parent_of(config: RunConfig, registry: Registry) -> AdapterRecord | None:
    """The record, its files whole; ``UsageError`` where it is asked for with other options."""
    if not config.from_adapter:
        return None
    store = open_store()
    record = store.get(config.from_adapter)
    if content_digest(store.path(record.reference)) != record.digest:
        raise StoreError(f"the files of {record.reference} are not those that were published")
    if config.method and registry.get(TuningMethod, config.method).name != record.method:
        raise UsageError(
            f"--method {config.method}: {record.reference}, which the run goes on from, has method {record.method}: "
            "leave it out"
        )
    if (config.options or {}).get("method"):
        raise UsageError(
            f"--set method.…: {record.reference}, which the run goes on from, has its own options: leave it out"
        )
    return record


def check_same(record: AdapterRecord, settings: Settings, method: MethodPlan, rope: RopePlan | None) -> None:
    """``UsageError`` where what was asked came to something else than what the adapter has once and for all."""
    known = record.hyperparameters
    was = {name: known.get(name) for name in ("rank", "alpha", "dropout")}
    was |= {"target_modules": sorted(known.get("target_modules") or ()), "method": record.method}
    now = {name: getattr(method, name) for name in ("rank", "alpha", "dropout")}
    now |= {"target_modules": sorted(method.target_modules), "method": method.name}
    for name, value in was.items():
        if settings.asked(name) and now[name] != value:
            said = ", ".join(value) if isinstance(value, list) else value
            raise UsageError(
                f"{flag(name)} {settings[name]}: {record.reference}, which the run goes on from, has "
                f"{name.replace('_', ' ')} {said}: leave it out"
            )
    for name in ("rope", "context_length"):
        if settings.asked(name) and rope != record.load.rope:
            raise UsageError(
                f"{flag(name)} {settings[name]}: {record.reference}, which the run goes on from, was trained with "
                f"{f'RoPE {record.load.rope}' if record.load.rope else 'the RoPE of its base'}: leave it out"
            )


def inherited(record: AdapterRecord) -> dict[str, Any]:
    """Settings that go on as they were, by name."""
    known = record.hyperparameters
    found: dict[str, Any] = {
        "method": record.method,
        "quantization": record.quantization,
        "dtype": record.load.dtype,
        "template": record.template,
        "thinking": "on" if record.thinking else "auto",
    }
    found |= {name: known[name] for name in ("rank", "alpha", "dropout") if known.get(name) is not None}
    if known.get("target_modules"):
        found["target_modules"] = ",".join(known["target_modules"])
    return found


def options_of(
    record: AdapterRecord | None, quantization: str, asked: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """The options that were asked, with the adapter's own of its method, and of its quantization where it is the same
    and none are asked.
    """
    if record is None:
        return asked
    kept = {"method": dict(record.hyperparameters.get("options") or {})}
    if record.quantization == quantization:
        kept["quantization"] = dict(record.load.options)
    return {**kept, **asked}


def check_base(record: AdapterRecord, description: ModelDescription, asked: bool) -> None:
    """Raises where the base is another one than the adapter's; ``asked`` says that it was named."""
    if model_digest(description) != record.base.files_digest:
        if asked:
            raise UsageError(
                f"{description.name} is not the base of {record.reference}, which is {record.base.name} "
                f"({record.base.files_digest[:16]}): leave --model out"
            )
        raise StoreError(
            f"the files of {record.base.reference}, the base of {record.reference}, have changed since it was trained: "
            "bring them back, or train it again"
        )
