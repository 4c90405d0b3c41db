"""Distributions of strangers: a real one that works, and broken ones that must not stop anything else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent.parent
TOKENIZER = TESTS.parent / "registry" / "graftlm_registry" / "builtin" / "tiny-mistral" / "tokenizer.json"
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip built and installed ``tests/plugin_pkg``."""
    folder = tmp_path_factory.mktemp("acme")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", folder, TESTS / "plugin_pkg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def olmo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of an architecture that no built-in family claims."""
    import torch
    from tokenizers import Tokenizer
    from transformers import Olmo2Config, Olmo2ForCausalLM

    folder = tmp_path_factory.mktemp("models") / "acme-tiny"
    torch.manual_seed(0)
    config = Olmo2Config(
        vocab_size=Tokenizer.from_file(str(TOKENIZER)).get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
    )
    Olmo2ForCausalLM(config).save_pretrained(folder)
    shutil.copy(TOKENIZER, folder)
    return folder


@pytest.fixture
def installed(acme: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """acme, importable in this process."""
    monkeypatch.syspath_prepend(acme)  # invalidates importlib.metadata's caches too
    yield acme
    sys.modules.pop("graftlm_acme", None)


def graftlm(*arguments: str | Path, path: tuple[Path, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with folders of strangers on its path."""
    command = [sys.executable, "-c", "from graftlm.cli import main; main()", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "GRAFTLM_PLUGINS"}
    environment |= {"PYTHONPATH": os.pathsep.join([*map(str, path), environment.get("PYTHONPATH", "")]), **variables}
    environment |= {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def write_distribution(folder: Path, source: str, *, name: str = "stranger", group: str = "graftlm.v1") -> Path:
    """A distribution as an installer leaves it: a module, and metadata that point at it."""
    folder.mkdir(exist_ok=True)
    module = f"graftlm_{name}"
    (folder / f"{module}.py").write_text("from graftlm.api import *\n" + dedent(source), encoding="utf-8")
    metadata = folder / f"{module}-0.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: graftlm-{name}\nVersion: 0.5\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
    return folder


def template(name: str) -> str:
    """The source of a plugin whose one template has this name."""
    return f"""
    @hookimpl
    def graftlm_prompt_templates():
        yield PromptTemplate(name={name!r}, summary="plain", control_tokens=("</s>",), end_token="</s>",
            render=lambda conversation, options: [content(m.content) for m in conversation.messages])
    """


def listed(said: str) -> list[tuple[str, str, str]]:
    """(kind, name, distribution) of ``plugins list --json``."""
    return [(p["kind"], p["name"], p["from"]) for p in json.loads(said)["plugins"]]


@pytest.fixture(scope="session")
def built_in() -> list[tuple[str, str, str]]:
    """What is listed without strangers."""
    done = graftlm("plugins", "list", "--json", GRAFTLM_PLUGINS="none")
    assert done.returncode == 0, done.stderr
    return listed(done.stdout)


ACME = [("backend", "acme-fast"), ("family", "acme"), ("template", "acme-chat")]


# A distribution that works


def test_list_shows_what_a_stranger_contributes(acme: Path) -> None:
    done = graftlm("plugins", "list", path=(acme,))
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    for kind, name in ACME:
        assert [kind, name, "graftlm-acme"] in [row[:3] for row in rows]


def test_show_names_distribution_and_version(installed: Path, run: Run) -> None:
    said = run("plugins", "show", "acme-fast")
    assert said.code == 0
    assert "graftlm-acme 1.2.0 (acme)" in said.out


def test_alias_of_one_kind_and_name_of_another(installed: Path, run: Run) -> None:
    """One word for two kinds is fine where the kind is said, and where a flag says it."""
    said = run("plugins", "show", "acme")
    assert said.code == 2
    assert "family/acme" in said.err
    assert "template/acme" in said.err
    assert "acme-chat" in run("plugins", "show", "template/acme").out


def test_a_strangers_model_trains(acme: Path, olmo: Path, alpaca: Path, home: Path) -> None:
    """Front and worker, each in its own process, both find the plugin; family and template are detected."""
    flags = (
        "--backend",
        "acme-fast",
        "--max-steps",
        "2",
        "--learning-rate",
        "1e-3",
        "--batch-size",
        "4",
        "--rank",
        "4",
    )
    where = (acme,)
    done = graftlm("train", alpaca, "--model", olmo, "--name", "skill", *flags, "--device", "cpu", path=where)
    assert done.returncode == 0, done.stderr + done.stdout
    shown = graftlm("adapters", "show", "skill", "--json", path=where)
    record = json.loads(shown.stdout)
    assert record["base"]["family"] == "acme"
    assert record["base"]["model_type"] == "olmo2"
    assert record["template"] == "acme-chat"
    assert record["effective"]["attention"] == "eager"
    assert record["effective"]["adapted_modules"] == dict.fromkeys(
        ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"), 2
    )
    assert record["proof"]["effect"] > 0
    answered = graftlm("generate", "skill", "Name the colour.", path=where)
    assert answered.returncode == 0, answered.stderr
    without = graftlm("generate", "skill", "Name the colour.")
    assert without.returncode == 2
    assert "unknown template 'acme-chat'" in without.stderr


def test_preset_is_a_name_for_a_combination(installed: Path, olmo: Path, alpaca: Path, run: Run) -> None:
    asked = ("plan", alpaca, "--model", olmo, "--json")
    preset = json.loads(run(*asked, "--backend", "acme-fast").out)
    spelt = json.loads(run(*asked, "--backend", "peft", "--accelerator", "eager").out)
    default = json.loads(run(*asked).out)
    assert preset["hash"] == spelt["hash"] != default["hash"]
    why = {part["name"]: part["why"] for part in preset["parts"]}
    assert why["peft"] == why["eager"] == "preset acme-fast"


def test_a_hook_under_a_function_name_of_its_own(tmp_path: Path) -> None:
    """pluggy's ``specname``."""
    source = template("ours").replace("@hookimpl", "@hookimpl(specname='graftlm_prompt_templates')")
    source = source.replace("def graftlm_prompt_templates", "def our_templates")
    done = graftlm("plugins", "list", "--json", path=(write_distribution(tmp_path / "strangers", source),))
    assert json.loads(done.stdout)["broken"] == []
    assert ("template", "ours", "graftlm-stranger") in listed(done.stdout)


def test_a_strangers_model_needs_the_stranger(olmo: Path, alpaca: Path, run: Run) -> None:
    said = run("plan", alpaca, "--model", olmo)
    assert said.code == 2
    assert "olmo2" in said.err
    assert "a plugin can add a family" in said.err


@pytest.mark.parametrize(("allowed", "loads"), [("none", False), ("", False), ("other", False), ("acme", True)])
def test_graftlm_plugins_says_who_may_load(allowed: str, loads: bool, acme: Path, built_in: Any) -> None:
    done = graftlm("plugins", "list", "--json", path=(acme,), GRAFTLM_PLUGINS=allowed)
    assert done.returncode == 0
    strangers = sorted(p[:2] for p in listed(done.stdout) if p not in built_in)
    assert strangers == (ACME if loads else [])


def traced(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)}


