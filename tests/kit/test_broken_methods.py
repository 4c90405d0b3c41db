"""Faults of a tuning method, each caught by the check that asks for it."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

SPEC = "        settings=(),  # no rank"
FLOAT = "dtypes[name], parameter.data = parameter.dtype, parameter.data.float()"
SAVED = "save_file({name: named[name].detach().cpu().contiguous() for name in model.own_dtypes}, folder / FILE)"
FROZEN = "parameter.requires_grad = id(parameter) in chosen"
APPLIED = "        put(model, folder)\n        return model.requires_grad_(False).eval()\n"
FITS = 'f"{folder / FILE} does not fit this base, which has no {name} of {tuple(tensor.shape)}"'
REFUSED = f"            raise RunError({FITS})\n"
PARENT = "            put(model, parent)\n        return model\n"
CUT = """
        def cut(module, given):
            return (given[0].detach() + 0 * module.weight.sum(),)

        model.lm_head.register_forward_pre_hook(cut)
"""
UPHILL = """
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_hook(lambda gradient: -gradient)
"""
COUNTS = """
        def counts(module, given):
            module.seen = getattr(module, "seen", 0) + 1
            return (given[0] * (1 + 0.01 * module.seen), *given[1:])

        model.model.layers[1].mlp.register_forward_pre_hook(counts)
"""
COPIED = "            named[name].copy_(tensor)"
WHERE_IT_FITS = """            if name in named and named[name].shape == tensor.shape:
                named[name].copy_(tensor)"""


def returning(more: str) -> dict[str, str]:
    """Something more before ``attach`` returns."""
    return {PARENT: PARENT.replace("        return model\n", f"{more}\n        return model\n")}


MERGED = 'is a plain model already."""\n'

