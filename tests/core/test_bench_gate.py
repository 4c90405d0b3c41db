"""The parity gate on constructed runs: each check fails by itself, and what claims to be the same is one class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_runs import LOSSES, effective_of, planned, result_of, slower, steps_of
from hypothesis import given
from hypothesis import strategies as st

from graftlm.comparing.classes import judged
from graftlm.comparing.model import CellReport, Check
from graftlm.comparing.parity import EXACT, ROUNDED, check_limits, claim, gate, own_checks, tolerance_of
from graftlm.comparing.record import CellRecord, SuiteRecord
from graftlm.comparing.results import Inputs, RunResult
from graftlm.comparing.suite import Suite
from graftlm.comparing.summary import report
from graftlm.contracts.errors import UsageError
from graftlm.contracts.outcome import Proof
from graftlm.contracts.plan import Plan

INPUTS = Inputs(ids="i", labels="l", order="o", initial="w")


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    return planned(alpaca)


def failed(checks: Sequence[Check]) -> dict[str, str]:
    return {check.name: check.said for check in checks if not check.passed}


def moved(by: float, step: int) -> tuple[Any, ...]:
    """The usual steps, but for one loss."""
    return steps_of([loss + by if i == step else loss for i, loss in enumerate(LOSSES)])


# Checks


def test_a_cell_that_did_the_same_passes_every_check(plan: Plan) -> None:
    checks = gate([result_of(plan, "trainer")], [result_of(plan)], EXACT)
    assert failed(checks) == {}
    assert [check.name for check in checks] == [
        "ids", "data", "parameters", "tokens", "first loss", "gradient norm", "loss curve", "effect on the logits",
        "answers",
    ]  # fmt: skip


WRONG: dict[str, tuple[Callable[[Plan], dict[str, Any]], dict[str, str]]] = {
    "other ids": (
        lambda plan: {"effective": effective_of(plan, given="other")},
        {"ids": "the model was given other ids than the planned samples"},
    ),
    "ids that nobody saw": (
        lambda plan: {"effective": effective_of(plan, given="unseen")},
        {"ids": "what the model was given could not be seen"},
    ),
    "another precision": (
        lambda plan: {"effective": effective_of(plan, dtype="bf16")},
        {"precision": "computed in bf16 on cpu, and the plan says fp32 on cpu"},
    ),
    "another device": (
        lambda plan: {"effective": effective_of(plan, device="cuda")},
        {"precision": "computed in fp32 on cuda, and the plan says fp32 on cpu"},
    ),
    "other encoded ids": (
        lambda plan: {"inputs": replace(INPUTS, ids="x")},
        {"data": "handed other ids"},
    ),
    "other labels": (
        lambda plan: {"inputs": replace(INPUTS, labels="x")},
        {"data": "handed other labels"},
    ),
    "another order and other weights": (
        lambda plan: {"inputs": replace(INPUTS, order="x", initial="x")},
        {"data": "handed other order of samples and initial weights"},
    ),
    "unknown inputs": (
        lambda plan: {"inputs": None},
        {"data": "the encoded data of a run is not known"},
    ),
    "fewer trained parameters": (
        lambda plan: {"effective": effective_of(plan, trainable_parameters=1000)},
        {"parameters": "1,000 trainable parameters instead of 1,024"},
    ),
    "fewer adapted layers": (
        lambda plan: {"effective": effective_of(plan, adapted_layers=27)},
        {"parameters": "27 adapted layers instead of 28"},
    ),
    "other adapted layers": (
        lambda plan: {"effective": effective_of(plan, adapted_modules={"q_proj": 4, "k_proj": 4})},
        {"parameters": "other adapted modules"},
    ),
    "quantized layers that nobody asked for": (
        lambda plan: {"effective": effective_of(plan, quantized_layers=3)},
        {"parameters": "3 quantized layers instead of 0"},
    ),
    "padding counted": (
        lambda plan: {"steps": steps_of(tokens=120)},
        {"tokens": "120 tokens counted in a step instead of 100"},
    ),
    "another first loss": (
        lambda plan: {"steps": moved(2e-4, 0)},
        {"first loss": "first loss differs by 2.0e-04"},
    ),
    "another gradient": (
        lambda plan: {"steps": steps_of(gradient_norm=1.515)},
        {"gradient norm": "gradient norm differs by 1.0e-02 of it"},
    ),
    "no gradient": (
        lambda plan: {"steps": steps_of(gradient_norm=0.0)},
        {"gradient norm": "gradient norm differs by 1.0e+00 of it"},
    ),
    "a gradient that overflowed": (
        lambda plan: {"steps": steps_of(gradient_norm=None)},
        {"gradient norm": "gradient norm is no number in one of them"},
    ),
    "another loss later": (
        lambda plan: {"steps": moved(-0.01, 2)},
        {"loss curve": "loss curve differs by 1.0e-02"},
    ),
    "a loss that is no number": (
        lambda plan: {"steps": moved(math.nan, 2)},
        {"loss curve": "loss curve is no number in one of them"},
    ),
    "a loss that ran away": (
        lambda plan: {"steps": moved(math.inf, 3)},
        {"loss curve": "loss curve is no number in one of them"},
    ),
    "another effect": (
        lambda plan: {"proof": Proof(effect=1.9, reload=0.0, base_before="0", base_after="0")},
        {"effect on the logits": "effect on the logits differs by 5.0e-02 of it"},
    ),
    "other answers": (
        lambda plan: {"answers": ("red", "green", "red", "blue")},
        {"answers": "3 of 4 greedy answers the same (at least 85% must be)"},
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_thing_that_is_wrong_fails_its_check_and_no_other(plan: Plan, what: str) -> None:
    changes, said = WRONG[what]
    reference = [result_of(plan), result_of(plan, number=2)]
    wrong = [result_of(plan, "trainer", **changes(plan)), result_of(plan, "trainer", 2)]
    assert failed(gate(wrong, reference, EXACT)) == said
    if what not in ("other answers", "another effect"):  # they are of one round
        later = [result_of(plan, "trainer"), result_of(plan, "trainer", 2, **changes(plan))]
        assert failed(gate(later, reference, EXACT)) == said


def test_a_first_loss_that_is_no_number_fails_both_checks_of_losses(plan: Plan) -> None:
    found = failed(gate([result_of(plan, "trainer", steps=moved(math.nan, 0))], [result_of(plan)], EXACT))
    assert found.keys() == {"first loss", "loss curve"}


def test_two_that_ran_away_together_are_no_same_computation(plan: Plan) -> None:
    wrong = result_of(plan, steps=moved(math.nan, 3))
    assert failed(gate([wrong], [wrong], EXACT)).keys() == {"loss curve"}


def test_gradients_that_overflowed_together_are_the_same(plan: Plan) -> None:
    """As the first ones do in fp16."""
    run = result_of(plan, steps=steps_of(gradient_norm=None))
    assert failed(gate([run], [run], EXACT)) == {}


def test_where_a_model_learns_little_a_small_difference_is_one(plan: Plan) -> None:
    """In 16 bits a tenth of a nat is allowed, and never more than a tenth of what the reference learned."""
    curve = [3.0, 2.99, 2.98, 2.95]
    reference = result_of(plan, steps=steps_of(curve))
    for by, said in ((0.004, {}), (0.02, {"loss curve": "loss curve differs by 2.0e-02"})):
        run = result_of(plan, "trainer", steps=steps_of([*curve[:3], curve[3] + by]))
        assert failed(gate([run], [reference], ROUNDED)) == said
    wide = result_of(plan, "trainer", steps=moved(0.09, 3))
    assert failed(gate([wide], [result_of(plan)], ROUNDED)) == {}


def test_a_reference_that_learns_nothing_allows_noise(plan: Plan) -> None:
    flat = [3.0, 3.0, 3.0, 3.0]
    run = result_of(plan, "trainer", steps=steps_of([*flat[:3], 3.0005]))
    assert failed(gate([run], [result_of(plan, steps=steps_of(flat))], ROUNDED)) == {}


def test_without_a_proof_no_effect_is_compared(plan: Plan) -> None:
    checks = gate([result_of(plan, "trainer", proof=None)], [result_of(plan)], EXACT)
    assert "effect on the logits" not in [check.name for check in checks]


def test_only_rounds_that_both_have_are_compared(plan: Plan) -> None:
    mine = [result_of(plan, "trainer", 1), result_of(plan, "trainer", 2, steps=moved(1.0, 0))]
    assert failed(gate(mine, [result_of(plan, number=1)], EXACT)) == {}
    assert failed(gate(mine[1:], [result_of(plan, number=1)], EXACT)) == {
        "rounds": "no round has both this cell and its reference"
    }


def test_without_answers_none_are_compared(plan: Plan) -> None:
    """A script's adapter is not kept, and nobody can ask it."""
    checks = gate([result_of(plan, "trainer", answers=())], [result_of(plan)], EXACT)
    assert "answers" not in [check.name for check in checks]
    assert failed(checks) == {}


