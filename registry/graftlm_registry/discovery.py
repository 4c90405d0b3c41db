"""Finding plugins: the built-in modules, then the entry points of installed distributions, each checked on its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions
from time import perf_counter
from types import ModuleType
from typing import Any

import pluggy

from graftlm import hookspecs
from graftlm.contracts.spec import Spec
from graftlm.contracts.specs import Evaluator
from graftlm.contracts.stages import STAGES

GROUP = "graftlm.v1"
ALLOWED, REFUSED = "GRAFTLM_PLUGINS", "GRAFTLM_NO_PLUGINS"
"""Variables with names of plugins, joined by commas."""
BUILT_IN = tuple(
    f"graftlm_plugins.{name}"
    for name in (
        "formats.alpaca", "formats.pairs", "formats.sharegpt", "formats.openai", "formats.chatglm3",
        "formats.human_assistant", "formats.text",
        "templates.mistral", "templates.qwen", "templates.glm", "templates.falcon",
        "templates.chatml", "templates.llama", "templates.instruct", "templates.model",
        "sources.builtin", "sources.shape", "sources.folder", "sources.hub",
        "families.mistral", "families.qwen", "families.glm", "families.falcon", "families.llama",
        "quantization.none", "quantization.four_bit", "quantization.int8", "quantization.torchao_int8",
        "accelerators.sdpa", "accelerators.flash_attn", "accelerators.varlen", "accelerators.supervised_logits",
        "accelerators.fused_lora", "accelerators.compile", "accelerators.flex", "accelerators.liger",
        "methods.lora", "methods.overlay", "methods.peft_methods",
        "optimizers.plain", "optimizers.bnb",
        "backends.peft", "backends.trainer", "backends.trl", "backends.unsloth",
        "evaluators.exact_match", "evaluators.normalised_match", "evaluators.classification",
        "evaluators.multiple_choice", "evaluators.perplexity", "evaluators.rouge", "evaluators.translation",
        "evaluators.json_fields", "evaluators.pattern", "evaluators.user_function",
        "evaluators.taught_answers", "evaluators.lm_eval",
        "trackers.csv", "trackers.tensorboard", "trackers.wandb", "trackers.mlflow",
    )
)  # fmt: skip
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("graftlm_"))


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module that was found. ``problem`` says why its contributions are not there, ``left_out`` who wanted it so.
    ``place`` is its file, or the object that its entry point names where it was not imported; ``seconds`` what
    importing it and asking its hooks took.
    """

    name: str
    distribution: str
    version: str
    specs: tuple[Spec, ...] = ()
    problem: str = ""
    left_out: str = ""
    place: str = ""
    seconds: float = 0.0

    @property
    def built_in(self) -> bool:
        return self.distribution == "graftlm"


def discover() -> Iterator[Plugin]:
    """Every plugin of this environment, sound or not, the built-in ones first."""
    manager, wanted = _manager(), Wanted.by_environment()
    for module in BUILT_IN:
        name = module.removeprefix("graftlm_plugins.")
        if why := wanted.against(name, built_in=True):
            yield Plugin(name, "graftlm", "", left_out=why, place=module)
        else:
            began = perf_counter()
            found = import_module(module)
            yield _timed(_checked(manager, found, name, "graftlm", ""), found, began)
    yield from _strangers(wanted)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which plugins may load, by the names of their entry points: those that are ``allowed`` (None is all; it says
    nothing of built-in ones), without those that are ``refused``.
    """

    allowed: frozenset[str] | None
    refused: frozenset[str]

    @staticmethod
    def by_environment() -> Wanted:
        """As ``GRAFTLM_PLUGINS`` and ``--no-plugin`` say: a worker must load what its front did."""
        allowed = os.environ.get(ALLOWED)
        return Wanted(None if allowed is None else _names(allowed), _names(os.environ.get(REFUSED, "")))

    def against(self, name: str, *, built_in: bool = False) -> str:
        """Why a plugin must not load; empty where it may."""
        if name in self.refused:
            return "--no-plugin"
        return ALLOWED if self.allowed is not None and name not in self.allowed and not built_in else ""


def _names(said: str) -> frozenset[str]:
    return frozenset(name.strip() for name in said.split(",") if name.strip() not in ("", "none"))


def _timed(plugin: Plugin, module: Any, began: float) -> Plugin:
    return replace(plugin, place=str(getattr(module, "__file__", "") or ""), seconds=perf_counter() - began)


def _strangers(wanted: Wanted) -> Iterator[Plugin]:
    seen: set[str] = set()
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
        except UnicodeDecodeError:
            continue  # no name of ours can be read in it
        if "graftlm.v" not in text:
            continue  # before its name is asked for, which parses all of its metadata
        if distribution.name not in seen:  # the first on sys.path is the one that is imported
            seen.add(distribution.name)
            yield from _contributed(distribution, wanted)


def _contributed(distribution: Distribution, wanted: Wanted) -> Iterator[Plugin]:
    """The plugins that one distribution registers."""
    try:
        entries = [e for e in distribution.entry_points if re.fullmatch(r"graftlm\.v\d+", e.group)]
    except Exception as error:  # noqa: BLE001 - a file that cannot be parsed is its owner's fault
        yield Plugin(distribution.name, distribution.name, "", problem=f"its entry_points.txt cannot be read: {error}")
        return
    for entry in sorted(entries, key=lambda e: (e.group, e.name)):
        about = (entry.name, distribution.name, distribution.version)
        if why := wanted.against(entry.name):
            yield Plugin(*about, left_out=why, place=entry.value)
        elif entry.group != GROUP:
            problem = f"made for {entry.group}, and this graftlm has {GROUP}: install a release of it for {GROUP}"
            yield Plugin(*about, problem=problem, place=entry.value)
        else:
            yield _loaded(entry, distribution.name, distribution.version)


def _loaded(entry: EntryPoint, distribution: str, version: str) -> Plugin:
    """A stranger's module may fail in any way when it is imported: that is its problem alone."""
    began = perf_counter()
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001
        problem = f"importing {entry.value} failed: {type(error).__name__}: {error}"
        return Plugin(entry.name, distribution, version, problem=problem, place=entry.value)
    found = _checked(_manager(), module, entry.name, distribution, version)  # its faults are its own
    return _timed(found, module, began)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("graftlm")
    manager.add_hookspecs(hookspecs)
    return manager


