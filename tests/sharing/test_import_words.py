"""What ``adapters import`` and ``pull`` say of another base, of one that does not fit, and of what is here already."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from shared_adapters import CONFIG
from test_import import BASE, imported, made_by_trl, plain_peft, without_effect
from whole_records import kept

from graftlm.cli.adapters.import_ import import_ as import_command
from graftlm.cli.adapters.pull import pull as pull_command
from graftlm.cli.adapters.push import push as push_command
from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.sharing.base import unfit
from graftlm.sharing.export import export
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import registry


def named(folder: Path, base: str) -> Path:
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize("base", ["m" * 300, "~nobodyxyz/m"])
@pytest.mark.parametrize("asked", [False, True])
def test_an_odd_base_is_one_sentence(home: Path, tmp_path: Path, base: str, asked: bool) -> None:
    folder = named(made_by_trl(tmp_path), BASE if asked else base)
    with pytest.raises(UsageError, match=r"names the base .*, which is no model: give it with --base$") as caught:
        imported(folder, base=base if asked else "")
    assert len(str(caught.value)) < 200
    assert "--base names" in str(caught.value) or not asked


def test_another_base_than_the_configuration_names_is_noted(home: Path, tmp_path: Path) -> None:
    folder = plain_peft(tmp_path / "made")
    same = imported(folder, base=BASE, name="same")  # its configuration names the folder of that model
    assert not any("its configuration names" in note for note in same.notes)
    done = imported(named(folder, "owner/other"), base=BASE, name="other")
    assert done.notes[-1] == f"its configuration names owner/other, and you asked for {BASE}"


def test_what_does_not_fit_is_for_the_user_to_mend(home: Path, tmp_path: Path) -> None:
    folder = plain_peft(tmp_path / "made")
    with pytest.raises(UsageError, match=r"^it does not fit small-qwen: ") as caught:
        imported(folder, base="small-qwen", name="m")
    assert caught.value.exit_code == 2
    print(caught.value)
    with pytest.raises(UsageError, match=r"^the adapter changes nothing"):
        imported(without_effect(folder), base=BASE, name="m")
    assert open_store().names() == []
    died = RunError("the worker died (SIGKILL, perhaps out of memory). ")
    which: Any = ModelDescription
    assert unfit(died, which) is died


def test_its_own_export_is_not_noted_and_what_is_here_already_is_said(home: Path, tmp_path: Path) -> None:
    kept()
    kept(seed=1)
    export("skill@2", tmp_path / "out", registry())
    export("skill@2", tmp_path / "out.tar.gz", registry(), archive=True)
    assert CliRunner().invoke(push_command, ["skill@2", str(tmp_path / "share")]).exit_code == 0
    sources = [tmp_path / "out", tmp_path / "out.tar.gz", tmp_path / "share" / "skill" / "2"]
    for number, source in enumerate(sources):
        done = CliRunner().invoke(import_command, [str(source)])
        assert done.exit_code == 0, done.output
        assert done.stderr == ""
        assert "it is here already as skill@2: lora on tiny-mistral" in done.stdout
        done = CliRunner().invoke(import_command, [str(source), "--name", f"new{number}"])
        assert re.match(rf"kept as new{number}@1: ", done.stdout)
    (tmp_path / "out" / "strange.txt").write_text("x", encoding="utf-8")
    assert (
        "note: left aside: README.md, strange.txt" in CliRunner().invoke(import_command, [str(tmp_path / "out")]).stderr
    )


def test_pull_tells_the_number_that_it_has_here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept()
    kept(seed=1, config=CONFIG)
    CliRunner().invoke(push_command, ["skill@2", str(tmp_path / "share")])

    def pulled() -> Any:
        return CliRunner().invoke(pull_command, [str(tmp_path / "share" / "skill")]).stdout

    assert "it is here already as skill@2, for tiny-mistral" in pulled()
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "elsewhere"))
    assert "kept as skill@1 (it is version 2 there), for tiny-mistral" in pulled()
    assert "it is here already as skill@1 (it is version 2 there), for tiny-mistral" in pulled()


def test_the_command_leaves_with_2(home: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
    folder = plain_peft(tmp_path / "made")
    done = run("adapters", "import", folder, "--base", "small-qwen")
    assert done.code == 2
    assert "it does not fit small-qwen: " in done.err.replace("\n", " ")
    assert "/staging/" not in done.err