def test_answers_may_be_of_different_rounds(plan: Plan) -> None:
    mine = [result_of(plan, "trainer", 1, answers=()), result_of(plan, "trainer", 2)]
    reference = [result_of(plan, number=1), result_of(plan, number=2, answers=())]
    assert gate(mine, reference, EXACT)[-1] == Check(name="answers", passed=True, said="4 of 4 greedy answers the same")


def test_a_share_of_answers_is_enough_in_16_bits(plan: Plan) -> None:
    run = result_of(plan, "trainer", answers=("red", "green", "red", "green"))
    assert "answers" in failed(gate([run], [result_of(plan)], EXACT))
    assert "answers" not in failed(gate([run], [result_of(plan)], ROUNDED))


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_limit_is_where_it_is_said_to_be(apart: float, limit: float) -> None:
    """On losses beside zero, where differences are exact."""
    mine, other = (replace(_known["run"], steps=steps_of([loss, 0.0])) for loss in (apart, 0.0))
    found = failed(gate([mine], [other], replace(EXACT, first_loss=limit, loss_curve=2.0)))
    assert ("first loss" in found) == (apart > limit)


_known: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _once(plan: Plan) -> None:
    _known.update(run=result_of(plan))


# What a cell says of itself


def test_a_4_bit_cell_without_quantized_layers_says_how_many(plan: Plan) -> None:
    nf4 = replace(plan, load=replace(plan.load, quantization="nf4"))
    wrong = result_of(nf4, effective=effective_of(nf4, quantized_layers=0))
    assert failed(own_checks([wrong])) == {"quantized layers": "0 of 28 layers quantized"}
    assert failed(own_checks([result_of(nf4)])) == {}
    assert "quantized layers" in failed(own_checks([result_of(nf4), replace(wrong, round=2)]))


