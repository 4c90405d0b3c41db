"""What is measured of the machine before a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from graftlm.cli.adapters.record_text import machine_words
from graftlm.contracts.model import ModelShape
from graftlm.contracts.outcome import Machine
from graftlm.contracts.plan import Plan
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


def test_a_short_run_and_a_gpu_are_left_as_torch_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Plan = CpuPlan()  # type: ignore[assignment]
    assert settle_machine(SHAPE, plan, WORTH / 2)[0] is None
    monkeypatch.setattr(CpuPlan, "device", "cuda")
    assert settle_machine(SHAPE, plan, WORTH * 2)[0] is None


def test_what_is_taken_holds_until_it_is_set_back() -> None:
    torch.set_num_threads(2)
    found, restore = settle_machine(SHAPE, CpuPlan(), WORTH)  # type: ignore[arg-type]
    assert found is not None
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (found.threads, found.matmul)
    restore()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "highest")


def test_a_large_model_is_measured_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def seconds(way: Way, left: torch.Tensor, right: torch.Tensor) -> float:
        rows.append(left.shape[0] * right.numel())
        return 1.0

    monkeypatch.setattr(under_test, "SECONDS", 0.0)
    monkeypatch.setattr(Way, "seconds", seconds)
    measure(4096, 14336, "bf16")
    assert max(rows) <= 4e9


def test_a_faster_precision_is_told() -> None:
    rates = {"bf16, 2 threads, highest": 7e11, "fp32, 2 threads, medium": 3e11}
    found = Machine(threads=2, matmul="medium", rates=rates, best="bf16", gain=0.43)
    assert machine_words(found, "fp32") == (
        "2 threads; fp32 products by oneDNN, 300 GFLOP/s measured; bf16 multiplies 2.3 times as fast here"
    )
    assert machine_words(replace(found, gain=2.3), "bf16") == (
        "2 threads; bf16 products 700 GFLOP/s measured; fp32 ones by oneDNN"
    )
