"""A suite, from YAML and from flags, and the cells that it is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Said
from hypothesis import given
from hypothesis import strategies as st

from graftlm.cli.bench.words import chosen, swept
from graftlm.comparing.cells import Cell, baseline_of, cells_of, word
from graftlm.comparing.resolving import planned
from graftlm.comparing.rounds import check_steps
from graftlm.comparing.suite import Suite, suite
from graftlm.comparing.suite_file import read_suite
from graftlm.contracts.errors import UsageError
from graftlm_registry.plugins import registry

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def names(made: Suite) -> list[str]:
    return [cell.name for cell in cells_of(made)]


def of(base: Mapping[str, Any] | None = None, **matrix: Sequence[Any]) -> Suite:
    return suite(title="one", base=base or {}, matrix=matrix)


# From a file


def test_a_file_says_everything(write: Write, tmp_path: Path) -> None:
    path = write(
        """
title: mine
base: {model: tiny-qwen, max-steps: 8, learning-rate: 2e-4, options: {method: {use_rslora: true}}}
matrix:
  backend: [trainer, peft]
  data: [short.jsonl, /there/long.jsonl]
sweep:
  micro-batch: [8, 2, 4]
exclude:
  - {backend: peft, micro-batch: 8}
include:
  - {data: short.jsonl, backend: peft, quantization: nf4, label: four bits}