def test_a_4_bit_cell_with_some_layers_quantized_did_not_do_its_plan(plan: Plan) -> None:
    nf4 = replace(plan, load=replace(plan.load, quantization="nf4"))
    wrong = result_of(nf4, effective=effective_of(nf4, quantized_layers=14))
    assert failed(own_checks([wrong])) == {"quantized layers": "14 of 28 layers quantized"}


def test_a_backend_that_packs_by_itself_has_its_own_order(plan: Plan) -> None:
    """As it was asked to, openly: the samples of a step are others then."""
    plan = replace(plan, training=replace(plan.training, packing=False))
    run = result_of(plan, effective=effective_of(plan, packing=True, given="other"))
    assert failed(own_checks([run])) == {}
    planned_so = replace(plan, training=replace(plan.training, packing=True))
    assert "ids" in failed(own_checks([replace(run, plan=planned_so)]))


def test_a_full_precision_cell_has_no_check_of_quantized_layers(plan: Plan) -> None:
    assert [check.name for check in own_checks([result_of(plan)])] == ["ids"]


# Tolerance


def test_tolerance_is_by_precision(plan: Plan) -> None:
    assert tolerance_of(plan, {}) == EXACT
    assert tolerance_of(replace(plan, load=replace(plan.load, dtype="bf16")), {}) == ROUNDED
    assert tolerance_of(replace(plan, load=replace(plan.load, dtype="fp16")), {}) == ROUNDED
    assert tolerance_of(replace(plan, load=replace(plan.load, quantization="nf4")), {}) == ROUNDED


