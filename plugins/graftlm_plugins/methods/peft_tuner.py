"""Any method of PEFT that keeps its weights beside the base's: attach, save, apply, merge, swap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import RunError

from .coverage import check_adapted, check_patterns, check_saved, covered
from .peft_files import ADAPTER, load_tensors, plain, read_config, write
from .swapping import Swapping

if TYPE_CHECKING:
    from graftlm.api import MethodPlan

FREE = ("inference_mode", "base_model_name_or_path", "revision", "peft_version", "task_type", "auto_mapping")
"""Fields in which a parent may differ: they say nothing of its weights."""


class PeftTuner(Swapping):
    """A method by its entry in the schema (``peft_methods.json``)."""

    starts: tuple[str, ...] = ("init_weights", "init_ia3_weights")
    """Fields that say how training starts, which an adapter that is gone on from has behind it."""

    def attach(self, model: Any, method: MethodPlan, parent: Path | None) -> Any:
        """The model in PEFT's hands, every target adapted and nothing else, or ``RunError``."""
        paths = [name for name, _ in model.named_modules() if name]
        config = self.config(model, method)
        wanted = self.wanted(model, paths, method)
        if parent is not None:
            config = self.going_on(config, method, parent)
        with refused(f"method {method.name}: PEFT refuses it"):
            tuned = wrapped(model, config)
        check_adapted(wanted, set(adapted_modules(tuned)))
        check_patterns(wanted, method.options)
        check_saved(paths, method.options.get("modules_to_save") or (), saved_modules(tuned))
        if parent is None:
            with refused(f"method {method.name}: PEFT cannot start it"):
                self.start(tuned, method)
        else:
            load_tensors(tuned, parent)
        masters(tuned)
        return tuned

    def config(self, model: Any, method: MethodPlan) -> Any:
        """PEFT's configuration of the plan."""
        import peft

        from .peft_methods import methods

        entry = methods()[method.name]
        arguments: dict[str, Any] = dict(entry.get("always", {}))
        for setting, field in entry["settings"].items():
            arguments[field] = getattr(method, setting)
        for field in entry["fields"]:
            value = as_peft(method.options[field["name"]], field["choices"])
            if value is not None:
                arguments[field["name"]] = value
        if "target_modules" in entry["settings"]:
            arguments["target_modules"] = sorted(method.target_modules)
        elif not method.options.get("target_modules"):
            arguments["target_modules"] = own_targets(model, entry["targets"])
        for field in entry["whole"]:
            arguments[field] = whole(field, arguments.get(field))
        with refused(f"method {method.name}: PEFT refuses its options"):
            return getattr(peft, entry["config"])(task_type="CAUSAL_LM", **arguments)

    def wanted(self, model: Any, paths: list[str], method: MethodPlan) -> set[str]:
        """The modules that must be adapted."""
        targets = method.target_modules or method.options.get("target_modules")
        if targets:
            return covered(paths, targets, method.options)
        from .peft_methods import methods

        found = covered(paths, own_targets(model, methods()[method.name]["targets"]), method.options)
        weights = {id(model.get_submodule(path).weight) for path in found}
        return {
            path for path in paths if id(getattr(model.get_submodule(path), "weight", None)) in weights
        }  # a tied head

    def start(self, model: Any, method: MethodPlan) -> None:
        """Initial weights that PEFT does not draw itself."""

    def going_on(self, config: Any, method: MethodPlan, parent: Path) -> Any:
        """The configuration to attach the parent's files with; ``RunError`` where it is not what the plan says."""
        theirs = read_config(parent)
        mine, kept = _comparable(config, self.starts), _comparable(theirs, self.starts)
        for name in sorted(mine.keys() | kept.keys()):
            if mine.get(name) != kept.get(name):
                said = f"has {name} {kept.get(name)}, and the plan says {mine.get(name)}"
                raise RunError(f"the adapter that is gone on from {said}: leave that setting out, or train anew")
        theirs.inference_mode = False
        for name in ("init_weights", "init_ia3_weights", "init_lora_weights"):
            if hasattr(config, name):
                setattr(theirs, name, getattr(config, name))
        return theirs

    def adapted(self, model: Any) -> dict[str, int]:
        """Linear layers alone: norms, embeddings and experts' tensors are adapted too, and no such layers."""
        import torch

        base = model.base_model.model
        named = {path for path, module in base.named_modules() if isinstance(_inner(module), torch.nn.Linear)}
        return dict(Counter(path.rpartition(".")[2] for path in adapted_modules(model) if path in named))

    def save(self, model: Any, folder: Path) -> None:
        """PEFT's two files, no card. What trained in fp32 instead of the base's dtype is rounded to it first."""
        settled(model)
        write(model, folder)

    def apply(self, model: Any, folder: Path) -> Any:
        """Raises ``RunError`` where a tensor lacks, is one too many, or has another shape."""
        config = read_config(folder)
        config.inference_mode = True
        with refused(f"the adapter in {folder} does not fit this base"):
            tuned = wrapped(model, config)
        load_tensors(tuned, folder)
        return tuned.requires_grad_(False).eval()

    def merge(self, model: Any) -> Any:
        """Raises ``RunError`` where the method's change is no change of weights."""
        from peft.tuners.tuners_utils import BaseTunerLayer
        from peft.utils.other import AuxiliaryTrainingWrapper

        with refused("this adapter cannot be merged into its base, only used beside it"):
            merged = model.merge_and_unload(safe_merge=True)
        left = [path for path, m in merged.named_modules() if isinstance(m, BaseTunerLayer | AuxiliaryTrainingWrapper)]
        if left:
            raise RunError(f"merging left {left[0]} as it was: this adapter can only be used beside its base")
        _untie(merged)
        return merged.requires_grad_(False).eval()


