"""What is measured of the machine before a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graftlm.cli.adapters.record_text import machine_words
from graftlm.contracts.model import ModelShape
from graftlm.contracts.outcome import Machine
from graftlm.contracts.plan import Plan
from graftlm.contracts.serial import from_json, to_json
from graftlm.worker import machine as under_test
from graftlm.worker.machine import WORTH, Way, measure, settle_machine

SHAPE = ModelShape(
    hidden=64, layers=1, vocabulary=64, context=64, heads=1, kv_heads=1, head_dim=64, intermediate=128, linear=(),
    tied=True,
)  # fmt: skip


class CpuPlan:
    device = "cpu"
    dtype = "fp32"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = Way(torch.get_num_threads(), torch.get_float32_matmul_precision())
    yield
    before.set()


def test_every_way_is_measured_and_the_process_is_as_before() -> None:
    torch.set_num_threads(2)
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    found = measure(64, 128, "fp32")
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    assert {"fp32, 1 threads, highest", "fp32, 2 threads, highest", "bf16, 1 threads, highest"} <= found.rates.keys()
    assert all(rate > 0 for rate in found.rates.values())
    assert (found.threads, found.matmul) in {(n, m) for n in (1, 2) for m in ("highest", "medium")}
    assert found.best in ("fp32", "bf16")


def rates(**fast: float) -> object:
    """Ways whose seconds are as told: a stand-in for the clock alone."""

    def seconds(way: Way, left: torch.Tensor, right: torch.Tensor) -> float:
        name = f"{'bf16' if left.dtype == torch.bfloat16 else way.matmul}{way.threads}"
        return 1 / fast.get(name, 0.01)

    return seconds


@pytest.mark.parametrize(
    ("dtype", "fast", "taken"),
    [
        ("fp32", {"highest2": 2.0, "highest1": 1.0}, (2, "highest")),
        ("fp32", {"highest2": 1.0, "highest1": 1.1}, (2, "highest")),  # no clear gain: as torch has it
        ("fp32", {"highest2": 0.1, "highest1": 1.0}, (1, "highest")),  # a busy neighbour
        ("fp32", {"medium2": 3.0, "highest2": 2.0}, (2, "medium")),
        ("bf16", {"medium2": 3.0, "highest2": 2.0, "bf162": 5.0}, (2, "medium")),  # attention multiplies in fp32
        ("bf16", {"bf161": 5.0, "bf162": 1.0, "medium2": 9.0}, (1, "highest")),
    ],
)
def test_what_is_clearly_faster_is_taken(
    dtype: str, fast: dict[str, float], taken: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr(under_test, "SECONDS", 0.0)
    monkeypatch.setattr(under_test, "_exact", lambda inner, outer: True)
    monkeypatch.setattr(Way, "seconds", rates(**fast))
    found = measure(64, 128, dtype)
    assert (found.threads, found.matmul) == taken


def test_rounding_to_bf16_is_not_taken_for_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.nn.functional.linear

    def rounding(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        medium = torch.get_float32_matmul_precision() == "medium"
        return plain(left.bfloat16(), right.bfloat16()).to(left.dtype) if medium else plain(left, right)

    monkeypatch.setattr(torch.nn.functional, "linear", rounding)
    assert not under_test._exact(64, 128)
    assert {way.rpartition(" ")[2] for way in measure(64, 128, "fp32").rates} == {"highest"}


def test_a_short_run_and_a_gpu_are_left_as_torch_has_them(tmp_path: Path) -> None:
    plan: Plan = CpuPlan()  # type: ignore[assignment]
    assert settle_machine(SHAPE, plan, WORTH / 2, tmp_path / "machine.json")[0] is None
    plan.device = "cuda"  # type: ignore[misc]
    assert settle_machine(SHAPE, plan, WORTH * 2, tmp_path / "machine.json")[0] is None
    CpuPlan.device = "cpu"
    assert not list(tmp_path.iterdir())


def test_a_run_that_goes_on_computes_as_it_began(tmp_path: Path) -> None:
    kept, plan = tmp_path / "machine.json", CpuPlan()
    torch.set_num_threads(2)
    found, restore = settle_machine(SHAPE, plan, WORTH, kept)  # type: ignore[arg-type]
    assert found == from_json(kept.read_bytes(), Machine, "kept")
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (found.threads, found.matmul)
    restore()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "highest")
    other = replace(found, threads=1, matmul="medium")
    kept.write_bytes(to_json(other))
    assert settle_machine(SHAPE, plan, 0, kept)[0] == other  # type: ignore[arg-type]
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (1, "medium")


def test_a_faster_precision_is_told() -> None:
    found = Machine(threads=2, matmul="medium", rates={"bf16, 2 threads, highest": 7e11}, best="bf16", gain=0.5)
    assert machine_words(found) == (
        "2 threads, medium fp32 products, of at most 700 GFLOP/s measured; bf16 multiplies 2.0 times as fast here"
    )
    assert "times as fast" not in machine_words(replace(found, best="fp32", gain=2.0))
