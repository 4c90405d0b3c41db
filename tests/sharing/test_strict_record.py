"""A record from outside may say anything of an adapter, and choose nothing that is executed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept_adapters import draft

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.serial import to_json
from graftlm.sharing.strict_record import LONGEST, read_record

GOOD: dict[str, Any] = json.loads(to_json(draft("0" * 64)))
GOOD["hyperparameters"] = {
    "rank": 4, "alpha": 8, "dropout": 0.0, "target_modules": ["q_proj"], "options": {}, "learning_rate": 1e-3,
    "schedule": "cosine", "steps": 8, "epochs": 1.0, "batch_size": 4, "seed": 0, "encoding": {"max_length": 512},
}  # fmt: skip


def changed(path: str, value: Any) -> bytes:
    """A good record with one place changed, ``load.attention`` for one."""
    record = json.loads(json.dumps(GOOD))
    *above, last = path.split(".")
    place = record
    for part in above:
        place = place[part]
    place[last] = value
    return json.dumps(record).encode()


def test_a_good_record_is_read() -> None:
    assert json.loads(to_json(read_record(json.dumps(GOOD).encode(), "x"))) == GOOD


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("load.trust_remote_code", True, "run code"),
        ("load.attention", "kernels-community/flash-attn", "attention"),
        ("load.attention", "owner/name@main:attention", "attention"),
        ("load.options", {"bnb_4bit_compute_dtype": "x"}, "which it has not"),
        ("name", "../../etc", "is not a name"),
        ("name", "Skill", "is not a name"),
        ("kind", "overlay", "overlay"),
        ("kind", "thing", "cannot be read"),
        ("version", "1", "cannot be read"),
        ("base.name", "tiny\x1b[2J", "a terminal would obey"),
        ("base.reference", "a\u202eb", "a terminal would obey"),
        ("source", "x" * (LONGEST + 1), "a word of"),
        ("hyperparameters.rank", "many", "which is no number"),
        ("hyperparameters.epochs", [], "which is no number"),
        ("hyperparameters.steps", True, "which is no number"),
        ("hyperparameters.rank", 10**30, "a number that is no count"),
        ("hyperparameters.target_modules", "q_proj", "target_modules"),
        ("hyperparameters.target_modules", [1], "target_modules"),
        ("hyperparameters.weights", ["a"], "weights"),
        ("hyperparameters.options", [], "options"),
        ("hyperparameters.encoding", {"max_length": "long"}, "encoding"),
        ("hyperparameters.encoding", {}, "encoding"),
        ("hyperparameters.deep", nested(40), "nested too deeply"),
        ("hyperparameters.options", None, "does not say options"),
        ("hyperparameters.target_modules", None, "does not say target_modules"),
        ("hyperparameters.encoding", None, "does not say encoding"),
        ("run", "../../etc", "no name of a run"),
        ("run", "a/b", "no name of a run"),
        ("run", "r" * 65, "no name of a run"),
        ("created", "yesterday", "no moment"),
        ("created", "0001-01-01T00:00:00+23:00", "no moment"),
        ("created", "2026-01-01T00:00:00", "no moment"),
    ],
)
def test_what_no_record_holds_is_refused(path: str, value: Any, said: str) -> None:
    with pytest.raises(GraftlmError, match=said):
        read_record(changed(path, value), "the record")


@pytest.mark.parametrize("name", ["options", "target_modules", "encoding"])
def test_what_later_runs_go_on_from_is_required(name: str) -> None:
    record = json.loads(json.dumps(GOOD))
    del record["hyperparameters"][name]
    with pytest.raises(StoreError, match=f"the record does not say {name} among its hyperparameters"):
        read_record(json.dumps(record).encode(), "the record")


@pytest.mark.parametrize(
    "hyperparameters", [{}, {"options": None, "target_modules": None, "encoding": None}], ids=["missing", "null"]
)
def test_a_record_without_them_that_is_in_a_store_already_is_used(hyperparameters: dict[str, Any]) -> None:
    from dataclasses import replace

    from graftlm.contracts.plan import EncodingPlan
    from graftlm.judging.subjects import LONGEST as ASKED
    from graftlm.judging.subjects import encoding_of
    from graftlm.planning.parent import check_same, inherited, options_of

    record = replace(draft(""), hyperparameters=hyperparameters, thinking=True)
    assert encoding_of(record) == EncodingPlan(max_length=ASKED, thinking=True)
    assert options_of(record, "none", {})["method"] == {}
    assert "target_modules" not in inherited(record)
    # stand-ins for what was asked, and for the method
    nothing: Any = type("Nothing", (), {"asked": lambda self, name: False})()
    method: Any = type("Method", (), {"rank": 4, "alpha": 8, "dropout": 0.0, "target_modules": (), "name": "lora"})()
    check_same(record, nothing, method, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-01T00:30:00+02:00", "2025-12-31T22:30:00+00:00"),
        ("2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_the_moment_is_in_utc(given: str, kept: str) -> None:
    """Adapters are sorted by its text."""
    assert read_record(changed("created", given), "the record").created == kept


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"name":' * 50_000])
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError):
        read_record(data, "the record")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.sampled_from(
        [
            *GOOD,
            *(f"{above}.{name}" for above in ("base", "load", "effective", "proof") for name in GOOD[above]),
            *(
                f"hyperparameters.{name}"
                for name in ("rank", "alpha", "steps", "epochs", "seed", "schedule", "options")
            ),
            *(f"hyperparameters.{name}" for name in ("learning_rate", "batch_size", "target_modules", "weights")),
        ]
    ),
    JSON,
)
def test_what_is_accepted_can_be_shown(path: str, value: Any) -> None:
    """Anything in any place: a refusal, or a record that every reading command prints."""
    from graftlm.cli.adapters.difference import differences, score_rows
    from graftlm.cli.adapters.record_text import record_text
    from graftlm_registry.adapters.summary import summary_of

    try:
        record = read_record(changed(path, value), "the record")
    except GraftlmError:
        return
    shown: list[Callable[[], object]] = [
        lambda: record_text(record, Path("x")),
        lambda: summary_of(record).row(),
        lambda: differences(record, draft("")),
        lambda: score_rows(record, draft("")),
    ]
    for show in shown:
        show()
