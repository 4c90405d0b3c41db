"""Full and partial training, and the overlay: the base's changed tensors by their own names."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

from .coverage import ends_with, near
from .peft_tuner import masters, settled

if TYPE_CHECKING:
    from graftlm.api import MethodPlan

TENSORS, ABOUT, FORMAT = "overlay.safetensors", "overlay.json", 1
NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class FullTuner:
    """Trains every weight, in fp32 whatever the base's dtype is; what is kept is rounded to that."""

    name = "full"

    def attach(self, model: Any, method: MethodPlan, parent: Path | None) -> Any:
        """The model itself. ``RunError`` where what is to be trained is not there, or is quantized."""
        chosen = {id(parameter) for parameter in self.chosen(model, method)}
        trained = {name: p for name, p in model.named_parameters() if id(p) in chosen}
        for name, parameter in model.named_parameters():
            if name in trained and not parameter.is_floating_point():
                raise RunError(f"method {self.name}: {name} is quantized and cannot be trained; say --method lora")
            parameter.requires_grad = name in trained
        if not trained:
            raise RunError(f"method {self.name} trains nothing in this model")
        if parent is not None:
            tensors = read(model, parent)
            strange = sorted(tensors.keys() - trained.keys())
            if strange:
                raise RunError(
                    f"the overlay that is gone on from changed {strange[0]}, which this run would not keep: "
                    "train what it trained"
                )
        masters(model)
        if parent is not None:
            put(model, tensors)
        model.graftlm_method = self.name
        return model

    def chosen(self, model: Any, method: MethodPlan) -> list[Any]:
        """The parameters to train."""
        return list(model.parameters())

    def adapted(self, model: Any) -> dict[str, int]:
        import torch

        head = model.get_output_embeddings()
        return dict(
            Counter(
                path.rpartition(".")[2]
                for path, module in model.named_modules()
                if isinstance(module, torch.nn.Linear) and module is not head and module.weight.requires_grad
            )
        )

    def save(self, model: Any, folder: Path) -> None:
        """``overlay.safetensors``, and ``overlay.json`` that says what it is."""
        from safetensors.torch import save_file

        settled(model)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}
        save_file(trained, folder / TENSORS, metadata={"format": "pt"})
        dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in trained.values())
        dtype = dtypes.most_common(1)[0][0]
        about = {
            "format": FORMAT,
            "method": self.name,
            "dtype": NAMES.get(dtype, dtype),
            "tensors": len(trained),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def apply(self, model: Any, folder: Path) -> Any:
        """The model itself, its tensors replaced. Raises ``RunError`` where one is not there or has another shape."""
        put(model, read(model, folder))
        return model.requires_grad_(False).eval()

    def alone(self, folder: Path) -> str:
        """Nothing can stand beside it, nor the base without it."""
        return "it replaces the base's own weights"

    def merge(self, model: Any) -> Any:
        """What ``apply`` gives is a plain model already."""
        return model


class FreezeTuner(FullTuner):
    """Trains the last layers, or named modules, and the embeddings where asked."""

    name = "freeze"

    def chosen(self, model: Any, method: MethodPlan) -> list[Any]:
        options = method.options
        modules = _named(model, options["modules"]) if options["modules"] else _last(model, options["layers"])
        if options["embeddings"]:
            modules += [m for m in (model.get_input_embeddings(), model.get_output_embeddings()) if m is not None]
        return [parameter for module in modules for parameter in module.parameters()]


def decoder_layers(model: Any) -> Any:
    """The decoder's layers: the longest list of modules that is in no other; ``RunError`` where there is none."""
    import torch

    lists: list[tuple[str, Any]] = []
    for path, module in model.named_modules():  # outer ones first
        if isinstance(module, torch.nn.ModuleList) and not any(path.startswith(f"{outer}.") for outer, _ in lists):
            lists.append((path, module))
    if not lists:
        raise RunError("this model has no list of layers: name what to train by method.modules")
    return max((module for _, module in lists), key=len)


def read(model: Any, folder: Path) -> dict[str, Any]:
    """The tensors of an overlay; ``RunError`` where they cannot be read or do not fit the model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        tensors: dict[str, Any] = load_file(folder / TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"{folder} is not an overlay: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RunError(f"{folder / ABOUT} is of a format that this graftlm does not know; install a newer one")
    if about.get("tensors") != len(tensors):
        raise RunError(f"{folder / TENSORS} has {len(tensors)} tensors, and {ABOUT} says {about.get('tensors')}")
    named = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in named:
            raise RunError(f"the overlay changes {name}, which this base does not have")
        if named[name].shape != tensor.shape:
            said = f"{tuple(tensor.shape)} in the overlay, and {tuple(named[name].shape)} in this base"
            raise RunError(f"the overlay does not fit this base: {name} is {said}")
        if not named[name].is_floating_point():
            raise RunError(f"{name} is quantized in this base, and the overlay is of one that is not")
    return tensors


def put(model: Any, tensors: dict[str, Any]) -> None:
    """Replace the model's tensors, in the dtype and on the device that they have there."""
    import torch

    named = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            named[name].copy_(tensor)


def _last(model: Any, count: int) -> list[Any]:
    layers = decoder_layers(model)
    if count > len(layers):
        raise RunError(f"method.layers is {count}, and this model has {len(layers)} layers")
    return list(layers[len(layers) - count :]) if count else []


def _named(model: Any, names: tuple[str, ...]) -> list[Any]:
    """Modules by path or by the last parts of it, each name matching at least one."""
    found = []
    paths = [path for path, _ in model.named_modules() if path]
    for name in names:
        mine = [module for path, module in model.named_modules() if path == name or ends_with(path, name)]
        mine = [module for module in mine if next(module.parameters(), None) is not None]
        if not mine:
            raise RunError(
                f"method.modules: {name} matches no module of this model that has weights{near(name, paths)}"
            )
        found += mine
    return found
