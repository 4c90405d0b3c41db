"""What is measured of a run: figures, arithmetic, the ids that a model is given, energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graftlm.comparing.figures import MEASURES, measured
from graftlm.comparing.results import RunResult, StepFigures
from graftlm.contracts.config import RunConfig
from graftlm.contracts.model import LinearShape, ModelShape
from graftlm.contracts.outcome import MemoryUse, Score
from graftlm.contracts.plan import Plan
from graftlm.planning.resolve import resolve
from graftlm.worker import energy
from graftlm.worker.energy import EnergyMeter
from graftlm.worker.given import GivenIds
from graftlm.worker.work import step_flops
from graftlm_registry.plugins import registry

# Figures


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    asked = RunConfig(data=str(alpaca), model="tiny-mistral", rank=4, dtype="fp32", device="cpu", max_steps=4)
    return resolve(asked, registry())


@pytest.fixture
def result(plan: Plan) -> RunResult:
    """Four steps, of which the first is slow."""
    steps = tuple(
        StepFigures(loss=2.0 - i / 4, gradient_norm=1.0, seconds=seconds, tokens=100, trained=10, flops=1e6)
        for i, seconds in enumerate((9.0, 1.0, 2.0, 1.0))
    )
    return RunResult(
        cell="one", round=1, finished="2026-11-22", settings={}, plan=plan, machine={}, steps=steps,
        validation=((2, 1.9), (4, 1.7)), first_step_seconds=11.0, training_seconds=13.0, adapter_bytes=4096,
        memory=MemoryUse(imports=10, peak=500), energy=800.0, rate=3e6,
    )  # fmt: skip


def test_speeds_are_of_the_steps_after_the_warm_up(result: RunResult) -> None:
    found = measured(result, 1)
    assert found["tokens_per_second"] == 300 / 4
    assert found["trained_tokens_per_second"] == 30 / 4
    assert found["step_seconds"] == 1.0
    assert found["flops_per_second"] == 3e6 / 4
    assert found["share_of_rate"] == 0.25
    assert measured(result, 0)["tokens_per_second"] == 400 / 13
    assert measured(result, 2)["step_seconds"] == 1.5


def test_the_rest_is_of_the_whole_run(result: RunResult) -> None:
    found = measured(result, 1)
    assert found["first_step_seconds"] == 11.0
    assert found["joules_per_token"] == 2.0
    assert (found["final_loss"], found["validation_loss"]) == (1.25, 1.7)
    assert (found["adapter_bytes"], found["peak_memory"]) == (4096, 500)


def test_memory_is_the_device_s_where_it_has_its_own(result: RunResult) -> None:
    found = measured(replace(result, memory=MemoryUse(imports=1, peak=500, device_peak=70, device_reserved=90)), 1)
    assert (found["peak_memory"], found["reserved_memory"]) == (70, 90)


def test_what_a_run_does_not_tell_is_left_out(result: RunResult) -> None:
    steps = tuple(replace(step, flops=0.0) for step in result.steps)
    found = measured(replace(result, memory=None, energy=None, rate=0.0, steps=steps, validation=()), 1)
    known = {"tokens_per_second", "trained_tokens_per_second", "step_seconds", "first_step_seconds", "adapter_bytes"}
    assert found.keys() == known | {"final_loss"}


def test_every_figure_has_a_measure(result: RunResult) -> None:
    found = measured(replace(result, memory=MemoryUse(imports=1, peak=2, device_peak=3, device_reserved=4)), 1)
    assert {measure.name for measure in MEASURES} == found.keys()


def test_scores_after_training_are_figures(result: RunResult) -> None:
    def score(moment: Any, value: float) -> Score:
        return Score(evaluation="own", role="new", metric="exact-match", moment=moment, value=value, n=4)

    found = measured(replace(result, scores=(score("before", 0.1), score("after", 0.0))), 1)
    assert found["own.exact-match"] == 0.0  # a score of nothing is a score


# Arithmetic

TINY = ModelShape(
    hidden=4, layers=2, vocabulary=10, context=64, heads=2, kv_heads=1, head_dim=3, intermediate=8, tied=False,
    linear=(
        LinearShape(name="q_proj", inputs=4, outputs=6, count=2),
        LinearShape(name="k_proj", inputs=4, outputs=3, count=2),
        LinearShape(name="v_proj", inputs=4, outputs=3, count=2),
        LinearShape(name="o_proj", inputs=6, outputs=4, count=2),
        LinearShape(name="down_proj", inputs=4, outputs=4, count=2),
    ),
)  # fmt: skip
PRODUCTS = 2 * (24 + 12 + 12 + 24 + 16) + 10 * 4
"""Weights that a token is multiplied with: two layers, and the head."""


def test_a_step_of_a_tiny_model_is_what_a_hand_counts() -> None:
    """Two samples, of 2 and 4 tokens, and 50 weights of an adapter."""
    pairs = (2 * 2 + 4 * 4) / 2
    scores_and_sums = 2 * (2 * 3) + 2 * (2 * 3)  # a pair of tokens in a layer: q·k, and the weighted v, of two heads
    forward = 2 * (PRODUCTS + 50) * 6 + scores_and_sums * 2 * pairs
    inputs = 2 * (PRODUCTS + 50) * 6
    attention = 2 * scores_and_sums * 2 * pairs  # both sides of both products want gradients
    weights = 2 * 50 * 6
    assert step_flops(TINY, 50, "adapter", [2, 4]) == forward + inputs + attention + weights


def test_an_overlay_adds_no_weights() -> None:
    """It trains some that are there."""
    assert step_flops(TINY, 50, "adapter", [3]) - step_flops(TINY, 50, "overlay", [3]) == 2 * 2 * 50 * 3


def test_tied_embeddings_are_the_head() -> None:
    assert step_flops(replace(TINY, tied=True), 0, "adapter", [3]) == step_flops(TINY, 0, "adapter", [3])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_samples_do_not_see_each_other(lengths: list[int]) -> None:
    whole = step_flops(TINY, 9, "adapter", lengths)
    assert whole == pytest.approx(sum(step_flops(TINY, 9, "adapter", [one]) for one in lengths))
    assert whole <= step_flops(TINY, 9, "adapter", [sum(lengths)])


def test_torch_counts_the_same(plan: Plan) -> None:
    """It counts all pairs of eager attention, and no norms."""
    from peft import LoraConfig, get_peft_model
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    from graftlm_registry.models import catalogue

    shape, tokens = plan.model.facts.shape, 48
    assert shape is not None
    folder = catalogue().entry("tiny-mistral").folder
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    base.enable_input_require_grads()  # else torch leaves out what nobody below the first layer asks for
    model = get_peft_model(base, LoraConfig(r=4, target_modules=list(plan.method.target_modules)))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.arange(tokens)[None], use_cache=False).logits.sum().backward()
    other_half = 3 * 2 * 2 * shape.layers * shape.heads * shape.head_dim * tokens**2 / 2
    norms = 2 * 2 * shape.other * tokens
    assert counter.get_total_flops() == step_flops(shape, trained, "adapter", [tokens]) - norms + other_half


# Ids

SAMPLES = ((5, 6, 7, 8), (6, 7), (9, 9, 9))


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = torch.nn.Embedding(100, 2)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embeddings

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.embeddings(ids)
        return out


def given_as(*batches: Sequence[Sequence[int]], samples: Sequence[Sequence[int]] = SAMPLES) -> str:
    """What is said of batches, each of rows of one length."""
    watch, model = GivenIds(samples), Model()
    watch.watch(model)
    for batch in batches:
        model(torch.tensor(batch))
    return watch.found()


def test_padded_samples_are_the_planned_ones() -> None:
    assert given_as([(5, 6, 7, 8), (6, 7, 0, 0)], [(9, 9, 9)]) == "planned"
    assert given_as([(5, 6, 7, 8), (99, 99, 6, 7), (99, 9, 9, 9)]) == "planned"  # padded on the left, with another


def test_packed_samples_are_the_planned_ones() -> None:
    assert given_as([(9, 9, 9, 5, 6, 7, 8, 6, 7)]) == "planned"
    assert given_as([(6, 7, 5, 6, 7, 8)], [(9, 9, 9, 0, 0, 0)]) == "planned"


def test_another_order_within_the_step_is_the_same_step() -> None:
    assert given_as([(9, 9, 9)], [(6, 7)], [(5, 6, 7, 8)]) == "planned"


@pytest.mark.parametrize(
    "batches",
    [
        ([(6, 7, 8, 9), (7, 8, 0, 0), (10, 10, 10, 0)],),  # of another vocabulary
        ([(5, 6, 7, 8)], [(6, 7)]),  # one is missing
        ([(5, 6, 7, 8), (9, 9, 9, 0)],),  # a short one stands only within a long one
        ([(5, 6, 7, 8), (6, 7, 0, 0), (9, 9, 9, 0), (4, 4, 4, 0)],),  # one too many
        ([(5, 6, 7, 8), (6, 7, 0, 0), (9, 9, 9, 0), (6, 7, 0, 0)],),  # one of them twice
        ([(1, 5, 6, 7, 8), (1, 6, 7, 0, 0), (1, 9, 9, 9, 0)],),  # a token before each
        ([(0, 5, 6, 7, 8), (0, 6, 7, 0, 0), (0, 9, 9, 9, 0)],),  # the filler itself before each
        ([(1, 5, 6, 7, 8)], [(1, 6, 7)], [(1, 9, 9, 9)]),  # a token before each, and no padding
        ([(5, 6, 7)], [(6, 7)], [(9, 9, 9)]),  # cut
        ([(8, 7, 6, 5), (7, 6, 0, 0), (9, 9, 9, 0)],),  # turned round
    ],
)
def test_other_ids_are_seen(batches: Any) -> None:
    assert given_as(*batches) == "other"


def test_a_sample_that_is_planned_twice_must_be_given_twice() -> None:
    twice = ((5, 6), (5, 6))
    assert given_as([(5, 6), (5, 6)], samples=twice) == "planned"
    assert given_as([(5, 6)], samples=twice) == "other"


def test_a_model_that_was_never_called_with_ids_is_not_known() -> None:
    assert given_as() == "unseen"
    assert GivenIds(SAMPLES).found() == "unseen"
    watch = GivenIds(SAMPLES)
    watch.watch(torch.nn.Linear(2, 2))  # it has no embeddings to watch
    assert watch.found() == "unseen"


def test_validation_is_not_training_and_later_steps_are_not_watched() -> None:
    watch, model = GivenIds(SAMPLES), Model()
    watch.watch(model)
    model.eval()
    model(torch.tensor([(50, 51)]))
    model.train()
    model(torch.tensor([(5, 6, 7, 8), (6, 7, 0, 0), (9, 9, 9, 0)]))
    assert watch.found() == "planned"
    model(torch.tensor([(1, 2)]))
    assert watch.found() == "unseen"


samples = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=5)


def padded(rows: Sequence[Sequence[int]], left: bool = False) -> list[list[int]]:
    longest = max(map(len, rows))
    fillers = [[0] * (longest - len(row)) for row in rows]
    return [[*filler, *row] if left else [*row, *filler] for row, filler in zip(rows, fillers, strict=True)]


@given(samples, st.randoms(), st.booleans())
def test_every_padded_batch_of_the_samples_is_planned(planned: list[list[int]], random: Any, left: bool) -> None:
    rows = random.sample(planned, len(planned))
    assert given_as(padded(rows, left), samples=planned) == "planned"


@given(samples, st.randoms(), st.booleans())
def test_a_filler_before_each_of_several_samples_is_other(
    planned: list[list[int]], random: Any, together: bool
) -> None:
    rows = [[0, *row] for row in random.sample(planned, len(planned))]
    batches = [padded(rows)] if together else [[row] for row in rows]
    assert given_as(*batches, samples=planned) == ("other" if len(planned) > 1 else "planned")


@given(samples, st.randoms())
def test_a_token_changed_in_a_padded_batch_is_other(planned: list[list[int]], random: Any) -> None:
    rows = [list(row) for row in planned]
    place = random.choice(rows)
    place[random.randrange(len(place))] = 99
    assert given_as(padded(rows), samples=planned) == "other"


# Energy


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``powercap("intel-rapl:0", energy_uj=…)`` writes files of a processor's folder."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")

    def write(folder: str, **values: object) -> None:
        (tmp_path / "powercap" / folder).mkdir(parents=True, exist_ok=True)
        for name, value in values.items():
            (tmp_path / "powercap" / folder / name).write_text(f"{value}\n")

    return write


Powercap = Callable[..., None]
MOST = 262_143_328_850


def test_joules_are_counted_from_the_start(powercap: Powercap) -> None:
    powercap("intel-rapl:0", name="package-0", energy_uj=5_000_000, max_energy_range_uj=MOST)
    meter = EnergyMeter("cpu")
    assert meter.joules() == 0
    powercap("intel-rapl:0", energy_uj=9_500_000)
    assert meter.joules() == 4.5


def test_processors_are_added_and_their_parts_are_not(powercap: Powercap) -> None:
    """A part is counted in its processor already, and the whole platform would count all once more."""
    names = {
        "intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl:0:0": "core", "intel-rapl:1:0": "dram",
        "intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0", "dtpm": "package-0",
    }  # fmt: skip
    for folder, name in names.items():
        powercap(folder, name=name, energy_uj=0, max_energy_range_uj=MOST)
    meter = EnergyMeter("cpu")
    for i, folder in enumerate(names):
        powercap(folder, energy_uj=10**i * 1_000_000)
    assert meter.joules() == 11


def test_a_counter_that_begins_anew_goes_on(powercap: Powercap) -> None:
    powercap("intel-rapl:0", name="package-0", energy_uj=90_000_000, max_energy_range_uj=100_000_000)
    meter = EnergyMeter("cpu")
    for value, joules in ((99_000_000, 9.0), (1_000_000, 11.0), (98_000_000, 108.0), (2_000_000, 112.0)):
        powercap("intel-rapl:0", energy_uj=value)
        assert meter.joules() == pytest.approx(joules)


def test_where_nothing_tells_it_is_not_known(powercap: Powercap, tmp_path: Path) -> None:
    assert EnergyMeter("cpu").joules() is None
    powercap("intel-rapl:0", name="package-0", energy_uj="not a number", max_energy_range_uj=MOST)
    assert EnergyMeter("cpu").joules() is None
    (tmp_path / "powercap" / "intel-rapl:0" / "energy_uj").unlink()
    assert EnergyMeter("cpu").joules() is None
