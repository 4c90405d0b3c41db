"""The data of a run: where it is, how it is split, what of it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import DataPlan, Evaluation
from graftlm.contracts.serial import digest, file_digest, to_json
from graftlm.contracts.specs import DataFormat
from graftlm.data.columns import parse_columns
from graftlm.data.inputs import DataFile, Inputs, find, folder_splits
from graftlm.data.split_rule import read_rule
from graftlm.data.splits import DataRequest, Survey, survey
from graftlm.data.splitting import NAMES, SplitRule
from graftlm.source import code_digest
from graftlm_registry.home import home, keep
from graftlm_registry.plugins import Registry

from .fingerprints import known_digest, strangers_code
from .kept import kept_value
from .settings import Settings

OTHERS = "other rows"
"""How rows that name no capability are called beside those that do; it is no name of an adapter."""
MOST_CAPABILITIES = 100


def data_request(settings: Mapping[str, Any]) -> DataRequest:
    """The files, the columns and the rule of a run. A folder whose files are named by split brings all of them."""
    offline, spool = bool(settings.get("offline")), home() / "cache" / "stdin"
    said = {"train": settings["data"], "validation": settings.get("val_data"), "test": settings.get("test_data")}
    named = folder_splits(settings["data"]) or {}
    said = {name: reference or named.get(name) for name, reference in said.items()} | (
        {"train": named["train"]} if named else {}
    )

    def inputs(name: str) -> Inputs | None:
        reference = said[name]
        if not reference:
            return None
        on_hub = str(reference).startswith("hf:")
        split = (settings.get("split") or "train") if name == "train" else name
        return find(
            str(reference), split=split if on_hub or settings.get("split") else "", offline=offline, spool=spool
        )

    data = inputs("train")
    assert data is not None
    rule = SplitRule(validation=settings["val_split"], test=settings["test_split"])
    if settings.get("split_rule"):
        rule = read_rule(Path(settings["split_rule"]))
    request = DataRequest(
        data=data,
        val_data=inputs("validation"),
        test_data=inputs("test"),
        rule=rule,
        columns=parse_columns(settings.get("columns") or ""),
    )
    held = request.effective_rule.validation + request.effective_rule.test
    if held >= 1:
        shares = request.effective_rule
        raise UsageError(
            f"--val-split {shares.validation:g} and --test-split {shares.test:g} leave nothing to train on"
        )
    return request


def plan_data(request: DataRequest, settings: Settings, registry: Registry) -> tuple[DataPlan, DataFormat, Survey]:
    """What the rows are. A survey is kept under what determines it, so that a plan reads the same files once."""
    chosen = None if settings["format"] == AUTO else registry.get(DataFormat, settings["format"])
    formats = list(registry.all(DataFormat))
    known = [chosen] if chosen else formats
    plugins = [
        (p.distribution, p.version, strangers_code(f)) for f in known for p in (registry.find("format", f.name)[0],)
    ]
    key = digest(
        [
            [[name, [[f.label, _digest(f)] for f in inputs.files]] for name, inputs in request.given.items()],
            [request.rule, request.columns, [f.name for f in known], plugins, code_digest()],
        ]
    )
    kept = home() / "cache" / "data" / key / "survey.json"
    found = kept_value(kept, Survey)
    if found is None:
        found = survey(request, chosen, formats)
        keep(kept, to_json(found))
    rule = request.effective_rule
    paths = {name: _place(request.given.get(name, request.data).reference) for name in NAMES}
    plan = DataPlan(
        format=found.format,
        splits=tuple(replace(split, path=paths[split.name]) for split in found.splits),
        val_split=rule.validation,
        test_split=rule.test,
        key=key,
        thoughts=found.thoughts,
        documents=found.documents,
    )
    return plan, registry.get(DataFormat, found.format), found


def _place(reference: str) -> str:
    """A file's whole path; a glob and a hub data set as they were given."""
    path = Path(reference)
    return str(path.resolve()) if path.exists() else reference


def _digest(file: DataFile) -> str:
    try:
        return known_digest(file.path)
    except OSError as error:
        raise DataError(f"{file.label} cannot be read: {error.strerror}") from None


def evaluations(
    name: str, data_plan: DataPlan, found: Survey, settings: Settings, description: ModelDescription
) -> tuple[Evaluation, ...]:
    """The new skill goes by the adapter's name; each capability of a mixture by its own."""
    scored = []
    test = data_plan.split("test")
    if test is not None and set(found.capabilities) == {""}:
        scored.append(Evaluation(name=name, role="new", path="", rows=test.rows, digest=test.digest))
    elif test is not None:
        scored += [
            Evaluation(name=label or OTHERS, role="new", path="", rows=rows, digest=rows_digest, capability=label)
            for label, (rows, rows_digest) in found.capabilities.items()
        ]
        if len(scored) > MOST_CAPABILITIES:
            raise DataError(
                f"the test rows name {len(scored)} capabilities, and at most {MOST_CAPABILITIES} are scored: "
                "leave the field 'capability' out, or give it fewer values"
            )
    if settings["retention"]:
        for skill, path in description.suites.items():
            with path.open(encoding="utf-8") as file:
                rows = sum(1 for _ in file)
            scored.append(Evaluation(name=skill, role="old", path=str(path), rows=rows, digest=file_digest(path)[:16]))
    return tuple(scored)
