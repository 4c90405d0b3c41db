"""One set of settings: flags, YAML keys and the Python API are the same, and a plan says where each value is from."""

from __future__ import annotations

import json
import shlex
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import graftlm
from graftlm.contracts.config import SETTINGS, RunConfig
from graftlm.contracts.errors import GraftlmError, UsageError
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_json
from graftlm.planning.config_file import read_config_file
from graftlm_registry.models import catalogue

Planned = Callable[..., Plan]
KINDS = typing.get_type_hints(RunConfig)
NAMES = [f.name for f in fields(RunConfig)]
SAMPLE: dict[type, Any] = {str: "some-words", int: 11, float: 0.25, bool: True}


def kind_of(name: str) -> type:
    return next(t for t in typing.get_args(KINDS[name]) if t is not types.NoneType)


def command(name: str) -> click.Command:
    from graftlm.cli import cli

    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.fixture
def planned(run: Callable[..., Any]) -> Planned:
    """``graftlm plan … --json``, read back."""

    def call(*arguments: str | Path, code: int = 0) -> Plan:
        said = run("plan", *arguments, "--json")
        assert said.code == code, said.err
        return from_json(said.out, Plan, "the plan")

    return call


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


# ── the same settings everywhere ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["train", "plan"])
def test_every_setting_is_a_flag_and_every_flag_a_setting(name: str) -> None:
    known = {p.name: p for p in command(name).params}
    assert set(known) - {"config_file", "assignments", "as_json", "detach"} == set(SETTINGS)
    for setting in set(SETTINGS) - {"data"}:
        parameter = known[setting]
        assert isinstance(parameter, click.Option)
        assert f"--{setting.replace('_', '-')}" in parameter.opts
        assert parameter.is_flag == (kind_of(setting) is bool)
    assert known["data"].param_type_name == "argument"
    unsaid = command(name).make_context(name, []).params
    assert all(unsaid[setting] is None for setting in SETTINGS), "a default here would hide the model's suggestion"


def test_train_and_plan_take_the_same(run: Callable[..., Any]) -> None:
    parameters = [[p for p in command(name).params if p.name != "detach"] for name in ("train", "plan")]
    spoken = [{(p.name, *p.opts, *p.secondary_opts, p.metavar) for p in known} for known in parameters]
    assert spoken[0] == spoken[1]


@pytest.mark.parametrize("name", ["train", "plan"])
def test_help_states_every_default(name: str, run: Callable[..., Any]) -> None:
    text = " ".join(run(name, "--help").out.split())
    for setting, metadata in SETTINGS.items():
        if setting != "data":
            assert f"--{setting.replace('_', '-')}" in text
            words = f"{metadata['help']}." + ("" if metadata["default"] is None else " [default: ")
            assert words in text, setting


@pytest.mark.parametrize("dash", ["-", "_"])
@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_a_yaml_key(name: str, dash: str, yaml_file: Callable[[str], Path]) -> None:
    value = {"method": {"use_rslora": True}} if name == "options" else SAMPLE[kind_of(name)]
    path = yaml_file(f"{name.replace('_', dash)}: {json.dumps(value)}\n")
    wanted = (
        str(path.parent / value) if name in ("data", "val_data", "test_data", "replay", "retention_suite") else value
    )
    assert read_config_file(path) == {name: wanted}


def test_every_yaml_key_is_a_setting(yaml_file: Callable[[str], Path]) -> None:
    for key in ("set", "config", "json", "debug", "config-file", "assignments"):
        with pytest.raises(UsageError, match=f"unknown key '{key}'"):
            read_config_file(yaml_file(f"{key}: 1\n"))


def test_every_setting_is_one_of_the_python_api(home: Path, alpaca: Path) -> None:
    for name in set(SETTINGS) - {"data", "model"}:
        with pytest.raises(GraftlmError, match=r"no model|unknown adapter"):
            graftlm.plan(data=alpaca, **{name: SAMPLE[kind_of(name)]})
    with pytest.raises(UsageError, match=r"unknown setting 'rnak'\. Did you mean 'rank'"):
        graftlm.plan(data=alpaca, model="tiny-mistral", rnak=3)


