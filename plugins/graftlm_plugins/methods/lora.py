"""LoRA: low-rank matrices beside the frozen weights (Hu et al. 2021), and its variants by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graftlm.api import Combining, Option, TuningMethod, hookimpl

from . import counting
from .combinations import WAYS, reasons_against, settings_of
from .names import misnamed
from .peft_methods import PEFT, reasons, unquantized

if TYPE_CHECKING:
    from graftlm.api import FamilyFacts, MethodPlan, Situation

FROM_BASE = ("pissa", "olora")
STARTS = ("true", "false", "gaussian", "orthogonal", "mica", *FROM_BASE)
OPTIONS = (
    Option(name="use_rslora", type="bool", default=False, help="scale by alpha / sqrt(rank)"),
    Option(name="use_dora", type="bool", default=False, help="train the weights' magnitudes apart"),
    Option(
        name="init_lora_weights",
        type="str",
        default="true",
        choices=STARTS,
        help="how the matrices start. pissa and olora take them out of the weights; what is kept is a LoRA of twice "
        "the rank on the unchanged base. Left out are eva, corda and lora_ga, which read data first, loftq, which "
        "replaces the weights by quantized ones, and use_qalora, which is for GPTQ's weights",
    ),
    Option(
        name="pissa_iterations", type="int", default=0, minimum=0,
        help="iterations of a fast decomposition for pissa; 0 is the exact one",
    ),
    Option(
        name="rank_pattern", type="mapping", default={},
        help="other ranks for some modules: the end of a path, or a regular expression, and the rank",
    ),
    Option(
        name="alpha_pattern", type="mapping", default={},
        help="other alphas for some modules: the end of a path, or a regular expression, and the alpha",
    ),
    Option(
        name="layers_to_transform", type="ints", default=(), minimum=0,
        help="the numbers of the layers to adapt, from 0; all where empty",
    ),
    Option(
        name="layers_pattern", type="list", default=(),
        help="the name of the list of layers, where a path has several numbers",
    ),
    Option(
        name="exclude_modules", type="list", default=(),
        help="modules that stay as they are, by the ends of their paths",
    ),
    Option(
        name="modules_to_save", type="list", default=(),
        help="modules that are trained and kept whole, by the ends of their paths",
    ),
    Option(
        name="target_parameters", type="list", default=(),
        help="tensors of fused experts to adapt, by the ends of their paths, such as experts.gate_up_proj",
    ),
    Option(
        name="trainable_token_indices", type="ints", default=(), minimum=0,
        help="ids of tokens whose embeddings are trained too",
    ),
    Option(
        name="bias", type="str", default="none", choices=("none", "all", "lora_only"),
        help="biases to train too: none, all of the model, or those of the adapted layers",
    ),
    Option(name="lora_bias", type="bool", default=False, help="a bias behind the second matrix"),
    Option(
        name="ensure_weight_tying", type="bool", default=False,
        help="keep embeddings and head tied where one of them is adapted or saved",
    ),
)  # fmt: skip


def check(options: Mapping[str, Any]) -> Sequence[str]:
    """Combinations that PEFT refuses, or that would not be what they say."""
    found, start = list(reasons(options)), options["init_lora_weights"]
    if start in FROM_BASE:
        for name, why in (
            ("use_dora", "which trains magnitudes of the changed weights"),
            ("target_parameters", "which are no matrices of a linear layer"),
            ("lora_bias", "which starts from nothing"),
        ):
            if options[name]:
                found.append(f"init_lora_weights={start} does not go with {name}, {why}: choose one")
        if options["bias"] != "none":
            found.append(f"init_lora_weights={start} does not go with bias={options['bias']}: choose one")
    elif options["pissa_iterations"]:
        found.append("pissa_iterations is for init_lora_weights=pissa")
    if start == "olora" and options["pissa_iterations"]:
        found.append("pissa_iterations is for init_lora_weights=pissa, and olora is asked for")
    if options["lora_bias"]:
        if start not in ("true", "false", *FROM_BASE):
            found.append(f"lora_bias does not go with init_lora_weights={start}: choose one")
        if options["use_dora"]:
            found.append("lora_bias does not go with use_dora: choose one")
    if start in ("mica", "orthogonal") and options["target_parameters"]:
        found.append(f"init_lora_weights={start} is for linear layers, not for target_parameters")
    if start == "mica" and options["use_dora"]:
        found.append("init_lora_weights=mica does not go with use_dora: choose one")
    if options["target_parameters"] and options["use_dora"]:
        found.append("target_parameters does not go with use_dora: choose one")
    if options["target_parameters"] and options["lora_bias"]:
        found.append("target_parameters does not go with lora_bias: choose one")
    for key, alpha in options["alpha_pattern"].items():
        if not isinstance(alpha, int | float) or alpha <= 0:
            found.append(f"alpha_pattern: the alpha of {key} is {alpha}")
    for key, rank in options["rank_pattern"].items():
        if isinstance(rank, float) and not rank.is_integer():
            found.append(f"rank_pattern: the rank of {key} is {rank}, and must be a whole number")
    return found


def against(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
    """Reasons against a plan, its settings and options together."""
    found = list(check(method.options))
    if method.options["target_parameters"] and method.dropout:
        found.append("target_parameters does not go with dropout: give --dropout 0")
    return [*found, *(misnamed(method, facts) or _ranks(method, facts))]


def _ranks(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
    """Ranks that a start out of the weights cannot give."""
    start, patterns = method.options["init_lora_weights"], method.options["rank_pattern"]
    adapted = counting.adapted_layers(facts.shape, method) if facts.shape else ()
    for layer, _, indices in adapted:
        most = min(layer.inputs, layer.outputs)
        for rank in (int(counting.by_pattern(patterns, layer.name, i, method.rank or 0)) for i in indices):
            if start in (*FROM_BASE, "mica") and rank > most:
                return (f"init_lora_weights={start}: rank {rank} is more than {layer.name} has: give {most} at most",)
            if start == "orthogonal" and rank % 2:
                return (f"init_lora_weights=orthogonal takes even ranks alone, and {layer.name} would have {rank}",)
    return ()


def supports(situation: Situation) -> Sequence[str]:
    options = situation.method_options
    start = options.get("init_lora_weights")
    if start in FROM_BASE and situation.quantization_bits:
        return unquantized(str(start))(situation)
    if options.get("use_dora") and situation.quantization == "int8" and situation.device == "cpu":
        return ("DoRA reads int8 weights in every pass, and PEFT loses their scales on a CPU: choose nf4, or lora",)
    return ()


LORA = TuningMethod(
    name="lora",
    summary="low-rank matrices beside the frozen weights",
    keeps="adapter",
    target="graftlm_plugins.methods.lora_tuner:LoraTuner",
    requires=(PEFT,),
    settings=("rank", "alpha", "dropout", "target_modules", "loraplus_ratio"),
    options=OPTIONS,
    trained=counting.lora,
    check=against,
    combining=Combining(method="lora", ways=WAYS, check=reasons_against, settings=settings_of(OPTIONS)),
    supports=supports,
)


def variant(name: str, summary: str, **defaults: Any) -> TuningMethod:
    """LoRA with other defaults, by a name of its own, which another value would belie."""

    def true_to_its_name(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
        for option, value in defaults.items():
            if (given := method.options[option]) != value:
                said = f"{option}={str(given).lower()}"
                return (f"it stands for {option}={str(value).lower()}: say --method lora for {said}",)
        return against(method, facts)

    options = tuple(replace(o, default=defaults[o.name]) if o.name in defaults else o for o in OPTIONS)
    combining = None if defaults.get("use_dora") else LORA.combining
    return replace(LORA, name=name, summary=summary, options=options, check=true_to_its_name, combining=combining)


@hookimpl
def graftlm_tuning_methods() -> Iterable[TuningMethod]:
    yield LORA
    yield variant("rslora", "lora scaled by alpha / sqrt(rank) (use_rslora=true)", use_rslora=True)
    yield variant("dora", "lora with the weights' magnitudes trained apart (use_dora=true)", use_dora=True)
    for name, what in (("pissa", "main singular directions"), ("olora", "orthonormal factors")):
        summary = f"lora from the weights' {what} (init_lora_weights={name})"
        yield variant(name, summary, init_lora_weights=name)