def wrapped(model: Any, config: Any, name: str = ADAPTER) -> Any:
    """``get_peft_model`` on a bare model."""
    from peft import get_peft_model

    return get_peft_model(model, config, adapter_name=name)


def adapted_modules(model: Any) -> Iterator[str]:
    """Paths in the base of the modules (or, among fused experts, of the tensors) that PEFT adapts."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in model.base_model.model.named_modules():
        if isinstance(module, BaseTunerLayer) and not path.endswith(".token_adapter"):  # some tokens of an embedding
            tensor = getattr(module, "parameter_name", "")
            # several tensors of one module are wrapped one around the other
            yield f"{path.replace('.base_layer', '')}.{tensor}" if tensor else path


def saved_modules(model: Any) -> Iterator[str]:
    """Paths in the base of the modules that are trained whole."""
    from peft.utils.other import ModulesToSaveWrapper

    for path, module in model.base_model.model.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            yield path


def own_targets(model: Any, what: str) -> list[str]:
    """Module paths for a method that is told no targets: all ``norms``, or the input ``embeddings``."""
    if what == "norms":
        return [path for path, m in model.named_modules() if type(m).__name__.endswith("Norm")]
    inner = model.get_input_embeddings()
    return [path for path, module in model.named_modules() if module is inner]


def as_peft(value: Any, choices: Any = ()) -> Any:
    """An option as PEFT takes it; None where it says nothing and PEFT's own default holds."""
    if isinstance(value, str) and value in ("true", "false") and choices:
        return value == "true"
    if isinstance(value, list | tuple):
        return list(value) or None
    if isinstance(value, Mapping):
        return dict(value) or None
    return value if value != "" else None


def whole(field: str, value: Any) -> Any:
    """A number as the integer that PEFT wants of this field; ``RunError`` where it is none."""
    if value is None or float(value).is_integer():
        return value if value is None else int(value)
    raise RunError(f"{field} is {value:g}, and this method wants a whole number there")


def masters(model: Any) -> None:
    """Base tensors that are trained (modules to save, biases) are kept in fp32 until they are saved: a step is often
    smaller than what bf16 can tell apart. Their dtypes are remembered on the model.
    """
    import torch

    dtypes = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            dtypes[name] = parameter.dtype
            parameter.data = parameter.data.float()
    model.graftlm_dtypes = dtypes


def settled(model: Any) -> None:
    """Undo ``masters``: round to the dtypes of before."""
    named = dict(model.named_parameters())
    for name, dtype in getattr(model, "graftlm_dtypes", {}).items():
        named[name].data = named[name].data.to(dtype)
    model.graftlm_dtypes = {}


@contextmanager
def refused(what: str) -> Iterator[None]:
    """PEFT's own errors as one of ours, its first line behind ``what``."""
    try:
        yield
    except (ValueError, TypeError, NotImplementedError, AttributeError, RuntimeError, AssertionError) as error:
        if isinstance(error, RunError):
            raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise RunError(f"{what}: {first}") from error


def _inner(module: Any) -> Any:
    """What an adapter is wrapped around, or the module itself."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def _comparable(config: Any, starts: tuple[str, ...]) -> dict[str, Any]:
    """What two configurations must have in common: empty lists and mappings are as good as nothing."""
    known = plain(config.to_dict())
    return {
        name: value for name, value in known.items() if name not in (*FREE, *starts) and value not in (None, [], {})
    }


def _untie(model: Any) -> None:
    """A merged head that is no longer the embeddings must not be tied to them when the model is loaded again."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or not getattr(model.config, "tie_word_embeddings", False) or head.weight is embeddings.weight:
        return
    import torch

    if torch.equal(head.weight, embeddings.weight):
        head.weight = embeddings.weight
    else:
        model.config.tie_word_embeddings = False