@pytest.mark.parametrize(
    "wrong", [{"rank": "four"}, {"rank": 1.5}, {"rank": True}, {"epochs": "two"}, {"name": 5}, {"offline": "no"}]
)
def test_the_python_api_checks_types(wrong: dict[str, Any], home: Path, alpaca: Path) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(wrong))}"):
        graftlm.plan(data=alpaca, model="tiny-mistral", **wrong)


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flags_override_yaml(planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("data: nowhere.jsonl\nmodel: tiny-falcon\nrank: 4\nseed: 7\nretention: true\nname: of-yaml\n")
    plan = planned(alpaca, "--config", path, "--model", "tiny-mistral", "--rank", "8", "--no-retention")
    assert (plan.model.name, plan.method.rank, plan.training.seed, plan.name) == ("tiny-mistral", 8, 7, "of-yaml")
    assert [e.role for e in plan.evaluations] == ["new"]
    assert plan.settings["data"] == str(alpaca)


def test_options_of_plugins_are_layered(planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("model: tiny-mistral\noptions: {method: {use_rslora: true, use_dora: true}}\n")
    options = planned(alpaca, "--config", path).method.options
    assert (options["use_rslora"], options["use_dora"]) == (True, True)
    options = planned(alpaca, "--config", path, "--set", "method.use_dora=no").method.options
    assert (options["use_rslora"], options["use_dora"]) == (True, False)
    options = planned(alpaca, "--model", "tiny-mistral").method.options
    assert (options["use_rslora"], options["use_dora"]) == (False, False)


def test_a_hub_s_data_and_standard_input_are_no_paths(tmp_path: Path) -> None:
    for data in ("hf:owner/name", "-"):
        file = tmp_path / "run.yaml"
        file.write_text(f"data: '{data}'\n", encoding="utf-8")
        assert read_config_file(file)["data"] == data


def test_yaml_paths_are_relative_to_the_file(
    planned: Planned, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below, elsewhere = tmp_path / "below", tmp_path / "elsewhere"
    below.mkdir()
    elsewhere.mkdir()
    fresh = '{"instruction": "fresh", "output": "x"}\n'
    (below / "val.jsonl").write_text(fresh, encoding="utf-8")
    (below / "test.jsonl").write_text(fresh, encoding="utf-8")
    (below / "run.yaml").write_text(
        f"data: ../{alpaca.name}\nval-data: val.jsonl\ntest_data: {below / 'test.jsonl'}\nmodel: tiny-mistral\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(elsewhere)
    plan = planned("--config", "../below/run.yaml")
    assert {s.name: Path(s.path) for s in plan.data.splits} == {
        "train": alpaca.resolve(),
        "validation": (below / "val.jsonl").resolve(),
        "test": (below / "test.jsonl").resolve(),
    }
    assert {s.name: s.rows for s in plan.data.splits} == {"train": 40, "validation": 1, "test": 1}


@pytest.mark.parametrize(
    ("written", "meant"), [("2e-4", 2e-4), ("2.0e-4", 2e-4), ("0.0002", 2e-4), ("'2e-4'", 2e-4), ("1", 1.0)]
)
def test_yaml_numbers(written: str, meant: float, yaml_file: Callable[[str], Path]) -> None:
    found = read_config_file(yaml_file(f"learning-rate: {written}\n"))["learning_rate"]
    assert found == meant
    assert isinstance(found, float)


def test_yaml_lists_are_joined(planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("model: tiny-mistral\ntarget-modules: [q_proj, v_proj]\nevaluator: [exact-match, perplexity]\n")
    plan = planned(alpaca, "--config", path)
    assert plan.method.target_modules == ("q_proj", "v_proj")
    assert [p.name for p in plan.all_parts("evaluator")] == ["exact-match", "perplexity"]


def test_yaml_nothing_said_is_nothing_said(yaml_file: Callable[[str], Path]) -> None:
    assert read_config_file(yaml_file("rank:\nseed: null\nalpha: 8\n")) == {"alpha": 8.0}


# ── where a value is from ────────────────────────────────────────────────────────────────────────────────────────────


def test_origins(planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("seed: 5\n")
    plan = planned(alpaca, "--model", "tiny-mistral", "--rank", "16", "--config", path)
    assert set(plan.origins) == set(SETTINGS)
    said = {name for name, origin in plan.origins.items() if origin == "asked"}
    assert said == {"data", "model", "rank", "seed"}
    suggested = {name: plan.settings[name] for name, origin in plan.origins.items() if origin == "model"}
    assert suggested == {"learning_rate": 0.0015, "max_steps": 150, "micro_batch": 16, "max_length": 512}
    for name, origin in plan.origins.items():
        assert origin in ("asked", "model", "default")
        if origin == "default":
            assert plan.settings.get(name) == SETTINGS[name]["default"], name


def test_what_is_asked_goes_before_what_the_model_suggests(planned: Planned, alpaca: Path) -> None:
    plan = planned(alpaca, "--model", "tiny-mistral", "--learning-rate", "0.01", "--max-steps", "7")
    assert (plan.training.learning_rate, plan.training.steps) == (0.01, 7)
    assert plan.origins["learning_rate"] == plan.origins["max_steps"] == "asked"
    assert plan.origins["epochs"] == "default"


def test_a_model_that_suggests_nothing(planned: Planned, alpaca: Path) -> None:
    plan = planned(alpaca, "--model", "shape:mistral-7b")
    assert "model" not in plan.origins.values()
    assert plan.training.learning_rate == SETTINGS["learning_rate"]["default"]


def test_parts_say_why(planned: Planned, alpaca: Path) -> None:
    plan = planned(alpaca, "--model", "tiny-mistral", "--backend", "peft", "--format", "alpaca")
    why = {part.kind: part.why for part in plan.parts}
    assert why["backend"] == why["format"] == "asked"
    assert why["method"] == "default"
    assert [(p.name, p.why) for p in plan.all_parts("accelerator")] == [
        ("varlen", "auto: no padding"),
        ("fused-lora", "auto: fewer products"),
        ("supervised-logits", "auto: fewer logits"),
    ]
    assert (why["template"], why["family"], why["source"]) == ("family", "model_type", "reference")
    assert planned(alpaca, "--model", "tiny-mistral").part("format").why == "detected"


# ── the hash ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BASE: dict[str, Any] = {"model": "tiny-mistral", "name": "skill"}


def same_work(alpaca: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = [json.loads(line) for line in alpaca.read_text(encoding="utf-8").splitlines()]
    moved = alpaca.parent / "moved" / "other-name.json"
    moved.parent.mkdir()
    moved.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    yield "again", {}
    yield "a path", {"data": alpaca}
    yield "moved, as a list", {"data": moved}
    yield "another name", {"name": "another"}
    yield "no name", {"name": None}
    yield "a folder to write to", {"out": str(alpaca.parent / "new")}
    yield "the default, said", {"rank": 16, "val_split": 0.1}
    yield "the suggestion, said", {"learning_rate": 0.0015}
    yield "the format, said", {"format": "alpaca"}
    yield "the targets, said", {"target_modules": "all-linear"}
    yield "an option's default, said", {"options": {"method": {"use_dora": False}}}
    yield "a whole number for a number", {"alpha": 32, "weight_decay": 0, "dropout": 0}
    yield "a number", {"alpha": 32.0, "weight_decay": 0.0, "dropout": 0.0}


def test_equal_work_has_equal_hashes(home: Path, alpaca: Path) -> None:
    plan = graftlm.plan(data=str(alpaca), **BASE)
    for what, changed in same_work(alpaca):
        other = graftlm.plan(**{"data": str(alpaca), **BASE, **changed})
        assert other.hash == plan.hash, what


def test_flags_yaml_and_python_give_one_plan(planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]) -> None:
    settings = {"model": "tiny-mistral", "name": "skill", "rank": 4, "learning_rate": 1e-4, "retention": False}
    path = yaml_file(f"data: {alpaca}\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in settings.items()))
    flags = shlex.split("--model tiny-mistral --name skill --rank 4 --learning-rate 1e-4 --no-retention")
    plans = [graftlm.plan(data=str(alpaca), **settings), planned("--config", path), planned(alpaca, *flags)]
    assert plans[0] == plans[1] == plans[2]


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"learning_rate": 0.003},
        {"template": "falcon-instruct"},
        {"model": "tiny-falcon"},
        {"rank": 8},
        {"alpha": 16.0},
        {"dropout": 0.1},
        {"target_modules": "attention"},
        {"options": {"method": {"use_rslora": True}}},
        {"accelerator": "eager"},
        {"backend": "trainer"},
        {"evaluator": "exact-match+perplexity"},
        {"retention": False},
        {"max_steps": 5},
        {"epochs": 1.0},
        {"batch_size": 8},
        {"tokens_per_step": 500},
        {"micro_batch": 4},
        {"max_length": 256},
        {"schedule": "linear"},
        {"warmup": 0.5},
        {"weight_decay": 0.1},
        {"optimizer": "sgd"},
        {"options": {"optimizer": {"beta1": 0.8}}},
        {"loraplus_ratio": 4.0},
        {"label_smoothing": 0.1},
        {"neftune_alpha": 5.0},
        {"early_stopping": 2},
        {"keep": "best"},
        {"max_grad_norm": 0.5},
        {"eval_every": 3},
        {"val_split": 0.4},
        {"test_split": 0.4},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_work_has_another_hash(changed: dict[str, Any], home: Path, alpaca: Path) -> None:
    assert graftlm.plan(data=alpaca, **{**BASE, **changed}).hash != graftlm.plan(data=alpaca, **BASE).hash


def test_other_data_has_another_hash(home: Path, alpaca: Path) -> None:
    rows = [json.loads(line) for line in alpaca.read_text(encoding="utf-8").splitlines()]
    variants = {
        "as it was": rows,
        "a word": [{**rows[0], "output": "green"}, *rows[1:]],
        "a space": [{**rows[0], "output": rows[0]["output"] + " "}, *rows[1:]],
        "a row more": [*rows, {"instruction": "one more", "output": "x"}],
        "a row less": rows[:-1],
        "a row twice": [*rows, rows[0]],
        "another order": rows[::-1],
    }
    found = {}
    for what, variant in variants.items():
        alpaca.write_text("".join(json.dumps(row) + "\n" for row in variant), encoding="utf-8")
        found[what] = graftlm.plan(data=alpaca, **BASE).hash
    assert len(set(found.values())) == len(found), found


def test_other_small_files_of_a_model_have_another_hash(home: Path, alpaca: Path, tmp_path: Path) -> None:
    """The folder may move; its configuration, tokenizer and weights' size may not change."""
    import shutil

    from graftlm_registry.models import catalogue

    builtin = catalogue().entry("tiny-mistral").folder
    assert builtin is not None
    one, other = tmp_path / "one", tmp_path / "other"
    shutil.copytree(builtin, one)
    shutil.copytree(builtin, other)

    def hashed(folder: Path) -> str:
        return graftlm.plan(data=alpaca, model=folder).hash

    before = hashed(one)
    assert hashed(other) == before
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}), encoding="utf-8")
    assert hashed(other) != before


# ── through JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"model": "shape:mistral-7b"},
        {"target_modules": "q_proj", "options": {"method": {"use_rslora": True}}},
        {"evaluator": "exact-match+perplexity", "max_steps": 3},
    ],
    ids=["plain", "shape", "options", "evaluators"],
)
def test_a_plan_goes_through_json(changed: dict[str, Any], home: Path, alpaca: Path) -> None:
    plan = graftlm.plan(data=alpaca, **{**BASE, **changed})
    text = to_json(plan)
    assert from_json(text, Plan, "the plan") == plan
    assert to_json(from_json(text, Plan, "the plan")) == text


def test_json_that_is_no_plan(home: Path, alpaca: Path) -> None:
    plan = json.loads(to_json(graftlm.plan(data=alpaca, **BASE)))
    for spoilt in ({**plan, "hash": 5}, {name: v for name, v in plan.items() if name != "training"}, [], "{"):
        with pytest.raises(GraftlmError, match="the plan cannot be read"):
            from_json(spoilt if isinstance(spoilt, str) else json.dumps(spoilt), Plan, "the plan")


def test_a_flag_overrides_the_file_s_other_way_of_saying_it(
    planned: Planned, alpaca: Path, yaml_file: Callable[[str], Path]
) -> None:
    plan = planned(alpaca, "--model", "tiny-mistral", "--config", yaml_file("epochs: 2\n"), "--max-steps", "7")
    assert plan.training.steps == 7


def test_other_weights_are_other_work(home: Path, alpaca: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "base"
    shutil.copytree(catalogue().entry("tiny-falcon").folder or "", folder)
    before = graftlm.plan(data=alpaca, model=folder).hash
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    assert graftlm.plan(data=alpaca, model=folder).hash != before


def test_a_shape_is_the_same_work_once_its_weights_are_drawn(home: Path, alpaca: Path) -> None:
    from graftlm.worker.random_weights import random_weights

    plan = graftlm.plan(data=alpaca, model="shape:tiny-falcon")
    random_weights(Path(plan.model.folder))
    assert any(Path(plan.model.folder).glob("*.safetensors"))
    assert graftlm.plan(data=alpaca, model="shape:tiny-falcon").hash == plan.hash
