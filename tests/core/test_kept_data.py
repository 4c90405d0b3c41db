"""What a plan and a run keep of data and templates is found again only where nothing that made it has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import graftlm_registry
from graftlm.api import Conversation, DataError, DataFormat, Message, PromptTemplate, RenderOptions, Span
from graftlm.contracts.config import RunConfig
from graftlm.planning import fingerprints
from graftlm.planning.resolve import resolve
from graftlm.running.rows import encode_rows, lay_out_rows
from graftlm.testing.in_process import start_in_process
from graftlm_registry.discovery import Plugin
from graftlm_registry.plugins import Registry, registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"


class Counting:
    """A worker in this process that counts its jobs."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def __call__(self, job: str, run: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        self.jobs.append(job)
        return start_in_process(job, run, on_event)


def prepared(run: Path, known: Registry | None = None, **said: Any) -> list[str]:
    """Lay out and encode the rows of a plan; the jobs that it took."""
    config = RunConfig(**{"model": "tiny-mistral", "retention": False, **said})
    start = Counting()
    plan = resolve(config, known or registry())
    run.mkdir()
    lay_out_rows(plan, known or registry(), run)
    encode_rows(plan, run, lambda event: None, start)
    return start.jobs


def model_with(folder: Path, chat_template: str) -> Path:
    shutil.copytree(BUILTIN / "tiny-mistral", folder)
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    return folder


def test_the_same_data_is_encoded_once(home: Path, alpaca: Path, tmp_path: Path) -> None:
    assert prepared(tmp_path / "a", data=str(alpaca)) == ["encode"]
    assert prepared(tmp_path / "b", data=str(alpaca)) == []
    assert prepared(tmp_path / "c", data=str(alpaca), max_length=100) == ["encode"]
    same = [(tmp_path / run / "encoded" / "train.safetensors").read_bytes() for run in "ab"]
    assert same[0] == same[1]


def test_two_templates_that_differ_in_their_tools_alone_share_nothing(home: Path, alpaca: Path, tmp_path: Path) -> None:
    plain = (BUILTIN / "tiny-mistral" / "chat_template.jinja").read_text(encoding="utf-8")
    folders = [model_with(tmp_path / n, f"{{%- if tools %}}{{{{ '{n}' }}}}{{% endif -%}}{plain}") for n in "xy"]
    for folder in folders:
        assert prepared(tmp_path / f"run-{folder.name}", data=str(alpaca), model=str(folder), template="model") == [
            "encode"
        ]


def test_any_small_file_changes_the_plan(home: Path, alpaca: Path, tmp_path: Path) -> None:
    folder = model_with(tmp_path / "m", (BUILTIN / "tiny-mistral" / "chat_template.jinja").read_text(encoding="utf-8"))
    config = RunConfig(data=str(alpaca), model=str(folder))
    seen = {resolve(config, registry()).hash}
    for name in ("special_tokens_map.json", "chat_template.json"):
        (folder / name).write_text("{}", encoding="utf-8")
        seen.add(resolve(config, registry()).hash)
    assert len(seen) == 3


def test_a_damaged_survey_is_made_anew(home: Path, alpaca: Path) -> None:
    config = RunConfig(data=str(alpaca), model="tiny-mistral")
    before = resolve(config, registry())
    kept = home / "cache" / "data" / before.data.key / "survey.json"
    for damage in (b"", kept.read_bytes()[:20]):
        kept.write_bytes(damage)
        assert resolve(config, registry()) == before


def test_equal_files_in_two_folders_keep_their_own_places(home: Path, alpaca: Path, tmp_path: Path) -> None:
    plans = []
    for name in ("pa", "pb"):
        (tmp_path / name).mkdir()
        shutil.copy(alpaca, tmp_path / name / "d.jsonl")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path / name)
            plans.append(resolve(RunConfig(data="d.jsonl", model="tiny-mistral"), registry()))
    assert [Path(plan.data.splits[0].path).parent.name for plan in plans] == ["pa", "pb"]
    assert plans[0].hash == plans[1].hash


def test_half_of_the_rows_is_none(home: Path, alpaca: Path, tmp_path: Path) -> None:
    """A removal that was cut short leaves nothing that a run would take for whole."""
    prepared(tmp_path / "a", data=str(alpaca))
    next((home / "cache" / "data").glob("*/rows/train.jsonl")).unlink()
    for folder in (home / "cache" / "encoded").iterdir():
        (folder / "rows.safetensors").unlink()
    assert prepared(tmp_path / "b", data=str(alpaca)) == ["encode"]
    assert (tmp_path / "b" / "data" / "train.jsonl").is_file()


