"""PEFT's adapters beside each other on one base, and which of them answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.api import RunError

from .peft_files import load_tensors, read_config

BARE = ""
"""The base without any of them; PEFT calls it ``__base__`` where it names the rows of a batch."""


class Swapping:
    """Methods of PEFT keep their weights beside the base's, so the base stays as it is."""

    def alone(self, folder: Path) -> str:
        """PEFT puts trained biases in the place of the base's own."""
        bias = getattr(read_config(folder), "bias", "none")
        return f"it changes the base's own biases (bias: {bias})" if bias not in ("none", False) else ""

    def kind(self, folder: Path) -> str:
        """PEFT puts only adapters of one type beside each other. Those of single tokens take turns: for a second one,
        it wraps a head that is tied to the embeddings once more, and does not find it then.
        """
        kind = str(read_config(folder).peft_type.value)
        return f"{kind} {folder}" if kind == "TRAINABLE_TOKENS" else kind

    def beside(self, model: Any, folder: Path, name: str) -> Any:
        """Raises ``RunError`` where the files do not fit; the model is then as it was."""
        from .peft_tuner import refused, wrapped

        config = read_config(folder)
        config.inference_mode = True
        tuned, first = model, not _names(model)
        try:
            with refused(f"the adapter in {folder} does not fit this base"):
                if first:
                    tuned = wrapped(model, config, name)
                else:
                    model.add_adapter(name, config)
            load_tensors(tuned, folder, name)
        except RunError:
            if name in _names(tuned):
                tuned.unload() if first else tuned.delete_adapter(name)
            raise
        return tuned.requires_grad_(False).eval()

    def switch(self, model: Any, name: str) -> None:
        if not name:
            model.base_model.disable_adapter_layers()
            return
        model.base_model.enable_adapter_layers()
        model.set_adapter(name, inference_mode=True)

    def bare(self, model: Any) -> Any:
        """The base's own modules, where they were. (PEFT would leave those that were trained whole.)"""
        from peft.utils.other import ModulesToSaveWrapper

        from .peft_tuner import refused

        base = model.base_model.model
        for path, module in list(base.named_modules()):
            if isinstance(module, ModulesToSaveWrapper):
                parent, _, name = path.rpartition(".")
                setattr(base.get_submodule(parent), name, module.original_module)
        with refused("these adapters cannot be taken off their base again"):
            return model.unload().requires_grad_(False).eval()

    def mixes(self, folder: Path) -> bool:
        """What ``rows`` needs is LoRA's alone."""
        return False

    def rows(self, names: Sequence[str]) -> Mapping[str, Any]:
        raise RunError("this method cannot answer for several adapters in one batch")


def _names(model: Any) -> Collection[str]:
    """The adapters that are on it; a bare base has none."""
    found: Collection[str] = getattr(model, "peft_config", {})
    return found
