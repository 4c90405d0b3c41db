"""Hostile safetensors files are refused in a sentence; what is read is what the safetensors package reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from good_adapter import Case, good_weights, header_of, safetensors, tensors
from hostile_corpus import TENSORS, lay_trap, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from graftlm.contracts.errors import GraftlmError
from graftlm_registry.adapters.content import tensors_digest
from graftlm_registry.adapters.outside.safetensors_file import BITS, read_file_header
from graftlm_registry.adapters.outside.tensor_values import check_adapter_tensors

MANY = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("case", TENSORS, ids=lambda case: case.name)
def test_a_hostile_file_is_refused(case: Case, tmp_path: Path) -> None:
    canary = lay_trap(tmp_path)
    refused(case, tmp_path / "case")
    assert not canary.exists()


def read_or_refused(path: Path) -> bool:
    """A sentence, or a reading that equals that of the safetensors package."""
    try:
        header = read_file_header(path)
    except GraftlmError as error:
        assert path.name in str(error)  # noqa: PT017
        return False
    with safe_open(path, "numpy") as file:
        assert sorted(file.keys()) == sorted(header.tensors)
        for name, tensor in header.tensors.items():
            part = file.get_slice(name)
            assert (part.get_dtype(), tuple(part.get_shape())) == (tensor.dtype, tensor.shape)
            if tensor.dtype == "F32":
                start, end = header.data + tensor.begin, header.data + tensor.end
                assert file.get_tensor(name).tobytes() == path.read_bytes()[start:end]
    return True


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(good_weights())
    assert read_or_refused(path)
    assert len(check_adapter_tensors(path).tensors) == 4
    assert len(tensors_digest(path)) == 64


@MANY
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 10_000), st.binary(min_size=0, max_size=3), st.integers(0, 3)), max_size=4
    )
)
def test_any_change_of_bytes_is_refused_or_read_alike(
    changes: list[tuple[int, bytes, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    made = good_weights()
    for at, new, old in changes:
        place = at % len(made)
        made = made[:place] + new + made[place + old :]
    path.write_bytes(made)
    read_or_refused(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(sorted(BITS)),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part, max_size=3),
    max_leaves=4,
)
NUMBERS = st.lists(st.integers(-1, 40), max_size=3)


@MANY
@given(
    which=st.integers(0, 3),
    key=st.sampled_from(["dtype", "shape", "data_offsets", "more"]),
    value=JSON | NUMBERS | st.sampled_from(sorted(BITS)),
    size=st.integers(-4, 4),
)
def test_any_change_of_an_entry_is_refused_or_read_alike(
    which: int, key: str, value: Any, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "entry.safetensors"
    made = tensors()
    header = header_of(made)
    header[list(made)[which]][key] = value
    data = b"".join(tensor.tobytes() for tensor in made.values()) + b"more"
    path.write_bytes(safetensors(json.dumps(header).encode(), data[: len(data) - 4 + size]))
    read_or_refused(path)


@MANY
@given(
    parts=st.lists(
        st.tuples(
            st.text(min_size=1, max_size=6), st.sampled_from(sorted(BITS)), st.lists(st.integers(0, 4), max_size=3)
        ),
        max_size=5,
    ),
    metadata=st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
    blanks=st.text(alphabet=" ", max_size=9),
)
def test_sound_headers_of_any_kind_are_read_alike(
    parts: list[tuple[str, str, list[int]]],
    metadata: dict[str, str] | None,
    blanks: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "made.safetensors"
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for name, dtype, shape in parts:
        bits = BITS[dtype]
        for side in shape:
            bits *= side
        header[f"t.{name}"] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at := at + bits // 8]}
    path.write_bytes(safetensors(json.dumps(header).encode() + blanks.encode(), bytes(at)))
    read_or_refused(path)
