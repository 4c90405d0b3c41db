"""What is wrong with an accelerator is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

THERE, SAME, HALF, LEFT, DOES, WHOLE = (
    "test_it_is_there_by_its_own_name",
    "test_the_gradients_are_those_of_plain_execution",
    "test_in_bf16_they_are_as_near_to_fp32_as_plain_execution",
    "test_nothing_of_it_is_left_afterwards",
    "test_it_does_what_it_says",
    "test_a_base_s_own_weights_have_the_gradients_of_plain_execution",
)
PUT, TAKEN = "norm.forward = MethodType(_forward, norm)", 'vars(norm).pop("forward", None)'
COUNTED = 'sum(vars(norm).get("forward") is not None for norm in self._norms)'
INNER = "to_inputs = inverse * (wanted - normed * (wanted * normed).mean(-1, keepdim=True))"
NO = "    return ()\n\n\n@hookimpl"
ROUNDED, CHECKED = "(wide * inverse).to(inputs.dtype)", "if not computes_the_same(norm):"
EIGHTHS = "wide, kept = inputs.float(), torch.float8_e5m2 if inputs.dtype == torch.bfloat16 else inputs.dtype"
FAULTS = (
    *common_faults("accelerator", "liger", suffix="s"),
    Fault(
        "its patch is no attribute",
        {'"graftlm_acme:AcmePatch"': '"graftlm_acme:Patch"'},
        "test_what_it_names_is_there",
        ("the patch of the stage 'model'", "no attribute 'Patch'"),
    ),
    Fault("there is no such stage", {'{"model": ': '{"models": '}, THERE, ("patches at models; stages are",)),
    Fault("a patch is not taken back", {TAKEN: "pass"}, LEFT, ("left something on the model", ".forward")),
    Fault(
        "a class is changed for good",
        {PUT: "type(norm).forward = _forward", COUNTED: "len(self._norms)"},
        LEFT,
        ("did not restore transformers.models.", "RMSNorm.forward"),
    ),
    Fault(
        "a term of the gradient is missing",
        {INNER: "to_inputs = inverse * wanted"},
        SAME,
        ("the gradients of acme", "are not those of plain execution"),
    ),
    Fault(
        "a gradient is wrong by a thousandth",
        {INNER: INNER.replace("= inverse", "= 1.001 * inverse")},
        SAME,
        ("a relative error of 0.00",),
    ),
    Fault("the epsilon is forgotten", {"+ epsilon)": "+ 0 * epsilon)"}, SAME, ("are not those of plain execution",)),
    Fault(
        "what is computed is another norm",
        {
            "return weight * (wide * inverse)": "return (1 + weight) * (wide * inverse)",
            "if not computes_the_same(norm):": "if False:",
        },
        SAME,
        ("are not those of plain execution",),
    ),
    Fault(
        "in half precision it rounds to eighths",
        {ROUNDED: "(wide * inverse).to(kept).to(inputs.dtype)", "wide = inputs.float()": EIGHTHS, CHECKED: "if False:"},
        HALF,
        ("in bf16 the gradients of acme", "times as far"),
    ),
    Fault(
        "it claims to have replaced, and did nothing",
        {PUT: "pass", COUNTED: "len(self._norms)"},
        DOES,
        ("acme", "nothing computes otherwise"),
    ),
    Fault("it did nothing, and says so", {PUT: "pass"}, DOES, ("acme", "norms: 0")),
    Fault(
        "it says nothing of what it did",
        {f'self._context.happened["norms"] = {COUNTED}': "pass"},
        SAME,
        ("accelerator acme did nothing in this model",),
    ),
    Fault(
        "the weights' gradient is wrong",
        {"to_weight = (gradient * normed)": "to_weight = (2 * gradient * normed)"},
        WHOLE,
        ("the gradients of acme", "are not those of plain execution"),
    ),
    Fault(
        "it never can",
        {NO: '    return ("is not ready: leave it out",)\n\n\n@hookimpl'},
        SAME,
        ("no plan allows acme", "is not ready"),
    ),
    Fault(
        "its reasons are no list",
        {
            NO: '    return "is not ready: leave it out"\n\n\n@hookimpl',
            'if "rms_norm_eps" not in situation.config:': "if False:",
        },
        "test_its_reasons_are_sentences",
        ("must give a sequence of reasons",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_an_accelerator_is_caught(fault: Fault) -> None:
    is_caught("accelerator", fault)
