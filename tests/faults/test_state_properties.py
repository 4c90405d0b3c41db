"""What checkpoints are made of, for any state: packed and unpacked, spikes, numbers that are none, smaller batches."""

from __future__ import annotations

import json
import math
import os
from collections import OrderedDict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from graftlm.contracts.errors import RunError, StoreError
from graftlm.running.backing_off import smaller
from graftlm.worker.spikes import DEVIATIONS, LEAST, RATIO, WINDOW, spike
from graftlm.worker.states import Packing, unpacked
from graftlm.worker.unsound import unsound, unsound_weights
from graftlm_registry.runs.checkpoints import KEEP, Checkpoints

EXAMPLES = settings(max_examples=150, deadline=None, database=None)
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2),
)
NUMPY = ("float64", "float32", "float16", "int64", "int32", "int8", "uint8", "uint32", "uint64", "bool")
SHAPES = ((), (0,), (1,), (3,), (2, 0), (2, 3), (1, 2, 2))


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES))
    count = math.prod(shape) * dtype.itemsize
    raw = torch.tensor(list(draw(st.binary(min_size=count, max_size=count))), dtype=torch.uint8)
    if dtype is torch.bool:
        raw = raw % 2
    made = raw.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)
    return made.t() if made.dim() == 2 and draw(st.booleans()) else made  # not contiguous


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    dtype, shape = np.dtype(draw(st.sampled_from(NUMPY))), draw(st.sampled_from(SHAPES))
    count = math.prod(shape) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), dtype=np.uint8)
    return (raw % 2 if dtype.kind == "b" else raw).view(dtype).reshape(shape).copy()


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=True, allow_infinity=True)
)
KEYS = st.integers(-3, 3) | st.sampled_from(("", "0", "1", "a", "a/b", "b", "1/0")) | st.text(max_size=3)
STATES = st.recursive(
    LEAVES | tensors() | arrays(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def there_and_back(state: Any) -> Any:
    """Through the files of a checkpoint."""
    packing = Packing()
    said = json.loads(json.dumps(packing.packed(state, "state"), allow_nan=False))
    with TemporaryDirectory() as folder:
        save_file(packing.tensors, Path(folder) / "state.safetensors")
        return unpacked(said, load_file(Path(folder) / "state.safetensors"))


def equal(one: Any, other: Any) -> bool:
    """Of the same type all through, numbers to the last bit."""
    if type(one) is not type(other):
        return False
    match one:
        case torch.Tensor():
            same = one.dtype == other.dtype and one.shape == other.shape
            return same and _bytes(one) == _bytes(other)
        case np.ndarray():
            return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        case dict():
            return list(one) == list(other) and all(
                type(a) is type(b) and equal(one[a], other[b]) for a, b in zip(one, other, strict=True)
            )
        case list() | tuple():
            return len(one) == len(other) and all(map(equal, one, other))
        case float():
            return one.hex() == other.hex()
    return bool(one == other)


def _bytes(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b""


@EXAMPLES
@given(STATES)
def test_a_state_is_the_same_after_a_checkpoint(state: Any) -> None:
    assert equal(state, there_and_back(state))


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"a": {"b": {1, 2}}}, "state/a/b: it is a set"),
        ({"a": [1, b"bytes"]}, "state/a/1: it is a bytes"),
        ({"a": object()}, "state/a: it is a object"),
        ({"a": 1 + 2j}, "state/a: it is a complex"),
        ({"a": np.array(["x"])}, "state/a"),
        ({"a": np.array([1], dtype=">i4")}, "state/a"),
        ({"a": torch.eye(2).to_sparse()}, "state/a"),
        ({"a": torch.zeros(2, dtype=torch.complex128)}, "state/a"),
        ({("a", 1): 2}, "keys are tuple"),
        ({True: 2}, "keys are bool"),
        ({1.5: 2}, "keys are float"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_name(state: Any, named: str) -> None:
    with pytest.raises(RunError, match="a checkpoint cannot keep") as error:
        there_and_back(state)
    assert named in str(error.value)


def test_the_states_of_real_things_come_back() -> None:
    import random

    torch.manual_seed(3)
    parameter = torch.nn.Parameter(torch.randn(3, 4))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    parameter.sum().backward()
    optimizer.step()
    for state in (
        optimizer.state_dict(),
        OrderedDict(torch.nn.Linear(2, 2).state_dict()),
        {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()},
        torch.amp.GradScaler("cpu").state_dict(),
    ):
        found = there_and_back(state)
        assert equal(dict(state), found)


@EXAMPLES
@given(st.recursive(st.text(max_size=3), lambda inner: st.lists(inner, min_size=1, max_size=3)))
def test_a_kind_that_is_not_known_is_told(said: Any) -> None:
    if isinstance(said, list) and said[0] not in ("list", "tuple", "dict", "float", "tensor", "array"):
        with pytest.raises(RunError, match="which this graftlm does not know"):
            unpacked(said, {})


LOSSES = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60)


@EXAMPLES
@given(LOSSES)
def test_a_spike_stands_far_above_what_was_usual(losses: list[float]) -> None:
    found, before = spike(losses), losses[:-1][-WINDOW:]
    if found is None:
        if len(before) >= LEAST:
            usual = median(before)
            assert losses[-1] <= max(RATIO * usual, usual + DEVIATIONS * median(abs(x - usual) for x in before))
        return
    assert len(before) >= LEAST
    assert (found.step, found.loss, found.usual) == (len(losses), losses[-1], median(before))
    assert found.loss > RATIO * found.usual
    assert spike([*losses[:-1], 2 * losses[-1]]) is not None  # higher is no less a spike


@EXAMPLES
@given(st.lists(st.floats(1.0, 1.4), min_size=LEAST, max_size=60))
def test_losses_that_are_about_alike_have_no_spike(losses: list[float]) -> None:
    assert spike(losses) is None
    assert spike([*losses, 100.0]) is not None


@EXAMPLES
@given(st.lists(tensors().filter(lambda t: t.is_floating_point() and t.dtype.itemsize > 1), min_size=1, max_size=4))
def test_a_weight_that_is_no_number_is_found_by_its_name(found: list[torch.Tensor]) -> None:
    model = torch.nn.Module()
    for i, tensor in enumerate(found):
        model.register_parameter(f"p{i}", torch.nn.Parameter(tensor))
    frozen = torch.nn.Parameter(torch.tensor([math.nan]), requires_grad=False)
    model.register_parameter("frozen", frozen)
    bad = [f"p{i}" for i, tensor in enumerate(found) if not bool(torch.isfinite(tensor).all())]
    assert unsound_weights(model) == (bad[0] if bad else "")
    assert bool(unsound(1.0, 1.0, False, model)) == bool(bad)


@EXAMPLES
@given(st.floats(), st.floats(), st.booleans())
def test_a_step_is_unsound_by_its_loss_or_by_too_many_overflows(loss: float, norm: float, overflow: bool) -> None:
    assert bool(unsound(loss, norm, overflow, None)) == (overflow or not math.isfinite(loss))


@EXAMPLES
@given(st.integers(1, 300), st.integers(0, 300))
def test_a_smaller_micro_batch_divides_the_batch(micro: int, batch: int) -> None:
    found = smaller(micro, batch)
    assert found <= micro // 2
    assert (found == 0) == (micro == 1)
    assert not found or not batch or batch % found == 0
    fitting = [size for size in range(1, micro // 2 + 1) if not batch or batch % size == 0]
    assert found == max(fitting, default=0)


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Hundreds of checkpoints are synced."""
ACTIONS = st.lists(
    st.tuples(st.sampled_from(("write", "write", "write", "damage", "fail", "leave half")), st.integers(1, 4)),
    max_size=12,
)


@EXAMPLES
@given(ACTIONS)
def test_there_is_always_a_whole_checkpoint_once_there_was_one(actions: list[tuple[str, int]]) -> None:
    """Against a course of steps as a run goes it: on from the newest whole one, back where that was damaged."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        kept = Checkpoints(Path(folder) / "checkpoints")
        whole: dict[int, bytes] = {}
        for action, by in actions:
            now = max(whole, default=0)
            if action == "write":
                with kept.new(now + by, "plan") as fresh:
                    (fresh / "a").write_bytes(data := f"{now}+{by}".encode())
                whole = {step: text for step, text in whole.items() if step < now + by} | {now + by: data}
                whole = dict(sorted(whole.items())[-KEEP:])
            elif action == "fail":
                with pytest.raises(OSError, match="full"):
                    _fail(kept, now + by)
            elif action == "leave half" and kept.folder.is_dir():
                (kept.folder / f".step-{now + by:010}.1-2").mkdir(exist_ok=True)
            elif action == "damage" and now:
                (kept.folder / f"step-{now:010}" / "a").write_bytes(b"other")
                del whole[now]
            told: list[str] = []
            found = kept.newest("plan", told.append)
            assert (found.step if found else 0) == max(whole, default=0)
            if found:
                assert (found.folder / "a").read_bytes() == whole[found.step]
            assert set(whole) <= set(kept.steps())
            assert Checkpoints(kept.folder).newest("another plan") is None
        kept.sweep()
        assert not kept.folder.is_dir() or all(path.name.startswith("step-") for path in kept.folder.iterdir())


def _fail(kept: Checkpoints, step: int) -> None:
    with kept.new(step, "plan") as fresh:
        (fresh / "a").write_bytes(b"half")
        raise OSError("full")


def test_a_folder_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    from graftlm_registry.runs.checkpoints import verified

    (tmp_path / "step-0000000001").mkdir()
    with pytest.raises(StoreError, match="not as it was written"):
        verified(tmp_path / "step-0000000001")
