"""Acme's tuning method for graftlm: only the vectors of a model are trained, its norms and biases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, RunError, TuningMethod, hookimpl

if TYPE_CHECKING:
    from graftlm.api import MethodPlan, ModelShape

FILE = "vectors.safetensors"


def trained(shape: ModelShape, method: MethodPlan) -> int:
    """How many parameters are trained, from the model's shape alone: a plan reckons its memory with it."""
    biases = sum(layer.count * layer.outputs for layer in shape.linear if layer.bias)
    return shape.other + biases * bool(method.options["biases"])


class Tuner:
    """What the worker asks of a method; torch and the like are imported in here."""

    def attach(self, model: Any, method: MethodPlan, parent: Path | None) -> Any:
        """The model, ready to be trained. ``parent`` are the files of the adapter that a run goes on from."""
        chosen = {id(parameter) for parameter in vectors(model, biases=bool(method.options["biases"]))}
        dtypes = {}
        for name, parameter in model.named_parameters():
            parameter.requires_grad = id(parameter) in chosen
            if parameter.requires_grad:
                # trained in fp32, whatever the base is in: a step is smaller than what bf16 can tell apart
                dtypes[name], parameter.data = parameter.dtype, parameter.data.float()
        if not dtypes:
            raise RunError("method acme trains norms and biases, and this model has none: say --method lora")
        model.own_dtypes = dtypes
        if parent is not None:
            put(model, parent)
        return model

    def adapted(self, model: Any) -> dict[str, int]:
        """The linear layers that are trained, by the last part of their names: those with a trained bias."""
        import torch

        found = [path for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
        named = dict(model.named_parameters())
        trains = [path for path in found if (bias := named.get(f"{path}.bias")) is not None and bias.requires_grad]
        return dict(Counter(path.rpartition(".")[2] for path in trains))

    def save(self, model: Any, folder: Path) -> None:
        """Safetensors and JSON only. What is kept is in the base's precision, and then so is the model."""
        from safetensors.torch import save_file

        named = dict(model.named_parameters())
        for name, dtype in model.own_dtypes.items():
            named[name].data = named[name].data.to(dtype)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: named[name].detach().cpu().contiguous() for name in model.own_dtypes}, folder / FILE)

    def apply(self, model: Any, folder: Path) -> Any:
        """The base with what was kept, ready to answer."""
        put(model, folder)
        return model.requires_grad_(False).eval()

    def merge(self, model: Any) -> Any:
        """What ``apply`` gives is a plain model already."""
        return model


def vectors(model: Any, *, biases: bool) -> Iterator[Any]:
    import torch

    for module in model.modules():
        if biases or not isinstance(module, torch.nn.Linear):
            yield from (parameter for parameter in module.parameters(recurse=False) if parameter.dim() == 1)


def put(model: Any, folder: Path) -> None:
    """What was kept in the place of the base's own; ``RunError`` where it is of another base."""
    import torch
    from safetensors.torch import load_file

    kept, named = load_file(folder / FILE), dict(model.named_parameters())
    for name, tensor in kept.items():
        if name not in named or named[name].shape != tensor.shape:
            raise RunError(f"{folder / FILE} does not fit this base, which has no {name} of {tuple(tensor.shape)}")
    with torch.no_grad():
        for name, tensor in kept.items():
            named[name].copy_(tensor)


@hookimpl
def graftlm_tuning_methods() -> Iterable[TuningMethod]:
    yield TuningMethod(
        name="acme",
        summary="the norms and biases alone",
        keeps="overlay",  # changed tensors of the base; "adapter" is what PeftModel.from_pretrained reads
        target="graftlm_acme:Tuner",
        settings=(),  # no rank, alpha, dropout or target_modules: asking for one is an error
        suggestions={"learning_rate": 5e-3},
        trained=trained,
        options=(Option(name="biases", type="bool", default=True, help="train the biases of linear layers, too"),),
        suite="graftlm_acme.conformance:AcmeSuite",
    )