baseline: {backend: peft}
repeat: 2
warmup-steps: 1
tolerance: {first-loss: 0.5}
answers: 0
"""
    )
    assert read_suite(path) == Suite(
        title="mine",
        base={
            "model": "tiny-qwen", "max_steps": 8, "learning_rate": 2e-4, "options": {"method": {"use_rslora": True}},
        },
        matrix={
            "data": (str(tmp_path / "short.jsonl"), "/there/long.jsonl"),
            "backend": ("trainer", "peft"),
            "micro_batch": (2, 4, 8),
        },
        exclude=({"backend": "peft", "micro_batch": 8},),
        include=(
            {
                "data": str(tmp_path / "short.jsonl"), "backend": "peft", "quantization": "nf4", "label": "four bits",
            },
        ),
        baseline={"backend": "peft"},
        sweeps=("micro_batch",),
        repeat=2,
        warmup=1,
        tolerance={"first-loss": 0.5},
        answers=0,
    )  # fmt: skip


def test_little_is_needed(write: Write) -> None:
    found = read_suite(write("matrix: {backend: [peft, trainer]}"))
    assert (found.title, found.repeat, found.warmup, found.answers) == ("own", 5, 3, 8)
    assert found.baseline == {"backend": "peft"}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_project_s_own_suites_have_cells(path: Path) -> None:
    found = read_suite(path)
    cells = cells_of(found)
    assert len(cells) > 1
    assert all(Path(cell.settings["data"]).parent == path.parent / "data" for cell in cells)
    assert all(baseline_of(cell, cells, found) is not None for cell in cells)


REFUSED = {
    "bases: {}": "unknown key 'bases'. Did you mean 'base'?",
    "warmup: 3": "unknown key 'warmup'. Did you mean 'warmup-steps'?",
    "base: 3": "base must hold settings, such as 'model: tiny-mistral'",
    "base: {modell: x}": "base: unknown key 'modell'. Did you mean 'model'?",
    "base: {rank: many}": "base: rank is 'many', and must be a whole number",
    "matrix: [peft]": "matrix must hold settings, each with a list of values, as 'backend: [peft, trl]'",
    "matrix: {backend: peft}": "matrix must hold settings, each with a list of values",
    "matrix: {backend: []}": "matrix must hold settings, each with a list of values",
    "matrix: {rank: [4, x]}": "matrix: rank is 'x', and must be a whole number",
    "matrix: {rank: [null, 4]}": "matrix: rank has an empty value: say the one that is meant",
    "matrix: {label: [a, b]}": "matrix: unknown key 'label'",
    "base: {label: a}": "base: unknown key 'label'",
    "matrix: {name: [a, b]}": "'name' is not for a comparison: it names its runs itself",
    "base: {out: a}": "'out' is not for a comparison",
    "include: [{name: a}]": "'name' is not for a comparison",
    "sweep: {backend: [peft, trl]}": "sweep: backend needs at least two numbers, all above 0",
    "sweep: {rank: [4]}": "sweep: rank needs at least two numbers, all above 0",
    "sweep: {micro-batch: [0, 4]}": "sweep: micro-batch needs at least two numbers, all above 0",
    "sweep: {rank: 4}": "sweep must hold settings, each with a list of values",
    "exclude: {backend: peft}": "exclude must be a list of settings, as '- {backend: trl, model: tiny-qwen}'",
    "exclude: [peft]": "exclude must be a list of settings",
    "exclude: [{backends: peft}]": "exclude: unknown key 'backends'",
    "include: [{rank: x}]": "include: rank is 'x', and must be a whole number",
    "baseline: peft": "baseline must hold settings, such as",
    "baseline: {backends: peft}": "baseline: unknown key 'backends'",
    "repeat: 0": "repeat is 0, and must be a whole number of at least 1",
    "repeat: true": "repeat is True, and must be a whole number of at least 1",
    "repeat: five": "repeat is 'five', and must be a whole number of at least 1",
    "warmup-steps: -1": "warmup-steps is -1, and must be a whole number of at least 0",
    "answers: 1.5": "answers is 1.5, and must be a whole number of at least 0",
    "tolerance: 0.1": "tolerance must hold limits with numbers, as 'first-loss: 0.01'",
    "tolerance: {first-loss: much}": "tolerance must hold limits with numbers",
    "tolerance: {first-los: 0.1}": "tolerance: unknown limit 'first-los'. Did you mean 'first-loss'?",
    "peft": "must hold keys and values",
    "matrix: {": "is not valid YAML",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_is_said_with_the_file_and_the_key(write: Write, text: str) -> None:
    path = write(text)
    with pytest.raises(UsageError) as refused:
        read_suite(path)
    assert REFUSED[text] in str(refused.value)
    if "not for a comparison" not in REFUSED[text]:
        assert str(refused.value).startswith(str(path))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no configuration file .*none\.yaml"):
        read_suite(tmp_path / "none.yaml")


# From flags


def test_a_sweep_is_numbers_in_the_order_of_their_size() -> None:
    assert swept(["max-length=1024, 512,2048,512", "learning_rate=1e-3,1e-4"]) == {
        "max_length": (512, 1024, 2048),
        "learning_rate": (1e-4, 1e-3),
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rank", "--sweep rank is not of the form SETTING=VALUE,VALUE,…, as max-length=512,1024,2048"),
        ("rank=", "is not of the form SETTING=VALUE,VALUE,…"),
        ("rank=4", "--sweep rank=4 needs at least two numbers, all above 0"),
        ("rank=4,4", "needs at least two numbers"),
        ("rank=0,4", "needs at least two numbers, all above 0"),
        ("backend=peft,trl", "needs at least two numbers"),
        ("offline=true,on", "needs at least two numbers"),
        ("rank=4,many", "--sweep rank=4,many: rank is 'many', and must be a whole number"),
        ("ranks=4,8", "unknown key 'ranks'. Did you mean 'rank'?"),
        ("learning-rate=nan,1", "needs at least two numbers"),
    ],
)
def test_what_is_no_sweep_is_a_sentence(words: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        swept([words])
    assert said in str(refused.value)


def test_a_baseline_is_settings() -> None:
    given = ["backend=trainer", "micro-batch=4", "learning_rate=1e-3", "gradient-checkpointing=on", "offline=false"]
    assert chosen("--baseline", given) == {
        "backend": "trainer", "micro_batch": 4, "learning_rate": 1e-3, "gradient_checkpointing": True, "offline": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trainer", "--baseline trainer is not of the form SETTING=VALUE, as backend=trainer"),
        ("backends=peft", "unknown key 'backends'"),
        ("offline=perhaps", "offline is 'perhaps', and must be true or false"),
        ("rank=x", "rank is 'x', and must be a whole number"),
    ],
)
def test_what_is_no_baseline_is_a_sentence(words: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen("--baseline", [words])
    assert said in str(refused.value)


# Cells


def test_the_last_setting_runs_fastest_and_data_and_model_slowest() -> None:
    made = of(backend=("peft", "trainer"), rank=(4, 8), data=("a.jsonl", "b.jsonl"))
    expected = [
        f"{data}, {backend}, rank {rank}" for data in "ab" for backend in ("peft", "trainer") for rank in (4, 8)
    ]
    assert names(made) == expected


def test_a_cell_has_all_settings_and_shows_those_that_tell_it_apart() -> None:
    first, second = cells_of(of({"model": "tiny-qwen", "rank": 4}, backend=("peft", "trainer")))
    assert first.settings == {"model": "tiny-qwen", "rank": 4, "backend": "peft"}
    assert (first.shown, second.shown) == ({"backend": "peft"}, {"backend": "trainer"})
    assert (first.name, second.name) == ("peft", "trainer")


def test_one_cell_is_called_by_its_backend() -> None:
    assert names(of({"backend": "trainer"})) == ["trainer"]
    assert names(of({})) == ["peft"]


def test_one_value_is_no_matrix_and_the_same_value_twice_is_one() -> None:
    made = of({"rank": 2}, backend=("peft", "trainer", "peft"), rank=(4,), model=("tiny-qwen", "tiny-qwen"))
    assert made.base == {"rank": 4, "model": "tiny-qwen"}
    assert made.matrix == {"backend": ("peft", "trainer")}


def test_options_can_vary() -> None:
    made = of(options=({"method": {"use_rslora": True}}, {"method": {"use_rslora": False}}))
    assert names(made) == ["method.use_rslora=True", "method.use_rslora=False"]


def test_an_excluded_cell_is_one_that_has_all_of_these_settings() -> None:
    made = suite(
        title="one", base={}, matrix={"backend": ("peft", "trl"), "rank": (4, 8)},
        exclude=({"backend": "trl", "rank": 8},),
    )  # fmt: skip
    assert names(made) == ["peft, rank 4", "peft, rank 8", "trl, rank 4"]


def test_a_setting_that_all_cells_share_excludes_as_well() -> None:
    """As where a flag leaves one model of a file's two."""
    matrix = {"backend": ("peft", "trl", "trainer"), "model": ("tiny-qwen",)}
    excluded = ({"backend": "trl", "model": "tiny-qwen"}, {"backend": "trainer", "model": "tiny-glm"})
    assert names(suite(title="one", base={}, matrix=matrix, exclude=excluded)) == ["peft", "trainer"]
    excluded = ({"backend": "trl", "rank": 4},)
    assert names(suite(title="one", base={"rank": 4}, matrix=matrix, exclude=excluded)) == ["peft", "trainer"]


