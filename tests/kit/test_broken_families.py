"""What is wrong with a model family is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

LAYERS, SHAPE, MODULES = (
    "test_the_facts_name_all_linear_layers_and_no_other",
    "test_the_shape_is_the_model_s",
    "test_the_facts_name_every_module_that_has_weights",
)
ROPE, PACKS = 'rope=("linear", "dynamic", "yarn"),', "test_packing_is_exact_where_it_is_claimed"
PACKING = 'packing=("eager", "sdpa", "flash_attention_2", "flex_attention"),'
TARGETS = "mlp=MLP,\n        default_targets=ATTENTION + MLP,"
NO_ROPE = "test_rope_scaling_is_not_denied_where_it_works"
FALCON = '''
"""``acme``: Falcon with ALiBi, whose biases follow from the mask and not from the positions."""

from graftlm.api import FamilyFacts, ModelFamily, hookimpl

LINEAR = "transformers.models.falcon.modeling_falcon:FalconLinear"


def facts(config):
    names = ("query_key_value", "dense"), ("dense_h_to_4h", "dense_4h_to_h")
    return FamilyFacts(attention=names[0], mlp=names[1], linear_classes=(LINEAR,), packing=("sdpa",))


@hookimpl
def graftlm_model_families():
    yield ModelFamily(
        name="acme", summary="Falcon", model_types=("falcon",), facts=facts, template=lambda model: "alpaca"
    )
'''
FALCON_SUITE = """
from graftlm.testing import FamilySuite


class AcmeSuite(FamilySuite):
    family = "acme"
    configs = {
        "falcon": {
            "model_type": "falcon", "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "alibi": True,
        },
    }
"""
FAULTS = (
    *common_faults("family", "qwen"),
    Fault(
        "a layer is left out",
        {'"v_proj", "o_proj")': '"v_proj")'},
        LAYERS,
        ("has linear layers that the facts do not name: ['o_proj']",),
    ),
    Fault(
        "a layer is not there",
        {'MLP = ("c_fc", "c_proj")': 'MLP = ("c_fc", "c_proj", "gate_proj")'},
        LAYERS,
        ("does not have: ['gate_proj']",),
    ),
    Fault(
        "a default target is no target",
        {"default_targets=ATTENTION + MLP,": 'default_targets=("lm_head",),'},
        LAYERS,
        ("['lm_head'] are neither attention nor mlp",),
    ),
    Fault(
        "nothing says why a layer is no target",
        {TARGETS: "mlp=(),\n        untargeted=MLP,"},
        LAYERS,
        ("nothing says why layers are untargeted",),
    ),
    Fault(
        "a layer that could be adapted is no target",
        {TARGETS: 'mlp=(),\n        untargeted=MLP,\n        untargeted_reason="they are small",'},
        "test_what_is_untargeted_cannot_be_adapted",
        ("c_fc", "can be adapted"),
    ),
    Fault(
        "a model type has no configuration",
        {'model_types=("starcoder2",)': 'model_types=("starcoder2", "codegen")'},
        "test_every_model_type_has_a_configuration",
        ("codegen",),
    ),
    Fault(
        "the template is none",
        {'return "alpaca"': 'return "starchat"'},
        "test_the_template_exists",
        ("the template 'starchat', which is none of",),
    ),
    Fault("a module is forgotten", {'"model.norm", "lm_head"': '"lm_head"'}, MODULES, ("differ in ['model.norm']",)),
    Fault(
        "a subclass of nn.Linear is declared, and is not there",
        {ROPE: f'{ROPE} linear_classes=("torch.nn:Bilinear",),'},
        "test_subclasses_of_linear_are_declared",
        ("torch.nn:Bilinear",),
    ),
    Fault(
        "a size is wrong",
        {'"k_proj": (hidden, kv_heads * head_dim)': '"k_proj": (hidden, hidden)'},
        SHAPE,
        ("starcoder2: the shape's parameters is", "and the model has"),
    ),
    Fault("biases are forgotten", {"count=layers, bias=bias)": "count=layers)"}, SHAPE, ("the shape's parameters",)),
    Fault("norms are miscounted", {"other=2 * hidden": "other=hidden"}, SHAPE, ("the shape's parameters",)),
    Fault("the head counts once", {'tied=config["tie_word_embeddings"]': "tied=True"}, SHAPE, ("starcoder2/no-bias",)),
    Fault("heads are wrong", {"kv_heads=kv_heads,": "kv_heads=heads,"}, SHAPE, ("keeps 2 heads of 8",)),
    Fault(
        "packing is denied",
        {PACKING: "packing=(),"},
        "test_packing_is_not_denied_where_it_is_exact",
        ("packing is exact under",),
    ),
    Fault(
        "packing is claimed where it is not exact",
        {},
        PACKS,
        ("falcon: packed under sdpa, its logits are wrong by",),
        files={"__init__.py": FALCON, "conformance.py": FALCON_SUITE},
    ),
    Fault("nothing says why RoPE is not scaled", {ROPE: "rope=(),"}, NO_ROPE, ("nothing says why",)),
    Fault(
        "RoPE scaling is denied",
        {ROPE: 'rope=("linear", "dynamic"), no_rope="nobody tried",'},
        NO_ROPE,
        ("yarn RoPE scaling works, and the facts do not say so",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_family_is_caught(fault: Fault) -> None:
    is_caught("family", fault)
