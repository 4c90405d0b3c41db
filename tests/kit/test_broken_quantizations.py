"""What is wrong with a quantization is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

EVERY, NOTHING, REST = (
    "test_every_linear_layer_but_the_head_is_quantized_and_counted",
    "test_nothing_is_counted_in_a_base_that_is_not_quantized",
    "test_all_else_is_in_the_precision_that_was_asked_and_frozen",
)
BITS, LOST, LEARNS, PASSES, BYTES, REFUSES = (
    "test_a_weight_takes_the_bits_that_are_said",
    "test_what_is_lost_of_the_weights_is_little",
    "test_an_adapter_learns_on_it",
    "test_passes_change_neither_the_base_nor_the_gradients_after_them",
    "test_the_same_files_give_the_same_bytes_and_others_do_not",
    "test_it_refuses_what_it_cannot_do",
)
GRADIENTS = "test_gradients_are_those_of_the_weights_that_it_multiplies_by"
CHOSEN, COUNTED = "type(m) is torch.nn.Linear and m is not head}", "isinstance(m, int8_linear())}"
BACKWARD, FROZEN = "return gradient @ (weight * scale).to(gradient.dtype), None, None", "model.requires_grad_(False)"
PASS, CHANGED = "            found: torch.Tensor", "            self.scale.mul_(1.001)\n            found: torch.Tensor"
FAULTS = (
    *common_faults("quantization", "nf4"),
    Fault(
        "it passes a layer by",
        {CHOSEN: f'{CHOSEN[:-1]} and not p.endswith("o_proj")}}'},
        EVERY,
        ("mistral in fp32: not quantized", "o_proj"),
    ),
    Fault(
        "it passes subclasses of linear layers by",
        {"exact_linear=True": "exact_linear=False"},
        EVERY,
        ("falcon in fp32: not quantized",),
    ),
    Fault(
        "it takes the head too", {CHOSEN: "type(m) is torch.nn.Linear}"}, EVERY, ("counted without cause: ['lm_head']",)
    ),
    Fault(
        "it counts what it did not quantize",
        {COUNTED: "isinstance(m, int8_linear().__base__)}"},
        NOTHING,
        ("in a base that is not quantized it counts",),
    ),
    Fault("it miscounts", {"m.weight.numel() for": "m.in_features for"}, EVERY, ("weights, and", "are counted")),
    Fault("the rest is not frozen", {FROZEN: "model.eval()"}, REST, ("is not frozen",)),
    Fault("the rest is cast", {FROZEN: f"{FROZEN}.float()"}, REST, ("mistral in bf16", "is in float32")),
    Fault("its bits are wrong", {"BITS = 8 + 32 / 4096": "BITS = 4.5"}, BITS, ("8.008 bits, and the spec says 4.5",)),
    Fault("it keeps twice as much", {".to(torch.int8)": ".to(torch.int16)"}, BITS, ("a weight takes 16.008 bits",)),
    Fault("it cuts off in place of rounding", {".round()": ".trunc()"}, LOST, ("of the weights is lost",)),
    Fault(
        "it has one scale for all rows", {".amax(dim=1, keepdim=True)": ".amax()"}, LOST, ("of the weights is lost",)
    ),
    Fault("it uses few of its numbers", {"LARGEST = 127": "LARGEST = 7"}, LOST, ("of the weights is lost",)),
    Fault("no gradient comes through", {BACKWARD: "return None, None, None"}, LEARNS, ("the gradient is zero",)),
    Fault(
        "a gradient is wrong by a thousandth",
        {BACKWARD: BACKWARD.replace("gradient @", "1.001 * gradient @")},
        GRADIENTS,
        ("not those of the weights that it multiplies by",),
    ),
    Fault(
        "a pass changes the base",
        {PASS: CHANGED},
        PASSES,
        ("mistral: a forward pass changed the base",),
    ),
    Fault(
        "its scales are in no state",
        {'("scale", scale)': '("scale", scale, persistent=False)'},
        BYTES,
        ("scales are not kept",),
    ),
    Fault(
        "it refuses nothing", {"    return found\n": "    return []\n"}, REFUSES, ("asked about 'gptq', it says []",)
    ),
    Fault("it refuses a CPU", {'not in ("cpu", "cuda")': 'not in ("cuda",)'}, REFUSES, ("it refuses LoRA on a CPU",)),
    Fault(
        "it knows no model of unknown shape",
        {"if shape is not None and shape.experts": "if shape.experts"},
        "test_its_reasons_are_sentences",
        ("asked about a model of unknown shape, raises AttributeError",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_quantization_is_caught(fault: Fault) -> None:
    is_caught("quantization", fault)