def test_a_trace_says_who_was_loaded_from_where_and_who_was_not(acme: Path, tmp_path: Path) -> None:
    later = write_distribution(tmp_path / "later", "raise SystemExit('imported')", name="later", group="graftlm.v2")
    found = traced(graftlm("plugins", "list", "--trace", "--json", path=(acme, later)))
    assert found["acme"]["place"] == str(acme / "graftlm_acme" / "__init__.py")
    assert (found["acme"]["version"], sorted(found["acme"]["gives"])) == ("1.2.0", [f"{k}/{n}" for k, n in ACME])
    assert 0 < found["acme"]["milliseconds"] < 60_000
    assert found["later"]["problem"].startswith("made for graftlm.v2, and this graftlm has graftlm.v1")
    assert found["backends.peft"]["gives"] == ["backend/peft"]
    shut = traced(graftlm("plugins", "list", "--trace", "--json", path=(acme,), GRAFTLM_PLUGINS="none"))
    assert (shut["acme"]["left_out_by"], shut["acme"]["gives"]) == ("GRAFTLM_PLUGINS", [])
    table = graftlm("plugins", "list", "--trace", path=(acme, later)).stdout
    assert re.search(r"acme +graftlm-acme 1\.2\.0 +[\d.]+ ms +.*family/acme.* /", table)
    assert re.search(r"later +graftlm-later 0\.5 +not loaded: made for graftlm\.v2", table)


