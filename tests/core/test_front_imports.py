"""The front starts in a blink: no command of it imports a heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "numpy",
    "pydantic",
    "rich",
    "huggingface_hub",
)
REPORT = f"""
import json, sys
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print("\\n" + json.dumps(loaded), file=sys.stderr)
"""
COMMAND = """
import sys
from graftlm.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
assert code == 0, code
"""


def loaded_by(program: str, *arguments: str | Path) -> tuple[list[str], str]:
    """Heavy libraries that a program left in ``sys.modules``, and what it printed."""
    command = [sys.executable, "-c", program + REPORT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stderr.splitlines()[-1])
    return loaded, done.stdout


def probes(home: Path) -> list[tuple[str, int]]:
    return [(p.name, p.stat().st_mtime_ns) for p in (home / "probes").iterdir()]


@pytest.mark.parametrize(
    ("arguments", "prints"),
    [
        (("--help",), "train"),
        (("--version",), "graftlm"),
        (("train", "--help"), "--learning-rate"),
        (("plan", "--help"), "--learning-rate"),
        (("generate", "--help"), "--max-new-tokens"),
        (("plugins", "list"), "lora"),
        (("plugins", "list", "--json"), '"lora"'),
        (("plugins", "show", "backend/peft"), "transformers"),
        (("adapters", "list"), "no adapters yet"),
        (("runs", "list"), "no runs yet"),
        (("runs", "--help"), "resume"),
        (("models", "list"), "tiny-mistral"),
        (("models", "list", "--fits", "16GB"), "qwen2.5-0.5b"),
        (("models", "show", "tiny-mistral"), "capitals"),
        (("models", "show", "shape:mistral-7b", "--json"), '"mistral"'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_commands(arguments: tuple[str, ...], prints: str, home: Path) -> None:
    loaded, out = loaded_by(COMMAND, *arguments)
    assert loaded == []
    assert prints in out


def test_a_detached_supervisor_has_no_torch() -> None:
    loaded, _ = loaded_by("import graftlm.running.detached, graftlm.running.supervise, graftlm.running.resuming")
    assert loaded == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("adapters", "list"),
        ("adapters", "list", "--json", "--tag", "best"),
        ("adapters", "show", "skill@best"),
        ("adapters", "log", "skill"),
        ("adapters", "path", "skill"),
        ("adapters", "note", "skill", "good"),
        ("adapters", "rm", "skill@1", "--yes"),
        ("store", "verify"),
        ("store", "gc"),
        ("store", "info"),
    ],
    ids=" ".join,
)
def test_commands_of_the_store(arguments: tuple[str, ...], home: Path) -> None:
    from kept_adapters import publish

    from graftlm_registry.adapters import open_store

    for run in ("run-1", "run-2"):
        publish(open_store(), run=run)
    open_store().tag("skill@2", "best")
    loaded, _ = loaded_by(COMMAND, *arguments)
    assert loaded == []


@pytest.mark.parametrize("more", [(), ("--json",), ("--set", "method.use_rslora=true")], ids=["table", "json", "set"])
def test_a_plan(more: tuple[str, ...], home: Path, alpaca: Path) -> None:
    """On real data and a real model; the machine was probed before."""
    known = probes(home)
    loaded, out = loaded_by(COMMAND, "plan", alpaca, "--model", "tiny-mistral", *more)
    assert loaded == []
    assert "tiny-mistral" in out
    assert probes(home) == known


def test_a_plan_of_a_yaml_file(home: Path, alpaca: Path) -> None:
    path = alpaca.parent / "run.yaml"
    path.write_text(f"data: {alpaca.name}\nmodel: shape:mistral-7b\n", encoding="utf-8")
    loaded, out = loaded_by(COMMAND, "plan", "--config", path)
    assert loaded == []
    assert "learning rate" in out


def test_a_refusal(home: Path) -> None:
    loaded, _ = loaded_by(
        COMMAND.replace("code == 0", "code == 2"), "train", "nowhere.jsonl", "--model", "tiny-mistral"
    )
    assert loaded == []


API = """
import inspect, sys
import graftlm
data = sys.argv[1]
first = graftlm.plan(data=data, model="tiny-mistral")
second = graftlm.plan(data=data, model="tiny-mistral")
assert first == second and first.hash == second.hash
import graftlm.cli.plan, graftlm.cli.train, graftlm.cli.generate, graftlm.planning, graftlm.running.train
for name in ("plan", "train", "generate"):
    assert inspect.isfunction(getattr(graftlm, name)), (name, getattr(graftlm, name))
    assert f"graftlm.{name}" not in sys.modules, name
    assert name in graftlm.__all__
assert graftlm.plan(data=data, model="tiny-mistral") == first
print(first.hash)
"""


def test_the_python_api(home: Path, alpaca: Path) -> None:
    """Planning twice works, nothing heavy is imported, and no module shadows a function."""
    known = probes(home)
    loaded, out = loaded_by(API, alpaca)
    assert loaded == []
    assert len(out.strip()) == 64
    assert probes(home) == known


def test_importing_graftlm_imports_next_to_nothing(home: Path) -> None:
    loaded, out = loaded_by("import sys, graftlm\nprint([m for m in ('click', 'yaml', 'msgspec') if m in sys.modules])")
    assert loaded == []
    assert out.strip() == "[]"


def test_no_module_bears_the_name_of_a_function() -> None:
    import graftlm

    names = set(graftlm.__all__) - {"__version__"}
    root = Path(graftlm.__file__).parent
    assert names.isdisjoint(p.stem for p in root.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file())
    with pytest.raises(AttributeError, match="no attribute 'plann'"):
        graftlm.plann  # noqa: B018