def test_included_cells_stand_beside_the_base() -> None:
    made = suite(
        title="one", base={"rank": 4}, matrix={"backend": ("peft", "trl")},
        include=({"backend": "peft", "rank": 8}, {"backend": "trl", "quantization": "nf4", "label": "trl in 4 bits"}),
    )  # fmt: skip
    cells = cells_of(made)
    assert [cell.name for cell in cells] == ["peft, rank 4", "trl, rank 4", "peft, rank 8", "trl in 4 bits"]
    assert cells[3].settings == {"rank": 4, "backend": "trl", "quantization": "nf4"}
    assert cells[3].shown == {"backend": "trl", "rank": "4", "quantization": "nf4"}
    assert cells[0].shown == {"backend": "peft", "rank": "4"}


def test_two_cells_of_one_name_are_refused() -> None:
    include = ({"backend": "peft"},)
    said = "two cells are called 'peft': leave one out, or give included cells a label"
    with pytest.raises(UsageError, match=said):
        cells_of(suite(title="one", base={}, matrix={"backend": ("peft", "trl")}, include=include))


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    made = of(data=("one/a.jsonl", "two/a.jsonl", "two/b.jsonl"), model=("x/tiny", "y/tiny"))
    assert names(made) == [
        f"{data}, {model}" for data in ("one/a.jsonl", "two/a.jsonl", "b") for model in ("x/tiny", "y/tiny")
    ]


def test_options_of_a_cell_are_beside_those_that_all_share() -> None:
    base = {"options": {"method": {"use_rslora": True, "bias": "none"}, "evaluator": {"n": 1}}}
    include = ({"options": {"method": {"bias": "all"}, "backend": {"own": 1}}, "label": "other"},)
    _, other = cells_of(suite(title="one", base=base, matrix={}, include=include))
    assert other.settings["options"] == {
        "method": {"use_rslora": True, "bias": "all"}, "evaluator": {"n": 1}, "backend": {"own": 1},
    }  # fmt: skip


