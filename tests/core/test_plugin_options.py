"""Options of plugins: what may be written, and what a plugin gets."""

from __future__ import annotations

from typing import Any

import pytest

from graftlm.contracts.errors import UsageError
from graftlm.contracts.spec import Option, OptionType
from graftlm.contracts.specs import Quantization, TuningMethod
from graftlm.planning.plugin_options import convert, plugin_options


def option(kind: OptionType, **more: Any) -> Option:
    return Option(name="o", type=kind, default=more.pop("default", 0), help="h", **more)


@pytest.mark.parametrize(
    ("kind", "given", "got"),
    [
        ("int", "8", 8),
        ("int", 8.0, 8),
        ("int", 2**60 + 1, 2**60 + 1),
        ("float", "1e-3", 0.001),
        ("bool", "yes", True),
        ("bool", False, False),
        ("str", "a,b", "a,b"),
        ("list", "a, b", ("a", "b")),
        ("list", ["a", 1], ("a", "1")),
        ("list", "", ()),
        ("ints", "0,1, 5", (0, 1, 5)),
        ("ints", [0, 1], (0, 1)),
        ("ints", 3, (3,)),
        ("ints", "", ()),
        ("ints", "[0, 1]", (0, 1)),
        ("ints", "[]", ()),
        ("list", '["a", "b,c"]', ("a", "b,c")),
        ("mapping", "q_proj=4,v_proj=0.5,kind=relu", {"q_proj": 4, "v_proj": 0.5, "kind": "relu"}),
        ("mapping", '{"q_proj": 4, "a,b": "c"}', {"q_proj": 4, "a,b": "c"}),
        ("mapping", {"q_proj": 4}, {"q_proj": 4}),
        ("mapping", r"(?=x)q_proj=4", {"(?=x)q_proj": 4}),
        ("mapping", "", {}),
    ],
)
def test_what_is_given_becomes_the_type(kind: OptionType, given: Any, got: Any) -> None:
    found = convert("method.o", given, option(kind))
    assert found == got
    assert type(found) is type(got)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("int", "8.5", "must be a whole number"),
        ("int", True, "must be a whole number"),
        ("float", "nan", "must be a number"),
        ("ints", "0,a", "must be whole numbers, written with commas"),
        ("ints", "0,,1", "must be whole numbers"),
        ("ints", [0, 1.5], "must be whole numbers"),
        ("ints", [True], "must be whole numbers"),
        ("ints", "[0, 1", "must be whole numbers"),
        ("ints", "[0.5]", "must be whole numbers"),
        ("list", "[a]", "must be a list, written with commas"),
        ("mapping", "q_proj", "written as a=1,b=2 or as JSON"),
        ("mapping", "=4", "must be a mapping"),
        ("mapping", '{"a": 1', "must be a mapping"),
        ("mapping", '["a"]', "must be a mapping"),
        ("mapping", {"a": [1]}, "must be a mapping"),
        ("mapping", {"a": True}, "must be a mapping"),
        ("mapping", {1: 2}, "must be a mapping"),
        ("mapping", 4, "must be a mapping"),
        ("str", 4, "must be text"),
    ],
)
def test_anything_else_is_an_error_that_says_what_is_wanted(kind: OptionType, given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=r"method\.o is ") as error:
        convert("method.o", given, option(kind))
    assert says in str(error.value)


def test_choices_and_bounds_hold_for_each_member() -> None:
    assert convert("method.o", "2,3", option("ints", minimum=0, maximum=3)) == (2, 3)
    with pytest.raises(UsageError, match=r"method\.o is -1, and must be at least 0"):
        convert("method.o", "2,-1", option("ints", minimum=0))
    with pytest.raises(UsageError, match="unknown value 'c'"):
        convert("method.o", "a,c", option("list", choices=("a", "b")))


def test_a_truth_value_may_be_one_of_the_words() -> None:
    words = option("str", choices=("true", "false", "gaussian"))
    assert convert("method.o", True, words) == "true"
    assert convert("method.o", "gaussian", words) == "gaussian"


def test_an_option_without_a_default_may_stay_empty() -> None:
    assert convert("method.o", None, option("mapping", default=None)) is None
    with pytest.raises(UsageError):
        convert("method.o", None, option("mapping"))


START = Option(
    name="start", type="str", default="a", choices=("a", "b"), help="how it starts. Left out are eva, which reads data"
)


def method(*options: Option) -> TuningMethod:
    return TuningMethod(name="graft", summary="s", keeps="adapter", target="a:b", options=options)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("strat", "unknown option of method graft 'strat'. Did you mean 'start'?"),
        ("eva_config", "method.eva_config cannot be chosen: left out are eva, which reads data"),
        ("r", "method.r is a setting of its own: give --rank"),
        ("micro_batch", "method.micro_batch is a setting of its own: give --micro-batch"),
    ],
)
def test_an_option_that_the_chosen_plugin_lacks(name: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        plugin_options((method(START),), {"method": {name: "1"}})
    assert str(error.value).startswith(says)


def test_a_plugin_without_options_is_named() -> None:
    plain = Quantization(name="plain", summary="s", bits=0, target="a:b")
    with pytest.raises(UsageError) as error:
        plugin_options((method(START), plain), {"quantization": {"double_quant": "true"}})
    said = "quantization plain has no options: leave quantization.double_quant out, or choose another --quantization"
    assert str(error.value) == said


def test_an_option_of_that_name_comes_before_a_setting() -> None:
    own = Option(name="r", type="int", default=0, help="h")
    assert plugin_options((method(own),), {"method": {"r": "3"}}) == {"method": {"r": 3}}


def test_a_value_that_is_left_out_for_a_reason() -> None:
    with pytest.raises(UsageError, match=r"method\.start=eva cannot be chosen: left out are eva, which reads data"):
        convert("method.start", "eva", START)
    with pytest.raises(UsageError, match="unknown value 'data_'"):
        convert("method.start", "data_", START)
