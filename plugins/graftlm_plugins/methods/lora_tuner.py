"""LoRA through PEFT, and the starts that PEFT makes by changing the base, which here stays as it is.

PiSSA and OLoRA start from factors A0, B0 of the weight itself, and train on W - s·B0·A0, with s = alpha / rank. Here
W is never touched: a second, frozen adapter holds -B0 and A0, and what is kept is the LoRA of twice the rank
[B, -B0]·[A; A0], which is the same sum on the base as everybody has it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

from .combining import Combines
from .coverage import covered, ends_with, near
from .lora import FROM_BASE
from .peft_files import ADAPTER, read_config
from .peft_tuner import PeftTuner, as_peft, refused

if TYPE_CHECKING:
    from graftlm.api import MethodPlan

START = "start"
"""The name of the frozen adapter that takes away what the trained one starts with."""
OWN = ("pissa_iterations",)


class LoraTuner(Combines, PeftTuner):
    """LoRA with all of its options."""

    starts = ("init_lora_weights", "lora_dropout")

    def config(self, model: Any, method: MethodPlan) -> Any:
        from peft import LoraConfig

        options = {name: value for name, value in method.options.items() if name not in OWN}
        arguments = {name: value for name, given in options.items() if (value := as_peft(given)) is not None}
        start = options["init_lora_weights"]
        arguments["init_lora_weights"] = True if start in ("true", *FROM_BASE) else start != "false" and start
        alpha = method.alpha or method.rank or 0
        with refused(f"method {method.name}: PEFT refuses its options"):
            return LoraConfig(
                task_type="CAUSAL_LM",
                r=method.rank,
                lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
                lora_dropout=method.dropout or 0.0,
                target_modules=sorted(method.target_modules),
                **arguments,
            )

    def wanted(self, model: Any, paths: list[str], method: MethodPlan) -> set[str]:
        """The targets' modules, and the tensors that ``target_parameters`` name."""
        found = covered(paths, method.target_modules, method.options)
        tensors = [name for name, _ in model.named_parameters()]
        for target in method.options["target_parameters"]:
            mine = {name for name in tensors if ends_with(name, target)}
            if not mine:
                raise RunError(f"target_parameters: {target} matches no tensor of this model{near(target, tensors)}")
            found |= mine
        return found

    def start(self, model: Any, method: MethodPlan) -> None:
        """PiSSA's or OLoRA's factors of each weight, and a frozen adapter that subtracts them."""
        kind = method.options["init_lora_weights"]
        if kind not in FROM_BASE:
            return
        import torch

        frozen = copy.deepcopy(model.peft_config[ADAPTER])
        frozen.lora_dropout, frozen.modules_to_save, frozen.trainable_token_indices = 0.0, None, None
        model.add_adapter(START, frozen)
        turns = method.options["pissa_iterations"]
        name = f"pissa_niter_{turns}" if kind == "pissa" and turns else kind
        with torch.no_grad():
            for path, layer in _layers(model):
                weight = layer.get_base_layer().weight
                if not isinstance(layer.get_base_layer(), torch.nn.Linear) or not weight.is_floating_point():
                    raise RunError(
                        f"{kind} starts from the weights themselves, and those of {path} are no plain matrix"
                    )
                if layer.r[ADAPTER] > min(weight.shape):
                    raise RunError(f"{kind}: rank {layer.r[ADAPTER]} is more than {path} has, {min(weight.shape)}")
                untouched, before = weight.data, weight.data.clone()
                layer.pissa_init(ADAPTER, name) if kind == "pissa" else layer.olora_init(ADAPTER)
                untouched.copy_(before)  # PEFT may have worked in place
                weight.data = untouched
                layer.lora_A[START].weight.copy_(layer.lora_A[ADAPTER].weight)
                layer.lora_B[START].weight.copy_(-layer.lora_B[ADAPTER].weight)
        model.base_model.set_adapter([ADAPTER, START])
        for parameter_name, parameter in model.named_parameters():
            if f".{START}." in parameter_name:
                parameter.requires_grad = False

    def going_on(self, config: Any, method: MethodPlan, parent: Path) -> Any:
        """What was started from the base's weights was kept with twice its rank, and goes on so."""
        if method.options["init_lora_weights"] in FROM_BASE:
            doubled(config)
        return super().going_on(config, method, parent)

    def save(self, model: Any, folder: Path) -> None:
        """Joins the frozen adapter to the trained one, in memory too."""
        if START in model.peft_config:
            _join(model)
        super().save(model, folder)

    def kind(self, folder: Path) -> str:
        """In a batch of several, PEFT asks each module that it wraps whole for every adapter of the batch: who has such
        modules cannot be on the base together with who has not.
        """
        config = read_config(folder)
        saved = sorted(config.modules_to_save or ())
        return f"{super().kind(folder)} {saved} {config.trainable_token_indices} {config.target_parameters}"

    def mixes(self, folder: Path) -> bool:
        """PEFT takes plain LoRA row by row (and modules that were trained whole only where they are of some types)."""
        config = read_config(folder)
        more = config.modules_to_save or config.trainable_token_indices or config.target_parameters
        return not (config.use_dora or more)

    def rows(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {"adapter_names": [name or "__base__" for name in names]}


def doubled(config: Any) -> None:
    """The configuration of twice the rank and the same scaling."""
    factor = 2**0.5 if config.use_rslora else 2
    config.r, config.lora_alpha = 2 * config.r, factor * config.lora_alpha
    config.rank_pattern = {key: 2 * rank for key, rank in config.rank_pattern.items()}
    config.alpha_pattern = {key: factor * alpha for key, alpha in config.alpha_pattern.items()}


def _layers(model: Any) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(path, m) for path, m in model.base_model.model.named_modules() if isinstance(m, LoraLayer)]


def _join(model: Any) -> None:
    """One adapter of twice the rank out of the trained and the frozen one."""
    import torch

    with torch.no_grad():
        for _, layer in _layers(model):
            for side, dim in (("lora_A", 0), ("lora_B", 1)):
                factors = getattr(layer, side)
                joined = torch.cat([factors[ADAPTER].weight, factors[START].weight], dim)
                fresh = torch.nn.Linear(joined.shape[1], joined.shape[0], bias=False, device="meta")
                fresh.weight = torch.nn.Parameter(joined, requires_grad=False)
                factors[ADAPTER] = fresh
            layer.r[ADAPTER] *= 2
    model.delete_adapter(START)
    model.set_adapter(ADAPTER)
    doubled(model.peft_config[ADAPTER])