@pytest.mark.parametrize("flags", [("--no-plugin", "acme"), ("--no-plugin=acme",)])
@pytest.mark.parametrize("first", [True, False])
def test_a_plugin_is_left_out_by_a_flag_wherever_it_stands(
    flags: tuple[str, ...], first: bool, acme: Path, built_in: Any
) -> None:
    asked = ("plugins", "list", "--json")
    done = graftlm(*((*flags, *asked) if first else (*asked, *flags)), path=(acme,))
    assert (done.returncode, listed(done.stdout)) == (0, built_in)


def test_a_built_in_plugin_can_be_left_out_too(installed: Path, run: Run) -> None:
    before = dict(os.environ)
    found = json.loads(run("plugins", "list", "--json", "--no-plugin", "templates.qwen").out)["plugins"]
    assert "qwen3" not in [plugin["name"] for plugin in found]
    assert dict(os.environ) == before, "it was of that call alone"
    wrong = run("plugins", "list", "--no-plugin", "tempates.qwen")
    assert (wrong.code, "Did you mean 'templates.qwen'?" in wrong.err) == (2, True)


def test_what_is_left_out_is_not_imported_and_its_workers_do_not_either(
    tmp_path: Path, alpaca: Path, home: Path
) -> None:
    bad = write_distribution(tmp_path / "bad", f"open({str(tmp_path / 'imported')!r}, 'w')\n" + dedent(template("bad")))
    asked = ("train", alpaca, "--model", "tiny-falcon", "--max-steps", "1", "--no-retention", "--no-plugin", "stranger")
    done = graftlm(*asked, path=(bad,))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


# Broken ones: each stands beside acme and everything built in, which must not notice

BROKEN = {
    "raises at import": ("raise RuntimeError('out of paint')", "RuntimeError: out of paint"),
    "exits at import": ("raise SystemExit('goodbye')", "SystemExit: goodbye"),
    "is no Python": ("def (", "SyntaxError"),
    "imports what is not there": ("import graftlm_nowhere", "No module named 'graftlm_nowhere'"),
    "misspells a hook": (
        "@hookimpl\ndef graftlm_prompt_template():\n    return []",
        "there is no hook graftlm_prompt_template; did you mean graftlm_prompt_templates?",
    ),
    "takes an argument that no hook has": ("@hookimpl\ndef graftlm_backends(colour):\n    return []", "colour"),
    "has a hook that raises": ("@hookimpl\ndef graftlm_backends():\n    raise KeyError('red')", "KeyError: 'red'"),
    "has a hook that exits": ("@hookimpl\ndef graftlm_backends():\n    raise SystemExit(3)", "SystemExit: 3"),
    "returns something else": ("@hookimpl\ndef graftlm_backends():\n    return ['peft']", "must give backend specs"),
    "returns a number": ("@hookimpl\ndef graftlm_backends():\n    return 7", "'int' object is not iterable"),
    "returns a spec of another kind": (
        "@hookimpl\ndef graftlm_backends():\n    yield Accelerator(name='fast', summary='s', claims=(), patches={})",
        "graftlm_backends must give backend specs",
    ),
    "returns a spec that lacks a field": (
        "@hookimpl\ndef graftlm_backends():\n    yield Backend(name='fast', summary='s')",
        "target",
    ),
    "contributes nothing": ("def graftlm_backends():\n    return []", "no function with @hookimpl?"),
    "has an invalid name": (template("Shouting Name"), "template name 'Shouting Name' is not lower-case"),
    "has a path for a name": (template("../up"), "template name '../up' is not lower-case"),
    "is one good spec and a bad one": (template("kept") + template("Bad"), "template name 'Bad' is not lower-case"),
}


def _distribution(tmp_path: Path, source: str, **more: str) -> Path:
    return write_distribution(tmp_path / "strangers", source, **more)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_and_stops_nothing(case: str, tmp_path: Path, acme: Path, built_in: Any) -> None:
    source, reason = BROKEN[case]
    broken = _distribution(tmp_path, source)
    done = graftlm("plugins", "list", "--json", path=(broken, acme))
    assert done.returncode == 0, done.stderr
    found = listed(done.stdout)
    assert sorted(p[:2] for p in found if p[2] == "graftlm-acme") == ACME
    assert [p for p in found if p[2] != "graftlm-acme"] == built_in
    (report,) = json.loads(done.stdout)["broken"]
    assert (report["name"], report["from"]) == ("stranger", "graftlm-stranger")
    assert reason in report["problem"]