FAULTS = (
    *common_faults("method", "lora"),
    Fault(
        "a setting that there is not",
        {SPEC: '        settings=("depth",),  # no rank'},
        "test_its_settings_are_ones_that_there_are",
        ("has the setting depth, which there is not",),
    ),
    Fault(
        "a suggestion of nothing",
        {'suggestions={"learning_rate": 5e-3}': 'suggestions={"learning-rate": 5e-3}'},
        "test_its_settings_are_ones_that_there_are",
        ("suggests learning-rate, which is no setting of a run",),
    ),
    Fault(
        "something against itself",
        {SPEC: '        check=lambda method, facts: ["it does not like this model"],\n' + SPEC},
        "test_what_speaks_against_a_plan_is_told_in_sentences",
        ("has something against its own defaults on tiny-mistral",),
    ),
    Fault(
        "a check that wants a shape",
        {SPEC: "        check=lambda method, facts: () if facts.shape.layers else (),\n" + SPEC},
        "test_what_speaks_against_a_plan_is_told_in_sentences",
        ("cannot check a model that nothing is known of", "AttributeError"),
    ),
    Fault(
        "biases that are not counted",
        {"    return shape.other + biases *": "    return shape.other + 0 * biases *"},
        "test_what_is_counted_is_what_is_trained",
        ("says that it trains", "of tiny-glm ('trained')"),
    ),
    Fault(
        "what is trained is cut off",
        {**returning(CUT), FROZEN: f"{FROZEN} or parameter.shape[0] == 704"},
        "test_what_is_trained_has_gradients",
        ("get no gradient, the first",),
    ),
    Fault(
        "another weight moves",
        returning("        model.get_input_embeddings().weight.data[7] += 1"),
        "test_nothing_else_changes",
        ("changes model.embed_tokens.weight of tiny-mistral, which is not trained",),
    ),
    Fault(
        "uphill",
        returning(UPHILL),
        "test_it_learns_and_has_an_effect",
        ("does not learn", "took its loss from"),
    ),
    Fault(
        "steps in 16 bits",
        {FLOAT: "dtypes[name] = parameter.dtype"},
        "test_small_steps_are_not_lost_on_a_base_in_16_bits",
        ("in 16 bits on a base in bf16", "train it in fp32"),
    ),
    Fault(
        "layers that are run twice",
        returning(COUNTS),
        "test_gradient_checkpointing_changes_no_loss",
        ("has other losses with gradient checkpointing than without",),
    ),
    Fault(
        "a start by chance",
        {FLOAT: FLOAT + "\n                parameter.data += __import__('random').SystemRandom().random() / 1000"},
        "test_the_same_seed_gives_the_same_start",
        ("from other numbers after the same seed",),
    ),
    Fault(
        "a setting that is passed over",
        {SPEC: '        settings=("rank",),  # no rank'},
        "test_every_setting_does_something",
        ("passes rank over",),
    ),
    Fault(
        "targets that nobody adapts",
        {SPEC: '        settings=("target_modules",),  # no rank'},
        "test_its_targets_are_what_is_adapted",
        ("was to adapt", "and says that it adapted {}"),
    ),
    Fault(
        "half of it is kept",
        {SAVED: SAVED.replace("for name in model.own_dtypes", "for name in list(model.own_dtypes)[::2]")},
        "test_what_is_kept_is_what_was_trained",
        ("keeps something else than it trained", "on tiny-mistral in float32"),
    ),
    Fault(
        "kept as it is in memory, and not rounded there",
        {"            named[name].data = named[name].data.to(dtype)\n": "            pass\n"},
        "test_what_is_kept_is_what_was_trained",
        ("leaves a model in bfloat16 that cannot answer after 'save'", "same dtype"),
    ),
    Fault(
        "a pickle",
        {SAVED: SAVED + '\n        __import__("torch").save(1, folder / "more.pt")'},
        "test_what_is_kept_is_what_was_trained",
        ("keeps files of .pt", "only safetensors and JSON"),
    ),
    Fault(
        "applied, and trained on",
        {APPLIED: "        put(model, folder)\n        return model.eval()\n"},
        "test_what_is_kept_is_what_was_trained",
        ("to be trained after 'apply'",),
    ),
    Fault(
        "any base will do",
        {REFUSED: "            continue\n", COPIED: WHERE_IT_FITS},
        "test_what_is_kept_is_refused_by_another_base",
        ("puts what was trained on tiny-mistral onto tiny-falcon and says nothing",),
    ),
    Fault(
        "an error of Python for another base",
        {REFUSED: "            raise KeyError(name)\n"},
        "test_what_is_kept_is_refused_by_another_base",
        ("raises KeyError", "not RunError"),
    ),
    Fault(
        "an adapter that PEFT does not know",
        {'keeps="overlay"': 'keeps="adapter"'},
        "test_peft_reads_what_is_kept",
        ("PEFT cannot read what method 'acme' keeps",),
    ),
    Fault(
        "a merge that is none",
        {MERGED: MERGED + "        model.lm_head.weight.data.mul_(2)\n"},
        "test_what_is_merged_answers_alike_or_it_is_refused",
        ("what method 'acme' merged differs by",),
    ),
    Fault(
        "a parent that is forgotten",
        {"        if parent is not None:\n            put(model, parent)\n": ""},
        "test_a_run_goes_on_from_what_was_kept",
        ("goes on from something else than the parent",),
    ),
    Fault(
        "beside others, and not switched to",
        {"    def merge(": "    def beside(self, model, folder, name):\n        return model\n\n    def merge("},
        "test_adapters_live_beside_each_other",
        ("has beside for several adapters on one base, and no alone, kind, switch",),
    ),
    Fault(
        "files that differ from run to run",
        {SAVED: SAVED + '\n        (folder / "about.json").write_text(str(__import__("time").time_ns()))'},
        "test_a_whole_run_learns_and_is_the_same_each_time",
        ("two runs of method 'acme' with one plan keep different files",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught(fault: Fault) -> None:
    is_caught("method", fault)