def test_something_must_be_left() -> None:
    exclude = ({"backend": "peft"}, {"backend": "trl"})
    with pytest.raises(UsageError, match="no cell is left: every one is excluded"):
        cells_of(suite(title="one", base={}, matrix={"backend": ("peft", "trl")}, exclude=exclude))


SETTINGS = {
    "backend": ("peft", "trl", "trainer"), "rank": (4, 8), "model": ("tiny-qwen", "tiny-glm"), "seed": (0, 1),
}  # fmt: skip
matrices = st.dictionaries(st.sampled_from(list(SETTINGS)), st.just(None)).map(
    lambda keys: {key: SETTINGS[key] for key in keys}
)
choices = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in SETTINGS.items()})


@given(matrices, st.lists(choices, max_size=3))
def test_cells_are_the_products_that_nothing_excludes(matrix: dict[str, Any], exclude: list[Any]) -> None:
    made = suite(title="one", base={"rank": 4}, matrix=matrix, exclude=tuple(exclude), baseline={})
    products = [
        {"rank": 4, **dict(zip(made.matrix, values, strict=True))}
        for values in itertools.product(*made.matrix.values())
    ]
    left = [p for p in products if not any(all(p.get(k) == v for k, v in e.items()) for e in exclude)]
    if not left:
        with pytest.raises(UsageError, match="no cell is left"):
            cells_of(made)
        return
    cells = cells_of(made)
    assert [dict(cell.settings) for cell in cells] == left
    assert len({cell.name for cell in cells}) == len({cell.slug for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data", "here/short.jsonl", "short"),
        ("data", "hf:owner/rows", "rows"),
        ("model", "Qwen/Qwen3-0.6B", "Qwen3-0.6B"),
        ("model", "shape:qwen3-8b", "shape:qwen3-8b"),
        ("model", "/models/mine/", "mine"),
        ("learning_rate", 2e-4, "0.0002"),
        ("offline", True, "on"),
        ("gradient_checkpointing", False, "off"),
        ("options", {"method": {"use_rslora": True}, "backend": {"x": 1}}, "method.use_rslora=True backend.x=1"),
        ("rank", None, ""),
        ("rank", 4, "4"),
    ],
)
def test_a_value_in_words(key: str, value: Any, said: str) -> None:
    assert word(key, value) == said


# What a cell is compared with


def against(made: Suite) -> dict[str, str]:
    cells = cells_of(made)
    found = {cell.name: baseline_of(cell, cells, made) for cell in cells}
    return {name: base.name if base else "" for name, base in found.items()}


def test_the_first_of_what_computes_the_same_is_the_baseline_on_the_same_work() -> None:
    made = of(
        data=("a.jsonl", "b.jsonl"), model=("tiny-qwen", "tiny-glm"), backend=("peft", "trl"), dtype=("fp32", "bf16")
    )
    assert made.baseline == {"backend": "peft"}
    for name, base in against(made).items():
        data, model, _, dtype = name.split(", ")
        assert base == f"{data}, {model}, peft, {dtype}"


def test_where_only_what_is_computed_varies_the_first_of_it_is_the_baseline() -> None:
    made = of(model=("tiny-qwen", "tiny-glm"), dtype=("fp32", "bf16"), rank=(4, 8))
    assert made.baseline == {"dtype": "fp32"}
    assert against(made)["tiny-glm, bf16, rank 8"] == "tiny-glm, fp32, rank 8"


def test_along_a_sweep_each_cell_is_compared_with_one_of_its_size() -> None:
    made = suite(title="one", base={}, matrix={"backend": ("peft", "trl"), "rank": (4, 8)}, sweeps=("rank",))
    assert made.baseline == {"backend": "peft"}
    assert against(made) == {
        "peft, rank 4": "peft, rank 4", "peft, rank 8": "peft, rank 8",
        "trl, rank 4": "peft, rank 4", "trl, rank 8": "peft, rank 8",
    }  # fmt: skip


def test_a_swept_setting_of_one_value_is_no_sweep() -> None:
    assert suite(title="one", base={}, matrix={"rank": (4,), "backend": ("a", "b")}, sweeps=("rank",)).sweeps == ()