def test_a_suite_s_limits_replace_the_usual_ones(plan: Plan) -> None:
    found = tolerance_of(plan, {"first-loss": 0.5, "answers": 1.0})
    assert found == replace(EXACT, first_loss=0.5, answers=1.0)


def test_a_limit_that_is_none_is_a_sentence(plan: Plan) -> None:
    with pytest.raises(UsageError, match=r"tolerance: unknown limit 'first-los'\. Did you mean 'first-loss'\?"):
        tolerance_of(plan, {"first-los": 0.5})
    with pytest.raises(UsageError, match=r"^there: unknown limit 'loss'"):
        check_limits("there", ["loss"])


# Classes


HOW = (
    {"backend": "trainer"},
    {"accelerator": "eager"},
    {"micro_batch": 4},
    {"gradient_checkpointing": True},
    {"eval_every": 2},
    {"name": "another"},
)
WHAT = (
    {"seed": 1},
    {"max_steps": 5},
    {"batch_size": 8},
    {"learning_rate": 1e-3},
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
    {"rank": 8},
    {"alpha": 8.0},
    {"dropout": 0.1},
    {"method": "dora"},
    {"target_modules": "attention"},
    {"options": {"method": {"use_rslora": True}}},
    {"dtype": "bf16"},
    {"model": "tiny-qwen"},
    {"model": "shape:tiny-mistral"},
    {"train_on": "all"},
    {"max_length": 64},
    {"val_split": 0.3},
)


@pytest.mark.parametrize("settings", HOW, ids=str)
def test_how_it_is_computed_is_no_part_of_the_claim(plan: Plan, alpaca: Path, settings: dict[str, Any]) -> None:
    assert claim(planned(alpaca, **settings)) == claim(plan)


@pytest.mark.parametrize("settings", WHAT, ids=str)
def test_what_is_computed_is_the_claim(plan: Plan, alpaca: Path, settings: dict[str, Any]) -> None:
    assert claim(planned(alpaca, **settings)) != claim(plan)