def _checked(manager: pluggy.PluginManager, module: Any, name: str, distribution: str, version: str) -> Plugin:
    """The module's contributions, or the first thing that is wrong with them."""
    try:
        manager.register(module, name)
        manager.check_pending()
        callers = manager.get_hookcallers(module) or []
        impls = [impl for caller in callers for impl in caller.get_hookimpls() if impl.plugin is module]
        specs = tuple(spec for impl in impls for spec in _valid(impl))
    except pluggy.PluginValidationError as error:
        return Plugin(name, distribution, version, problem=_misspelt(module) or str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's hook raises is its own fault
        return Plugin(name, distribution, version, problem=f"{type(error).__name__}: {error}")
    if not specs:
        return Plugin(name, distribution, version, problem="it contributes nothing (no function with @hookimpl?)")
    return Plugin(name, distribution, version, specs)


def _misspelt(module: ModuleType) -> str:
    from difflib import get_close_matches

    for name in vars(module):
        if name.startswith("graftlm_") and name not in HOOKS:
            near = get_close_matches(name, HOOKS, 1)
            return f"there is no hook {name}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RANGE = re.compile(r"\s*((>=|<=|<|>)\s*\d+(\.\d+)*\s*(,\s*|$))*")
KIND_OF_HOOK: Mapping[str, str] = {
    "graftlm_data_formats": "format",
    "graftlm_prompt_templates": "template",
    "graftlm_model_sources": "source",
    "graftlm_model_families": "family",
    "graftlm_quantizations": "quantization",
    "graftlm_accelerators": "accelerator",
    "graftlm_tuning_methods": "method",
    "graftlm_optimizers": "optimizer",
    "graftlm_backends": "backend",
    "graftlm_evaluators": "evaluator",
    "graftlm_trackers": "tracker",
    "graftlm_commands": "command",
}


def _valid(impl: pluggy.HookImpl) -> Iterator[Spec]:
    """What a plugin's hook gives; raises on anything that is not a spec of the hook's kind with a proper name."""
    hook = impl.opts["specname"] or impl.function.__name__
    given: Any = impl.function()
    for spec in given:
        if not isinstance(spec, Spec) or spec.kind != KIND_OF_HOOK[hook]:
            raise TypeError(f"{hook} must give {KIND_OF_HOOK[hook]} specs, and gave {spec!r}")
        for name in (spec.name, *spec.aliases):
            if not NAME.fullmatch(name):
                raise ValueError(f"{spec.kind} name {name!r} is not lower-case letters, digits, '.', '_' and '-'")
        environment = getattr(spec, "environment", None)
        if environment is not None and not NAME.fullmatch(environment.name):
            raise ValueError(
                f"environment name {environment.name!r} is not lower-case letters, digits, '.', '_' and '-'"
            )
        if environment is not None and not RANGE.fullmatch(environment.python):
            raise ValueError(
                f"environment '{environment.name}': python {environment.python!r} is no range as >=3.11,<3.14"
            )
        if environment is not None and isinstance(spec, Evaluator) and not spec.own_tasks:
            raise ValueError(f"evaluator '{spec.name}' scores rows, which is not done in an environment of its own")
        unknown = set(getattr(spec, "patches", ())) - set(STAGES)
        if unknown:
            raise ValueError(
                f"{spec.kind} '{spec.name}' patches at {', '.join(unknown)}; stages are {', '.join(STAGES)}"
            )
        yield spec
