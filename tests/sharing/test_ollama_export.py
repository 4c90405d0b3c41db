"""``export --as ollama``: a TEMPLATE that writes what the adapter was trained with, or a refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kept_adapters import draft
from shared_adapters import CONFIG
from whole_records import kept

from graftlm.chat_templates.binding import bound
from graftlm.chat_templates.own import OwnTemplate
from graftlm.cli.adapters.export import export as command
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import UsageError
from graftlm.contracts.load import LoadPlan, RopePlan
from graftlm.contracts.specs import PromptTemplate
from graftlm.sharing import go_template
from graftlm.sharing.export import export
from graftlm.sharing.ollama_template import CHECKED, ollama_template
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

EXACT = (
    "mistral-v1", "mistral-v3", "mistral-v3-tekken", "mistral-v7", "mistral-v7-tekken", "qwen", "qwen2.5", "qwen3",
    "qwen3-2507", "chatglm3", "glm4", "glm4-newline", "glm4.5", "falcon3", "falcon-h1", "chatml", "llama3", "alpaca",
    "vicuna",
)  # fmt: skip
TALK = (
    ("system", "Be terse.\nAlways."), ("user", "One {thing}?"), ("assistant", "Yes."), ("user", "Two <b>?"),
    ("assistant", "No: \"never\"."), ("user", "Three"),
)  # fmt: skip


def written(template: PromptTemplate, turns: Any) -> str:
    conversation = Conversation(tuple(Message(role, words) for role, words in turns))
    return "".join(span.text for span in template.render(conversation, RenderOptions(generation_prompt=True)))


@pytest.mark.parametrize("name", EXACT)
def test_it_writes_what_the_prompt_template_writes(name: str) -> None:
    """Also conversations that it was not made of."""
    template = registry().get(PromptTemplate, name)
    found = ollama_template(template, thinking=False)
    assert found is not None
    text, start = found
    for turns in (TALK, TALK[1:], TALK[:2], TALK[1:2], *CHECKED):
        assert start + go_template.render(text, turns) == written(template, turns)
    assert "Uuu" not in text
    assert start in ("", "<s>", "<|begin_of_text|>")


def test_an_answer_that_is_begun_goes_on(home: Path) -> None:
    """Ollama may be given the beginning of an answer: no end of turn, no new prompt."""
    found = ollama_template(registry().get(PromptTemplate, "llama3"), thinking=False)
    assert found is not None
    said = go_template.render(found[0], (("user", "Hi"), ("assistant", "He")))
    assert said.endswith("<|start_header_id|>assistant<|end_header_id|>\n\nHe")


def changing(change: Any) -> PromptTemplate:
    """ChatML with another rendering."""
    chatml = registry().get(PromptTemplate, "chatml")
    return replace(
        chatml, render=lambda conversation, options: change(conversation, chatml.render(conversation, options))
    )


def test_what_no_template_writes_is_none() -> None:
    from graftlm.api import DataError, text

    def counted(conversation: Conversation, spans: Any) -> Any:
        return [*spans, text(str(len(conversation.messages)))]

    def shouted(conversation: Conversation, spans: Any) -> Any:
        return [replace(span, text=span.text.upper()) for span in spans]

    def braces(conversation: Conversation, spans: Any) -> Any:
        return [text("{{"), *spans]

    def refused(conversation: Conversation, spans: Any) -> Any:
        raise DataError("no")

    for change in (counted, shouted, braces, refused):
        assert ollama_template(changing(change), thinking=False) is None
    assert ollama_template(changing(lambda conversation, spans: spans), thinking=False) is not None
    assert ollama_template(registry().get(PromptTemplate, "falcon-instruct"), thinking=False) is None


def test_a_model_s_own_template(home: Path) -> None:
    folder = catalogue().entry("tiny-mistral").folder
    assert folder is not None
    with OwnTemplate.from_folder(folder) as own:
        template = bound(registry().get(PromptTemplate, "model"), own)
        found = ollama_template(template, thinking=False)
        assert found is not None
        assert found[1] + go_template.render(found[0], TALK) == written(template, TALK)


def test_the_folder(home: Path, tmp_path: Path) -> None:
    record = kept()
    done = export("skill", tmp_path / "out", registry(), form="ollama", ollama_base="mistral:7b")
    assert set(done.files) == {"Modelfile", "README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert done.digest == record.digest
    lines = (tmp_path / "out" / "Modelfile").read_text(encoding="utf-8").splitlines()
    assert "FROM mistral:7b" in lines
    assert "ADAPTER ./adapter.gguf" in lines
    assert 'PARAMETER stop "</s>"' in lines
    text = "\n".join(lines)
    template = text.partition('TEMPLATE """')[2].partition('"""')[0]
    assert "<s>" + go_template.render(template, TALK) == written(registry().get(PromptTemplate, "mistral-v3"), TALK)
    assert any("Ollama writes <s> itself" in note for note in done.notes)
    assert any(
        "convert_lora_to_gguf.py --base FOLDER_OF_THE_BASE --outfile adapter.gguf ." in note for note in done.notes
    )


def test_what_ollama_cannot_say_is_refused(home: Path, tmp_path: Path) -> None:
    rope = RopePlan(kind="yarn", factor=2.0, original=128, context=256)
    hub = replace(draft("").base, name="owner/base", source="hub")
    for name, config, changes, words in (
        ("dora", {"use_dora": True}, {}, "GGUF knows plain LoRA alone, and dora@1 has use_dora True"),
        ("rslora", {"use_rslora": True}, {}, "has use_rslora True"),
        ("saved", {"modules_to_save": ["lm_head"]}, {}, "has modules_to_save"),
        ("loha", {"peft_type": "LOHA"}, {}, "has peft_type LOHA"),
        ("roped", {}, {"load": LoadPlan(name="m", dtype="fp32", attention="sdpa", rope=rope)}, "needs RoPE scaling"),
        ("odd", {}, {"template": "falcon-instruct"}, "no TEMPLATE of Ollama writes what the template falcon-instruct"),
    ):
        kept(name, config={**CONFIG, **config}, **changes)
        with pytest.raises(UsageError, match=words) as caught:
            export(name, tmp_path / "out", registry(), form="ollama", ollama_base="mistral")
        assert f"graftlm adapters merge {name}@1 --out DIR" in str(caught.value)
    kept(base=hub)
    with pytest.raises(UsageError, match=r"say what Ollama calls owner/base with --ollama-base"):
        export("skill", tmp_path / "out", registry(), form="ollama")
    for wrong in ("a b", "a\nADAPTER /etc", "-x", '"x"', "x\x1b"):
        with pytest.raises(UsageError, match="no name of a model"):
            export("skill", tmp_path / "out", registry(), form="ollama", ollama_base=wrong)
    assert not (tmp_path / "out").exists()
    done = export("skill", tmp_path / "out", registry(), form="ollama", ollama_base="hf.co/owner/base-GGUF:Q8_0")
    assert any("--base-model-id owner/base" in note for note in done.notes)


def test_the_command_tells_what_comes_next(home: Path, tmp_path: Path) -> None:
    kept()
    arguments = ["skill", "--out", str(tmp_path / "out"), "--as", "ollama", "--ollama-base", "mistral:7b"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    for words in ("exported skill@1", "convert_lora_to_gguf.py", "ollama create skill -f Modelfile"):
        assert words in done.output
    told = json.loads(
        CliRunner().invoke(command, [*arguments[:2], str(tmp_path / "b"), *arguments[3:], "--json"]).stdout
    )
    assert (told["form"], len(told["notes"])) == ("ollama", 5)


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Nothing }}",
        "{{.System}}",
        "{{ if .System }}x",
        "{{ end }}",
        "{{ range $i, $m := .Messages }}x",
        "{{ foo .System }}",
    ],
)
def test_what_is_no_template_of_ours_is_an_error(template: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        go_template.render(template, (("user", "Hi"),))