def test_a_named_baseline_differs_in_what_it_names() -> None:
    matrix = {"backend": ("peft", "trl"), "rank": (4, 8)}
    made = suite(title="one", base={}, matrix=matrix, baseline={"backend": "trl"})
    assert against(made) == {
        "peft, rank 4": "trl, rank 4", "peft, rank 8": "trl, rank 8",
        "trl, rank 4": "trl, rank 4", "trl, rank 8": "trl, rank 8",
    }  # fmt: skip


def test_an_included_cell_is_compared_with_the_likest_included_one() -> None:
    made = suite(
        title="one", base={}, matrix={"backend": ("trainer", "peft")}, baseline={"backend": "trainer"},
        include=(
            {"backend": "trainer", "quantization": "nf4", "label": "4 trainer"},
            {"backend": "peft", "quantization": "nf4", "label": "4 peft"},
        ),
    )  # fmt: skip
    assert against(made) == {
        "trainer": "trainer", "peft": "trainer", "4 trainer": "4 trainer", "4 peft": "4 trainer",
    }  # fmt: skip


def test_where_only_included_cells_differ_the_base_is_the_baseline() -> None:
    made = suite(title="one", base={"backend": "peft"}, matrix={}, include=({"rank": 8}, {"quantization": "nf4"}))
    assert against(made) == {"peft": "peft", "rank 8": "peft", "nf4": "peft"}


def test_a_baseline_that_no_cell_has_is_refused_before_anything_runs() -> None:
    made = suite(title="one", base={}, matrix={"backend": ("peft", "trl")}, baseline={"backend": "trainer", "rank": 4})
    said = r"no cell has the settings of the baseline \(backend trainer, rank 4\): name another one"
    with pytest.raises(UsageError, match=said):
        cells_of(made)


def test_a_cell_whose_baseline_is_excluded_has_none() -> None:
    made = suite(
        title="one", base={}, matrix={"backend": ("peft", "trl"), "model": ("tiny-qwen", "tiny-glm")},
        exclude=({"backend": "peft", "model": "tiny-glm"},),
    )  # fmt: skip
    assert against(made) == {
        "tiny-qwen, peft": "tiny-qwen, peft",
        "tiny-qwen, trl": "tiny-qwen, peft",
        "tiny-glm, trl": "",
    }


# Plans


def cell(**settings: Any) -> Cell:
    return Cell(name="a cell", settings=settings, shown={})


def test_a_cell_is_planned_with_few_steps_and_nothing_scored(home: Path, alpaca: Path) -> None:
    plan = planned(cell(data=str(alpaca), model="tiny-qwen"), registry()).plan
    assert plan is not None
    assert plan.training.steps == 20
    assert plan.training.eval_every >= 20  # at the end, and not before
    assert plan.evaluations == ()
    assert plan.data.split("test") is None
    assert plan.data.split("validation") is not None


def test_what_a_cell_asks_for_is_planned(home: Path, alpaca: Path) -> None:
    asked = cell(data=str(alpaca), model="tiny-qwen", max_steps=7, eval_every=2, evaluator="exact-match")
    plan = planned(asked, registry()).plan
    assert plan is not None
    assert (plan.training.steps, plan.training.eval_every) == (7, 2)
    assert plan.data.split("test") is not None
    epochs = planned(cell(data=str(alpaca), model="tiny-qwen", epochs=2.0), registry()).plan
    assert epochs is not None
    assert epochs.training.steps == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backend": "peftt"}, "unknown backend 'peftt'. Did you mean 'peft'?"),
        ({"data": "none.jsonl"}, "none.jsonl"),
        ({"dropout": 0.1}, "dropout draws other numbers in every backend"),
        ({"batch_size": 6, "micro_batch": 4}, "--batch-size 6 is not a multiple of --micro-batch 4"),
    ],
)
def test_a_cell_that_cannot_be_planned_says_why(home: Path, alpaca: Path, settings: dict[str, Any], said: str) -> None:
    found = planned(cell(**{"data": str(alpaca), "model": "tiny-qwen", **settings}), registry())
    assert found.problem
    assert said in found.problem
    assert "\n" not in found.problem