def test_other_data_is_another_claim_and_a_copy_is_not(plan: Plan, alpaca: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_text(alpaca.read_text())
    assert claim(planned(copy)) == claim(plan)
    copy.write_text("".join(alpaca.read_text().splitlines(keepends=True)[:-1]))
    assert claim(planned(copy)) != claim(plan)


def test_quantization_is_another_claim(plan: Plan) -> None:
    assert claim(replace(plan, load=replace(plan.load, quantization="nf4"))) != claim(plan)


def test_an_option_of_a_backend_is_another_claim_unless_it_says_nothing(plan: Plan) -> None:
    assert claim(replace(plan, options={**plan.options, "backend": {"own_loss": True}})) != claim(plan)
    assert claim(
        replace(plan, options={**plan.options, "backend": {"own_loss": False, "cut": 0, "name": ""}})
    ) == claim(plan)


def test_packing_without_padding_is_the_same_claim(plan: Plan) -> None:
    assert claim(replace(plan, training=replace(plan.training, packing=True))) == claim(plan)


# Which cell the others are held against


def record_of(*names: str, baseline: str = "") -> list[CellRecord]:
    return [
        CellRecord(
            name=name, slug=name, settings={"backend": name, "data": "rows.jsonl"}, shown={"backend": name}, problem="",
            plan_hash="", baseline=baseline,
        )
        for name in names
    ]  # fmt: skip


def suite_of(*names: str, baseline: str = "", **more: Any) -> Suite:
    base = {"data": "rows.jsonl"}
    given = {"repeat": 1, "warmup": 1, "baseline": {"backend": baseline} if baseline else {}, **more}
    return Suite(title="one", base=base, matrix={"backend": names}, **given)


def judge(runs: dict[str, list[RunResult]], baseline: str) -> dict[str, str]:
    found, _ = judged(record_of(*runs, baseline=baseline), runs, suite_of(*runs, baseline=baseline))
    return {name: one.reason for name, one in found.items()}


def test_the_reference_is_the_baseline_wherever_it_stands(plan: Plan) -> None:
    far = steps_of([loss + 1 for loss in LOSSES])
    runs = {"peft": [result_of(plan, "peft", steps=far)], "trainer": [result_of(plan, "trainer")]}
    assert judge(runs, "trainer")["trainer"] == ""
    assert "first loss differs by 1.0e+00" in judge(runs, "trainer")["peft"]
    assert judge(runs, "peft")["peft"] == ""
    assert "first loss differs by 1.0e+00" in judge(runs, "peft")["trainer"]


def test_a_baseline_that_did_not_do_its_plan_is_no_reference(plan: Plan) -> None:
    """Else every honest cell would be called wrong."""
    wrong = result_of(
        plan, "script", effective=effective_of(plan, given="other"), steps=steps_of([loss + 1 for loss in LOSSES])
    )
    runs = {"script": [wrong], "peft": [result_of(plan)], "trainer": [result_of(plan, "trainer")]}
    found = judge(runs, "script")
    assert (found["peft"], found["trainer"]) == ("", "")
    assert "other ids" in found["script"]
    assert "first loss differs" in found["script"]


def test_where_none_did_its_plan_no_cell_is_comparable(plan: Plan) -> None:
    wrong = effective_of(plan, given="other")
    runs = {name: [result_of(plan, name, effective=wrong)] for name in ("peft", "trainer")}
    assert all("other ids" in reason for reason in judge(runs, "peft").values())


def test_classes_are_numbered_and_described(plan: Plan, alpaca: Path) -> None:
    other = planned(alpaca, rank=8)
    runs = {"peft": [result_of(plan)], "wide": [result_of(other, "wide")], "trainer": [result_of(plan, "trainer")]}
    found, described = judged(record_of(*runs, baseline="peft"), runs, suite_of(*runs, baseline="peft"))
    assert {name: one.computation for name, one in found.items()} == {"peft": 1, "trainer": 1, "wide": 2}
    rows = plan.data.splits[0].rows
    assert described == {
        1: f"lora of rank 4 on tiny-mistral in fp32, {rows} rows of rows, 4 steps of {plan.training.batch_size}",
        2: f"lora of rank 8 on tiny-mistral in fp32, {rows} rows of rows, 4 steps of {plan.training.batch_size}",
    }


def test_a_cell_without_a_finished_run_is_in_no_class(plan: Plan) -> None:
    runs: dict[str, list[RunResult]] = {"peft": [result_of(plan)], "trainer": []}
    assert judge(runs, "trainer") == {"peft": ""}


# The report


def reported(runs: Sequence[RunResult], *names: str, baseline: str = "peft", **more: Any) -> dict[str, CellReport]:
    suite = suite_of(*names, baseline=baseline, **more)
    record = SuiteRecord(
        suite=suite,
        cells=tuple(record_of(*names, baseline=baseline)),
        machine={},
        git="",
        created="2026-11-22T20:00:00",
    )
    return {cell.name: cell for cell in report(record, runs).cells}


def test_a_cell_that_passed_has_ratios(plan: Plan) -> None:
    runs = [slower(result_of(plan), 1, n) for n in (1, 2, 3)]
    runs += [slower(result_of(plan, "trainer"), 2, n) for n in (1, 2, 3)]
    found = reported(runs, "peft", "trainer", repeat=3)
    assert (found["peft"].relation, found["peft"].ratios, found["peft"].baseline) == ("baseline", {}, "")
    assert (found["trainer"].relation, found["trainer"].baseline) == ("same computation", "peft")
    speed = found["trainer"].ratios["tokens_per_second"]
    assert (speed.median, speed.low, speed.high) == pytest.approx((0.5, 0.5, 0.5))
    assert speed.rounds == 3


@pytest.mark.parametrize("what", WRONG)
def test_a_cell_that_failed_a_check_has_a_reason_and_no_ratio(plan: Plan, what: str) -> None:
    changes, said = WRONG[what]
    found = reported([result_of(plan), result_of(plan, "trainer", **changes(plan))], "peft", "trainer")["trainer"]
    assert (found.status, found.relation, found.ratios) == ("finished", "not comparable", {})
    assert found.reason == "; ".join(said.values())
    assert found.figures["tokens_per_second"].median > 0  # what it did is told all the same


def test_another_computation_has_ratios_as_what_it_is(plan: Plan, alpaca: Path) -> None:
    wide = result_of(planned(alpaca, rank=8), "trainer", steps=steps_of([1.0, 1.0, 1.0, 1.0]))
    found = reported([result_of(plan), wide], "peft", "trainer")["trainer"]
    assert (found.relation, found.reason) == ("another computation", "")
    assert found.ratios["tokens_per_second"].median == 1.0


def test_nothing_is_compared_with_a_baseline_that_is_not_comparable(plan: Plan) -> None:
    wrong = result_of(plan, effective=effective_of(plan, given="other"))
    found = reported([wrong, result_of(plan, "trainer")], "peft", "trainer")
    assert (found["peft"].relation, found["trainer"].relation) == ("not comparable", "none")
    assert found["trainer"].ratios == {}


def test_nothing_is_compared_with_a_baseline_that_did_not_run(plan: Plan) -> None:
    failed = result_of(plan, error="it broke", effective=None)
    found = reported([failed, result_of(plan, "trainer")], "peft", "trainer")
    assert (found["peft"].status, found["peft"].reason) == ("failed", "it broke")
    assert (found["trainer"].relation, found["trainer"].ratios) == ("none", {})


def test_a_suite_s_tolerance_is_that_of_its_gate(plan: Plan) -> None:
    runs = [result_of(plan), result_of(plan, "trainer", steps=moved(0.01, 2))]
    assert reported(runs, "peft", "trainer")["trainer"].relation == "not comparable"
    loose = reported(runs, "peft", "trainer", tolerance={"loss-curve": 0.1})
    assert loose["trainer"].relation == "same computation"


def test_rounds_that_are_missing_are_told(plan: Plan) -> None:
    runs = [result_of(plan, number=1), result_of(plan, number=2), result_of(plan, "trainer", 1)]
    found = reported(runs, "peft", "trainer", "trl", repeat=2)
    assert (found["peft"].status, found["trainer"].status) == ("finished", "unfinished")
    assert found["trainer"].reason == "1 of 2 rounds are finished"
    assert (found["trl"].status, found["trl"].reason) == ("unfinished", "no run of it is finished")
    assert found["trainer"].ratios["tokens_per_second"].rounds == 1


def test_a_failure_after_the_last_round_is_no_longer_told(plan: Plan) -> None:
    """As where fewer rounds are asked for than were tried."""
    runs = [result_of(plan), result_of(plan, number=2, error="it broke", effective=None)]
    assert reported(runs, "peft")["peft"].reason == ""
