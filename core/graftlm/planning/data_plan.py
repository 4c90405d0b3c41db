"""The data of a run: where it is, how it is split, what of it is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graftlm.contracts.config import AUTO, SETTINGS
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import OTHER_ROWS, DataPlan, Evaluation
from graftlm.contracts.serial import digest, to_json
from graftlm.contracts.specs import DataFormat
from graftlm.data.chosen_rows import Choice
from graftlm.data.columns import parse_columns
from graftlm.data.conversations import Reading, detect
from graftlm.data.inputs import HUB, STANDARD_INPUT, DataFile, Inputs, find, folder_splits
from graftlm.data.replay import Replay, refuse_replayed
from graftlm.data.split_rule import read_rule
from graftlm.data.splits import DataRequest, Survey, survey
from graftlm.data.splitting import NAMES, SplitRule
from graftlm.source import code_digest
from graftlm_registry.home import home, keep
from graftlm_registry.plugins import Registry
from graftlm_registry.plugins import registry as all_plugins

from .fingerprints import known_digest, strangers_code
from .kept import kept_value
from .retention import retained_questions, retention_evaluations
from .settings import Settings

OTHERS = OTHER_ROWS
MOST_CAPABILITIES = 100


def data_request(settings: Mapping[str, Any], known: Registry | None = None) -> DataRequest:
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
        choice=_choice(settings),
        replay=_replay(settings, known) if settings.get("replay") is not None else None,
    )
    held = request.effective_rule.validation + request.effective_rule.test
    if held >= 1:
        shares = request.effective_rule
        raise UsageError(
            f"--val-split {shares.validation:g} and --test-split {shares.test:g} leave nothing to train on"
        )
    return request


def _choice(settings: Mapping[str, Any]) -> Choice:
    if settings.get("capability") == "":
        raise UsageError("--capability is empty: name a capability")
    return Choice(capability=settings.get("capability"), size=settings.get("data_size"))


def _replay(settings: Mapping[str, Any], known: Registry | None) -> Replay:
    """What is mixed in, read in a format of its own; of a folder whose files are named by split, the training rows."""
    said = str(settings["replay"])
    if said == STANDARD_INPUT:
        raise UsageError("--replay is read more than once, and standard input cannot be: give a file")
    reference = (folder_splits(said) or {"train": said})["train"]
    split = "train" if said.startswith(HUB) else ""
    inputs = find(reference, split=split, offline=bool(settings.get("offline")), spool=home() / "cache" / "stdin")
    data_format = detect(inputs, list((known or all_plugins()).all(DataFormat)), {})
    ratio = settings.get("replay_ratio") or SETTINGS["replay_ratio"]["default"]
    return Replay(inputs=replace(inputs, reference=said), reading=Reading(data_format), ratio=ratio)


def plan_data(request: DataRequest, settings: Settings, registry: Registry) -> tuple[DataPlan, DataFormat, Survey]:
    """What the rows are. A survey is kept under what determines it, so that a plan reads the same files once."""
    if settings.asked("replay_ratio") and request.replay is None:
        raise UsageError("--replay-ratio says how much is replayed: give --replay DATA too")
    chosen = None if settings["format"] == AUTO else registry.get(DataFormat, settings["format"])
    formats = list(registry.all(DataFormat))
    known, replay = [chosen] if chosen else formats, request.replay
    parsing = [*known, *([replay.reading.data_format] if replay else [])]
    plugins = [
        (p.distribution, p.version, strangers_code(f)) for f in parsing for p in (registry.find("format", f.name)[0],)
    ]
    key = digest(
        [
            [[name, _digests(inputs)] for name, inputs in request.given.items()],
            [request.rule, request.columns, [f.name for f in known], plugins, code_digest()],
            [request.choice, replay and [replay.ratio, replay.reading.data_format.name, _digests(replay.inputs)]],
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
        replayed=len(found.replayed),
    )
    return plan, registry.get(DataFormat, found.format), found


def check_replayed(scored: Iterable[Evaluation], found: Survey, settings: Settings) -> None:
    """``DataError`` where replayed questions measure what is forgotten."""
    if found.replayed:
        suites = {e.name: Path(e.path) for e in scored if e.role == "old"}
        refuse_replayed(found.replayed, retained_questions(suites), str(settings["replay"]))


def _place(reference: str) -> str:
    """A file's whole path; a glob and a hub data set as they were given."""
    path = Path(reference)
    return str(path.resolve()) if path.exists() else reference


def _digests(inputs: Inputs) -> list[list[str]]:
    return [[file.label, _digest(file)] for file in inputs.files]


def _digest(file: DataFile) -> str:
    try:
        return known_digest(file.path)
    except OSError as error:
        raise DataError(f"{file.label} cannot be read: {error.strerror}") from None


def evaluations(
    name: str,
    data_plan: DataPlan,
    found: Survey,
    settings: Settings,
    description: ModelDescription,
    evaluators: tuple[str, ...],
    registry: Registry,
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
    return (*scored, *retention_evaluations(settings, description, evaluators, registry))