def test_steps_must_be_left_after_the_warm_up(home: Path, alpaca: Path) -> None:
    made = suite(title="one", base={"data": str(alpaca), "model": "tiny-qwen", "max_steps": 3}, matrix={}, warmup=3)
    said = r"'peft' has 3 steps, of which the first 3 are warm-up: give more --steps, or a smaller --warmup-steps"
    with pytest.raises(UsageError, match=said):
        check_steps(made, [planned(one, registry()) for one in cells_of(made)])


# The command line, dry


Run = Callable[..., Said]


def test_what_is_given_several_times_is_compared(run: Run, alpaca: Path, tmp_path: Path) -> None:
    dry = run(
        "bench", "run", alpaca, "--model", "tiny-qwen", "--backend", "peft", "--backend", "trainer", "--rank", "4",
        "--sweep", "micro-batch=1,2", "--steps", "6", "--repeat", "2", "--out", tmp_path / "out", "--dry-run",
    )  # fmt: skip
    assert dry.code == 0, dry.err
    assert [line.split("  ")[0] for line in dry.out.splitlines()[1:5]] == [
        f"{backend}, micro-batch {size}" for backend in ("peft", "trainer") for size in (1, 2)
    ]
    assert "2 rounds, 3 steps of warm-up, baseline backend peft: about" in dry.out
    assert "(a guess: nothing of it has run here)" in dry.out
    assert not (tmp_path / "out").exists()


def test_flags_are_over_the_file(run: Run, alpaca: Path, write: Write) -> None:
    path = write(
        f"base: {{data: {alpaca.name}, model: tiny-qwen, rank: 4}}\n"
        "matrix: {backend: [peft, trainer], dtype: [fp32, bf16]}\n"
        "exclude: [{backend: trainer, dtype: fp32}]"
    )
    dry = run("bench", "run", "--config", path, "--dtype", "bf16", "--rank", "8", "--rank", "16", "--dry-run")
    assert dry.code == 0, dry.err
    assert [line.split("  ")[0] for line in dry.out.splitlines()[1:] if " ok" in line] == [
        f"{backend}, rank {rank}" for backend in ("peft", "trainer") for rank in (8, 16)
    ]


def test_every_cell_has_its_verdict(run: Run, alpaca: Path) -> None:
    dry = run("bench", "run", alpaca, "--model", "tiny-qwen", "--backend", "peft", "--backend", "nobody", "--dry-run")
    assert dry.code == 0, dry.err
    assert "unknown backend 'nobody'" in dry.out
    assert dry.out.count(" ok") == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--steps", "3"), "of which the first 3 are warm-up"),
        (("--sweep", "rank=4"), "needs at least two numbers"),
        (("--baseline", "backend=trl"), "no cell has the settings of the baseline (backend trl)"),
        (("--rank", "4", "--sweep", "rank=2,4"), "--rank is swept, too: leave one of them out"),
        (("-",), "standard input can be read once"),
        (("--json",), "--dry-run prints a table: leave --json out"),
        (("--set", "rank=4"), "is not of the form KIND.NAME=VALUE"),
        (("--repeat", "0"), "0 is not in the range"),
        (("--rank", "x"), "'x' is not a valid integer"),
    ],
)
def test_a_flag_that_cannot_be_is_a_sentence(run: Run, alpaca: Path, flags: tuple[str, ...], said: str) -> None:
    given = ("--model", "tiny-qwen", "--backend", "peft", "--backend", "trainer", "--dry-run")
    refused = run("bench", "run", alpaca, *given, *flags)
    assert refused.code == 2
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_a_suite_can_be_kept_and_read_again() -> None:
    """The folder of the results has it as JSON: the same suite has the same digest then."""
    from graftlm.contracts.serial import digest, from_json, to_json

    made = suite(
        title="one", base={"learning_rate": 1e-3, "options": {"method": {"use_rslora": True}}}, baseline={"rank": 4},
        matrix={"rank": (4, 8), "data": ("a", "b")}, exclude=({"rank": 4},), tolerance={"answers": 1.0},
    )  # fmt: skip
    again = from_json(to_json(made), Suite, "a suite")
    assert digest(again) == digest(made)
    assert json.loads(to_json(made)) == json.loads(to_json(again))
