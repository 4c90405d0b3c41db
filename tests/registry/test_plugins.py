"""The registry: names, aliases, suggestions, and the page of hooks."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graftlm import api, hookspecs
from graftlm.contracts.errors import PluginError
from graftlm.contracts.spec import Spec
from graftlm_registry.discovery import BUILT_IN, HOOKS, KIND_OF_HOOK, NAME, Plugin
from graftlm_registry.plugins import Registry, registry

Run = Callable[..., Any]


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry as it is where no stranger is installed."""
    monkeypatch.setenv("GRAFTLM_PLUGINS", "none")
    registry.cache_clear()
    return registry()


def described(spec: api.Spec) -> str:
    return f"{spec.kind}/{spec.name}"


def made(*templates: tuple[str, tuple[str, ...]]) -> Registry:
    """A registry of templates with these names and aliases, each of a distribution of its own."""
    specs = [
        api.PromptTemplate(
            name=name, summary="s", aliases=aliases, render=lambda c, o: [], control_tokens=(), end_token="</s>"
        )
        for name, aliases in templates
    ]
    return Registry(Plugin(f"plugin-{s.name}", f"dist-{s.name}", "1", (s,)) for s in specs)


# Names


def test_an_alias_is_another_name_for_the_same(built_in: Registry) -> None:
    known = made(("chat", ("talk", "gossip")), ("plain", ()))
    assert {known.get(api.PromptTemplate, name).name for name in ("chat", "talk", "gossip")} == {"chat"}
    assert known.names("template") == ("chat", "plain")
    for _, spec in built_in.contributions():
        for name in (spec.name, *spec.aliases):
            assert built_in.find(spec.kind, name)[1] is spec


@pytest.mark.parametrize("taken", ["chat", "talk"])
def test_a_name_or_alias_of_two_is_an_error_where_it_is_chosen(taken: str) -> None:
    known = made(("chat", ("talk",)), ("other", (taken,)))
    with pytest.raises(PluginError, match=r"provided by dist-chat \(plugin-chat\) and dist-other \(plugin-other\)"):
        known.find("template", taken)
    assert known.get(api.PromptTemplate, "other").name == "other"


def test_a_name_of_another_class_is_refused(built_in: Registry) -> None:
    preset = api.BackendPreset(name="fast", summary="s", backend="peft", accelerators=("sdpa",))
    known = Registry([Plugin("p", "d", "1", (preset,))])
    with pytest.raises(PluginError, match="backend 'fast' is a BackendPreset, not a Backend"):
        known.get(api.Backend, "fast")


@pytest.mark.parametrize(
    ("flag", "typed", "meant"),
    [
        ("--backend", "pefft", "peft"),
        ("--template", "mistral-v33", "mistral-v3"),
        ("--family", "mistrall", "mistral"),
        ("--format", "alpacca", "alpaca"),
        ("--accelerator", "sdap", "sdpa"),
        ("--method", "lorra", "lora"),
        ("--quantization", "non", "none"),
        ("--evaluator", "exact_match", "exact-match"),
    ],
)
def test_a_misspelt_choice_is_a_sentence_with_a_suggestion(
    flag: str, typed: str, meant: str, alpaca: Path, run: Run
) -> None:
    said = run("plan", alpaca, "--model", "tiny-mistral", flag, typed)
    assert said.code == 2
    assert f"Error: unknown {flag[2:]} '{typed}'. Did you mean '{meant}'?" in said.err
    assert "Traceback" not in said.err


def test_a_choice_that_is_near_to_nothing_is_not_guessed_at(built_in: Registry) -> None:
    with pytest.raises(PluginError, match=r"unknown backend 'zzz'\. Available: .*peft, "):
        built_in.find("backend", "zzz")


# What comes with graftlm


def test_every_built_in_module_contributes(built_in: Registry) -> None:
    assert [f"graftlm_plugins.{plugin.name}" for plugin in built_in.plugins] == list(BUILT_IN)
    for plugin in built_in.plugins:
        assert plugin.built_in
        assert plugin.specs, plugin.problem
        assert not plugin.problem


def test_every_built_in_file_is_registered() -> None:
    """A file that hooks in, and that the registry's tuple forgot, would be missing in silence."""
    import graftlm_plugins

    root = Path(graftlm_plugins.__path__[0])
    hooking = [path for path in root.rglob("*.py") if "@hookimpl" in path.read_text(encoding="utf-8")]
    modules = {".".join(("graftlm_plugins", *path.relative_to(root).with_suffix("").parts)) for path in hooking}
    assert modules == set(BUILT_IN)


def test_built_in_names_are_taken_once(built_in: Registry) -> None:
    names = [(spec.kind, name) for _, spec in built_in.contributions() for name in (spec.name, *spec.aliases)]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for _, name in names)


def test_every_built_in_has_a_one_line_summary(built_in: Registry) -> None:
    for _, spec in built_in.contributions():
        assert spec.summary.strip(), described(spec)
        assert "\n" not in spec.summary, described(spec)
        assert len(spec.summary) <= 80, described(spec)
        for option in spec.options:
            assert option.help.strip(), f"{described(spec)}: {option.name}"
            assert "\n" not in option.help, f"{described(spec)}: {option.name}"


def test_every_built_in_can_be_shown(built_in: Registry, run: Run) -> None:
    for plugin, spec in built_in.contributions():
        said = run("plugins", "show", described(spec))
        assert (said.code, said.err) == (0, ""), described(spec)
        shown = {line.split("  ")[0]: line for line in said.out.splitlines()}
        assert shown["name"].endswith(f" {spec.name}")
        assert f"({plugin.name})" in shown["from"]
        for option in spec.options:
            assert f"--set {spec.kind}.{option.name}=" in said.out