def test_a_strangers_code_is_part_of_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "graftlm_odd"
    package.mkdir()
    (package / "__init__.py").write_text("def parse(record): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    odd = importlib.import_module("graftlm_odd")
    spec = DataFormat(name="odd", summary="odd", recognises=lambda record: False, parse=odd.parse)
    before = fingerprints.strangers_code(spec)
    (package / "more.py").write_text("x = 1\n", encoding="utf-8")
    assert before
    assert fingerprints.strangers_code(spec) != before
    assert fingerprints.strangers_code(registry().get(DataFormat, "alpaca")) == ""


def test_a_strangers_template_that_fails_stops_no_plan_of_others(home: Path, alpaca: Path, tmp_path: Path) -> None:
    def broken(conversation: Conversation, options: RenderOptions) -> list[Span]:
        raise KeyError("system")

    spec = PromptTemplate(name="broken", summary="broken", render=broken, control_tokens=(), end_token="</s>")
    known = Registry([*registry().plugins, Plugin("odd", "graftlm-odd", "1", (spec,))])
    jinja = "{{ bos_token }}{% for m in messages %}{{ m.role + '> ' + m.content + eos_token }}{% endfor %}"
    folder = model_with(tmp_path / "m", jinja)
    plan = resolve(RunConfig(data=str(alpaca), model=str(folder)), known)
    assert plan.template.own == "other"
    assert any("renders otherwise" in problem for problem in plan.problems)


def test_rows_that_name_no_capability_have_a_name_of_their_own(home: Path, tmp_path: Path) -> None:
    rows = [{"input": f"q {i}", "output": "a"} | ({"capability": "sums"} if i % 2 else {}) for i in range(200)]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    plan = resolve(RunConfig(data=str(path), model="tiny-mistral", retention=False), registry())
    assert {e.name for e in plan.evaluations} == {"sums", "other rows"}
    assert sum(e.rows for e in plan.evaluations) == plan.data.splits[-1].rows


def test_too_many_capabilities_are_a_sentence(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rows = ({"input": f"q {i}", "output": "a", "capability": f"c{i}"} for i in range(2000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"name \d+ capabilities, and at most 100"):
        resolve(RunConfig(data=str(path), model="tiny-mistral"), registry())


def test_a_long_text_is_scored_in_samples() -> None:
    """Not as one sequence that is longer than the model's positions."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    from graftlm.contracts.plan import EncodingPlan
    from graftlm.encoding.tokenizing import SpanTokenizer
    from graftlm.worker.asking import Asked, Asking

    folder = BUILTIN / "tiny-mistral"
    model = AutoModelForCausalLM.from_pretrained(folder)
    seen: list[int] = []
    model.register_forward_pre_hook(lambda m, a, k: seen.append(k["input_ids"].shape[1]), with_kwargs=True)
    text = Conversation((Message("document", " ".join(f"w{i}" for i in range(900))),), "d.txt:1")
    tokenizer, template = SpanTokenizer.from_folder(folder), registry().get(PromptTemplate, "mistral-v3")
    asked = Asked(model, "cpu", template, tokenizer, EncodingPlan(max_length=128), {}, lambda: None)
    context = Asking(asked, [text])
    ((loss, tokens),) = context.answer_losses()
    whole = tokenizer.encode([Span("<s>", "control"), Span(text.messages[0].content, "content", True, True)])
    assert max(seen) == 128
    assert tokens == len(whole.ids)  # all but the first are predicted, and so is the end
    assert torch.isfinite(torch.tensor(loss))


DATED = "{{ strftime_now('%Y-%m-%d') }}"


def test_a_template_with_the_date_is_the_same_one_tomorrow(
    home: Path, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash is; its text is not, so that yesterday's encoding is not taken for today's."""
    import datetime

    from graftlm.chat_templates import own
    from graftlm.planning import prompting

    plain = (BUILTIN / "tiny-mistral" / "chat_template.jinja").read_text(encoding="utf-8")
    folder = model_with(tmp_path / "dated", plain.replace("{{- '[INST] '", f"{DATED}{{{{- '[INST] '", 1))
    config = RunConfig(data=str(alpaca), model=str(folder), template="model")
    plans = []
    for day in (1, 2):

        class Day(datetime.date):
            @classmethod
            def today(cls, day: int = day) -> datetime.date:
                return datetime.date(2026, 1, day)

        for module in (own, prompting):
            monkeypatch.setattr(module, "date", Day)
        plans.append(resolve(config, registry()))
    assert plans[0].template.hash == plans[1].template.hash
    assert [plan.template.today for plan in plans] == ["2026-01-01", "2026-01-02"]
    assert plans[0].hash != plans[1].hash