def test_the_report_goes_to_people_too(tmp_path: Path) -> None:
    done = graftlm("plugins", "list", path=(_distribution(tmp_path, "raise RuntimeError('out of paint')"),))
    assert done.returncode == 0
    assert "mistral-v3" in done.stdout
    assert "not loaded: stranger of graftlm-stranger: " in done.stderr
    assert "RuntimeError: out of paint" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_entry_point_to_nothing(tmp_path: Path, built_in: Any) -> None:
    """The metadata of a distribution whose module is gone."""
    broken = _distribution(tmp_path, "")
    (broken / "graftlm_stranger.py").unlink()
    done = graftlm("plugins", "list", "--json", path=(broken,))
    assert done.returncode == 0
    assert listed(done.stdout) == built_in
    assert "No module named 'graftlm_stranger'" in json.loads(done.stdout)["broken"][0]["problem"]


def test_who_asks_for_what_a_broken_plugin_had_is_told(tmp_path: Path, alpaca: Path, home: Path) -> None:
    """The reason stands where the plugin is missed, and not in runs that do without it."""
    broken = _distribution(tmp_path, "raise RuntimeError('out of paint')")
    asked = ("plan", alpaca, "--model", "tiny-mistral")
    missed = graftlm(*asked, "--template", "stranger-chat", path=(broken,))
    assert missed.returncode == 2
    assert "unknown template 'stranger-chat'" in missed.stderr
    assert "plugin stranger of graftlm-stranger is not loaded" in missed.stderr
    assert "out of paint" in missed.stderr
    assert "Traceback" not in missed.stderr
    unmoved = graftlm(*asked, path=(broken,))
    assert (unmoved.returncode, unmoved.stderr) == (0, "")


@pytest.mark.parametrize("group", ["graftlm.v1", "graftlm.v2"])
def test_another_major_is_named_and_never_imported(group: str, tmp_path: Path, built_in: Any) -> None:
    """The canary sings under graftlm.v1, so its silence under graftlm.v2 says something."""
    canary = tmp_path / "canary"
    source = f"import pathlib\npathlib.Path({str(canary)!r}).touch()"
    stranger = _distribution(tmp_path, source, group=group)
    done = graftlm("plugins", "list", "--json", path=(stranger,))
    assert done.returncode == 0
    assert listed(done.stdout) == built_in
    (report,) = json.loads(done.stdout)["broken"]
    assert canary.exists() == (group == "graftlm.v1")
    if group == "graftlm.v2":
        assert "made for graftlm.v2, and this graftlm has graftlm.v1" in report["problem"]


def test_a_name_that_is_taken_is_an_error_where_it_is_chosen(tmp_path: Path, alpaca: Path, home: Path) -> None:
    stranger = (_distribution(tmp_path, template("qwen3")),)
    assert graftlm("plugins", "list", path=stranger).returncode == 0
    asked = ("plan", alpaca, "--model", "tiny-mistral")
    assert graftlm(*asked, path=stranger).returncode == 0
    chosen = graftlm(*asked, "--template", "qwen3", path=stranger)
    assert chosen.returncode == 2
    for word in ("graftlm (templates.qwen)", "graftlm-stranger (stranger)", "GRAFTLM_PLUGINS"):
        assert word in chosen.stderr
    alone = graftlm(*asked, "--template", "qwen3", path=stranger, GRAFTLM_PLUGINS="none")
    assert "is provided by" not in alone.stderr


def test_an_alias_that_is_taken_counts_as_a_name(tmp_path: Path, alpaca: Path, home: Path) -> None:
    source = template("ours").replace('summary="plain"', 'summary="plain", aliases=("qwen3",)')
    chosen = graftlm(
        "plan", alpaca, "--model", "tiny-mistral", "--template", "qwen3", path=(_distribution(tmp_path, source),)
    )
    assert chosen.returncode == 2
    assert "graftlm-stranger (stranger)" in chosen.stderr


def test_two_strangers_with_one_name(tmp_path: Path, alpaca: Path, home: Path) -> None:
    """The line names both, and GRAFTLM_PLUGINS chooses between them."""
    folder = _distribution(tmp_path, template("ours"))
    write_distribution(folder, template("ours"), name="other")
    asked = ("plugins", "show", "template/ours")
    both = graftlm(*asked, path=(folder,))
    assert both.returncode == 2
    assert "graftlm-other (other) and graftlm-stranger (stranger)" in both.stderr
    one = graftlm(*asked, path=(folder,), GRAFTLM_PLUGINS="other")
    assert one.returncode == 0
    assert "graftlm-other 0.5 (other)" in one.stdout