def test_showing_what_is_not_there(built_in: Registry, run: Run) -> None:
    for asked, answer in (
        ("peff", "unknown plugin 'peff'. Did you mean 'peft'?"),
        ("backend/peff", "unknown backend 'peff'. Did you mean 'peft'?"),
        ("backed/peft", "unknown kind of plugin 'backed'. Did you mean 'backend'?"),
    ):
        said = run("plugins", "show", asked)
        assert said.code == 2, asked
        assert answer in said.err


def test_looking_at_plugins_imports_nothing_heavy() -> None:
    """A process of its own: in this one, torch is there already."""
    source = (
        "import sys; from graftlm_registry.plugins import registry; assert len(list(registry().contributions())) > 10;"
        "print(*sorted({'torch', 'transformers', 'peft', 'accelerate', 'datasets', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# The page of hooks


def test_every_hook_has_a_kind() -> None:
    assert set(KIND_OF_HOOK) == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_runs(hook: str) -> None:
    """With what a plugin's author imports, and their own two functions where a source has to have some."""
    doc = getattr(hookspecs, hook).__doc__
    examples = doctest.DocTestParser().get_examples(doc)
    assert examples, f"{hook} has no example"
    assert not doc.startswith(">>>"), f"{hook} does not say what it is for"
    namespace = {name: getattr(api, name) for name in api.__all__} | dict.fromkeys(
        ("describe", "fetch"), lambda *_: None
    )
    for part in examples:
        exec(part.source, namespace)
    specs = list(namespace[hook]())
    assert specs
    for spec in specs:
        assert isinstance(spec, api.Spec)
        assert spec.kind == KIND_OF_HOOK[hook]
        assert NAME.fullmatch(spec.name)
    assert namespace[hook].graftlm_impl


def _with(*specs: Spec) -> Registry:
    """The registry, and one more plugin."""
    return Registry([*registry().plugins, Plugin("more", "graftlm-more", "1.0", specs)])


def test_a_backend_of_another_environment_is_not_run_in_this_one(home: Path, alpaca: Path) -> None:
    from graftlm.api import Backend, Environment
    from graftlm.contracts.config import RunConfig
    from graftlm.planning.resolve import resolve

    apart = Backend(
        name="apart", summary="elsewhere", target="x:Y", environment=Environment(name="apart", requirements=("apart",))
    )
    plan = resolve(RunConfig(data=str(alpaca), model="tiny-falcon", backend="apart"), _with(apart))
    assert any("graftlm envs create apart" in problem for problem in plan.problems)


def test_a_preset_s_own_requirements_count(home: Path, alpaca: Path) -> None:
    from graftlm.api import BackendPreset, Requirement
    from graftlm.contracts.config import RunConfig
    from graftlm.planning.resolve import resolve

    preset = BackendPreset(
        name="quick",
        summary="quick",
        backend="peft",
        accelerators=("sdpa",),
        requires=(Requirement(distribution="nothing"),),
    )
    plan = resolve(RunConfig(data=str(alpaca), model="tiny-falcon", backend="quick"), _with(preset))
    assert any("needs nothing, which is not installed" in problem for problem in plan.problems)


def test_two_attentions_exclude_each_other(home: Path, alpaca: Path) -> None:
    from graftlm.contracts.config import RunConfig
    from graftlm.planning.resolve import resolve

    plan = resolve(RunConfig(data=str(alpaca), model="tiny-falcon", accelerator="sdpa+eager"), registry())
    assert any("sdpa and eager both claim 'attention'" in problem for problem in plan.problems)


def test_a_patch_at_no_known_stage_is_a_broken_plugin() -> None:
    from types import ModuleType

    from graftlm.api import Accelerator, hookimpl
    from graftlm_registry.discovery import _checked, _manager

    module = ModuleType("late")

    def graftlm_accelerators() -> list[Accelerator]:
        return [Accelerator(name="late", summary="late", claims=(), patches={"stepp": "x:y"})]  # type: ignore[dict-item]

    graftlm_accelerators.__module__ = "late"
    module.graftlm_accelerators = hookimpl(graftlm_accelerators)  # type: ignore[attr-defined]
    assert "patches at stepp; stages are import, load" in _checked(_manager(), module, "late", "d", "1").problem


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"name": "../store"}, "environment name '../store' is not"), ({"python": "3.11"}, "python '3.11' is no range")],
)
def test_an_environment_that_could_not_be_made_is_its_plugin_s_fault(wrong: dict[str, str], said: str) -> None:
    """A name is a folder's name, whose content is removed when it is made anew."""
    from types import ModuleType

    from graftlm_registry.discovery import _checked, _manager

    module = ModuleType("stranger")

    @api.hookimpl
    def graftlm_backends() -> Any:
        given: dict[str, Any] = {"name": "apart", "requirements": ("apart",), **wrong}
        yield api.Backend(name="apart", summary="s", target="x:Y", environment=api.Environment(**given))

    module.graftlm_backends = graftlm_backends  # type: ignore[attr-defined]
    assert said in _checked(_manager(), module, "stranger", "stranger", "1").problem


def test_an_accelerator_s_claims_are_shown(run: Run) -> None:
    """Who writes another one must know by which name a part of the model goes."""
    said = run("plugins", "show", "accelerator/liger").out
    assert "claims      norm, mlp, rotary" in said
