"""LoRA: low-rank matrices beside the frozen weights (Hu et al. 2021)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, Requirement, RunError, TuningMethod, hookimpl

if TYPE_CHECKING:
    from graftlm.api import MethodPlan

PROOF = "graftlm_proof"


class LoraTuner:
    """LoRA through PEFT."""

    def attach(self, model: Any, method: MethodPlan) -> Any:
        """Raises ``RunError`` where a target name matches nothing (PEFT lets a partly matching list pass)."""
        from peft import LoraConfig, get_peft_model

        present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        missing = [target for target in method.target_modules if target not in present]
        if missing:
            raise RunError(f"target modules {', '.join(missing)} match nothing in this model")
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=method.rank,
            lora_alpha=method.alpha,
            lora_dropout=method.dropout,
            target_modules=list(method.target_modules),
            use_rslora=bool(method.options["use_rslora"]),
            use_dora=bool(method.options["use_dora"]),
            bias="none",
        )
        return get_peft_model(model, config)

    def adapted(self, model: Any) -> dict[str, int]:
        names = (name.rpartition(".")[2] for name, module in model.named_modules() if hasattr(module, "lora_A"))
        return dict(Counter(names))

    def untuned(self, model: Any) -> Any:
        return model.disable_adapter()

    def save(self, model: Any, folder: Path) -> None:
        # "auto" would ask a hub whether the base's embeddings are its own
        model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's card has no content of its own

    @contextmanager
    def reload(self, model: Any, folder: Path) -> Iterator[Any]:
        """Loads the files under a second name into the same base."""
        model.load_adapter(str(folder), PROOF)
        model.set_adapter(PROOF)
        try:
            yield model
        finally:
            model.set_adapter("default")
            model.delete_adapter(PROOF)


@hookimpl
def graftlm_tuning_methods() -> Iterable[TuningMethod]:
    yield TuningMethod(
        name="lora",
        summary="low-rank matrices beside the frozen weights",
        keeps="adapter",
        target="graftlm_plugins.methods.lora:LoraTuner",
        requires=(Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),),
        options=(
            Option(name="use_rslora", type="bool", default=False, help="scale by alpha / sqrt(rank)"),
            Option(name="use_dora", type="bool", default=False, help="train the weights' magnitudes apart"),
        ),
    )
