"""``graftlm templates list|show|render|check``: exactly the text, and what the model's own template says to it."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm_registry.models import catalogue

Run = Callable[..., Said]
S, U1, A1, U2, A2 = (
    {"role": role, "content": words}
    for role, words in (("system", "S"), ("user", "U1"), ("assistant", "A1"), ("user", "U2"), ("assistant", "A2"))
)
T1 = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nA1"}
ASK, OFF, TRAINED = ("--generation-prompt",), ("--thinking", "off"), ("--as-trained",)
WHOLE, ASKED = [S, U1, A1, U2], (*ASK, *OFF)
QWEN25 = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nU1\n\n### Response:\n"
)


CHATML = (
    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
    "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n"
)
NO_THOUGHT = "<think>\n\n</think>\n\n"
GOLDENS: list[tuple[str, list[dict[str, str]], tuple[str, ...], str]] = [
    ("mistral-v1", WHOLE, ASK, "<s> [INST] S\n\nU1 [/INST] A1</s> [INST] U2 [/INST]"),
    ("mistral-v3", WHOLE, ASK, "<s>[INST] U1[/INST] A1</s>[INST] S\n\nU2[/INST]"),
    ("mistral-v3-tekken", WHOLE, ASK, "<s>[INST]U1[/INST]A1</s>[INST]S\n\nU2[/INST]"),
    ("mistral-v7", WHOLE, ASK, "<s>[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST] U1[/INST] A1</s>[INST] U2[/INST]"),
    ("mistral-v7-tekken", WHOLE, ASK, "<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U1[/INST]A1</s>[INST]U2[/INST]"),
    ("qwen", WHOLE, ASK, CHATML),
    ("qwen", [U1], (), "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"),
    ("qwen2.5", WHOLE, ASK, CHATML),
    ("qwen2.5", [U1], ASK, QWEN25 + "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
    ("qwen3", WHOLE, ASK, CHATML),
    ("qwen3", WHOLE, ASKED, CHATML + NO_THOUGHT),
    ("qwen3", [U1, A1, U2, A2], (), "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
     f"<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n{NO_THOUGHT}A2<|im_end|>\n"),
    ("qwen3", [U1, T1, U2], ASK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
     "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n"),
    ("qwen3-2507", WHOLE, ASKED, CHATML),
    ("chatml", WHOLE, ASK, CHATML),
    ("chatglm3", WHOLE, ASK, "[gMASK]sop<|system|>\n S<|user|>\n U1<|assistant|>\n A1<|user|>\n U2<|assistant|>"),
    ("glm4", WHOLE, ASK, "[gMASK]<sop><|system|>\nS<|user|>\nU1<|assistant|>\nA1<|user|>\nU2<|assistant|>"),
    ("glm4", [U1, A1], (), "[gMASK]<sop><|user|>\nU1<|assistant|>\nA1"),
    ("glm4", [U1, A1], TRAINED, "[gMASK]<sop><|user|>\nU1<|assistant|>\nA1<|user|>"),
    ("glm4.5", [U1, A1], ASKED, "[gMASK]<sop><|user|>\nU1/nothink<|assistant|>\n<think></think>\nA1<|assistant|>\n"
     "<think></think>"),
    ("glm4.5", [U1], ASK, "[gMASK]<sop><|user|>\nU1<|assistant|>"),
    ("falcon-instruct", WHOLE, ASK, "S\n\nUser: U1\n\nAssistant: A1\n\nUser: U2\n\nAssistant:"),
    ("falcon-instruct", [U1], ASK, "\n\nUser: U1\n\nAssistant:"),
    ("falcon-instruct", [U1, A1], TRAINED, "\n\nUser: U1\n\nAssistant: A1<|endoftext|>"),
    ("falcon3", WHOLE, ASK, "<|system|>\nS\n<|user|>\nU1\n<|assistant|>\nA1<|endoftext|>\n<|user|>\nU2\n"
     "<|assistant|>\n"),
    ("falcon3", [U1, A1], (), "<|user|>\nU1\n<|assistant|>\nA1<|endoftext|>"),
    ("falcon-h1", WHOLE, ASK, "<|begin_of_text|>" + CHATML),
    ("alpaca", [U1], ASK, ALPACA),
    ("alpaca", [U1, A1], (), ALPACA + "A1</s>"),
    ("vicuna", WHOLE, ASK, "S USER: U1 ASSISTANT: A1</s>USER: U2 ASSISTANT:"),
]  # fmt: skip


@pytest.fixture
def render(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """``render(NAME, messages, *flags)``, the messages on standard input; bytes are taken as they are."""

    def call(name: str, messages: Any, *flags: str) -> Said:
        content = messages if isinstance(messages, bytes) else json.dumps(messages).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
        return run("templates", "render", name, "--messages", "-", *flags)

    return call


# ── render ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "messages", "flags", "text"), GOLDENS, ids=lambda value: str(value)[:24])
def test_exactly_the_text(
    render: Callable[..., Said], run: Run, tmp_path: Path, name: str, messages: Any, flags: tuple[str, ...], text: str
) -> None:
    assert render(name, messages, *flags) == Said(0, text, "")
    file = tmp_path / "messages.json"
    file.write_text(json.dumps({"messages": messages}), encoding="utf-8-sig")
    assert run("templates", "render", name, "--messages", file, *flags) == Said(0, text, "")


def test_no_byte_is_added_or_changed(render: Callable[..., Said]) -> None:
    words = "é漢😀 \r\n\t\u2028\x1b[31m\x00 <|im_end|>  "
    text = render("chatml", [{"role": "user", "content": words}]).out
    assert text.encode() == f"<|im_start|>user\n{words}<|im_end|>\n".encode()


def test_tools(render: Callable[..., Said]) -> None:
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}
    call = {"id": "abcdefgh1", "type": "function", "function": {"name": "stock", "arguments": '{"part": "chain"}'}}
    messages = [
        U1, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "abcdefgh1", "content": "4"},
    ]  # fmt: skip
    said = render("qwen2.5", {"messages": messages, "tools": [tool]}, *ASK)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(QWEN25.removesuffix("<|im_end|>\n") + "\n\n# Tools\n\n")
    assert f"<tools>\n{json.dumps(tool)}\n</tools>" in said.out
    assert said.out.endswith(
        "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
        '{"name": "stock", "arguments": {"part": "chain"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n4\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )
    said = render("mistral-v3", {"messages": messages, "tools": [tool]})
    assert said.out == (
        f"<s>[AVAILABLE_TOOLS] {json.dumps([tool])}[/AVAILABLE_TOOLS][INST] U1[/INST][TOOL_CALLS] "
        '[{"name": "stock", "arguments": {"part": "chain"}, "id": "abcdefgh1"}]</s>'
        '[TOOL_RESULTS] {"content": 4, "call_id": "abcdefgh1"}[/TOOL_RESULTS]'
    )


@pytest.mark.parametrize(
    ("name", "messages", "words"),
    [
        ("qwen3", b"[{]", "<stdin>:1: not valid JSON: "),
        ("qwen3", b"[\n{'role': 'user'}]", "<stdin>:2: not valid JSON: "),
        ("qwen3", b"", "<stdin>:1: not valid JSON: "),
        ("qwen3", b"\xff\xfe", "<stdin> is not UTF-8 text"),
        ("qwen3", b"[" * 100_000, "<stdin>: nested too deeply"),
        ("qwen3", b"[" + b"9" * 5000 + b"]", "<stdin>: a number of too many digits"),
        ("qwen3", "hello", "<stdin> must hold a list of messages, or an object with 'messages'"),
        ("qwen3", [], "<stdin>: 'messages' must be a list of turns with 'role' and 'content'"),
        ("qwen3", {"message": [U1]}, "<stdin>: 'messages' must be a list of turns"),
        ("qwen3", [{"role": "narrator", "content": "x"}], "<stdin>: turn 1 has the role 'narrator', which is none of"),
        ("qwen3", [U1, {"role": "assistant"}], "<stdin>: turn 2 has no 'content'"),
        ("qwen3", [{"role": "user", "content": [{"type": "image_url"}]}], "<stdin>: turn 1 has a part of the type"),
        ("qwen3", [{"role": "user", "content": "\ud800"}], "half a surrogate pair"),
        ("falcon-instruct", {"messages": [U1], "tools": [{"name": "t"}]}, "'falcon-instruct' has no form for tools"),
        ("mistral-v9", [U1], "unknown template 'mistral-v9'. Did you mean 'mistral-v7'?"),
        ("model", [U1], "the template 'model' is the model's own: give --model"),
    ],
)
def test_what_cannot_be_rendered_is_one_sentence(
    render: Callable[..., Said], name: str, messages: Any, words: str
) -> None:
    refused = render(name, messages)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: ")
    assert words in refused.err
    assert len(refused.err.splitlines()) == 1


def test_files_and_flags_that_are_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps([U1]))
    for arguments, words in (
        (("--messages", tmp_path / "none.json"), "none.json cannot be read: No such file"),
        (("--messages", tmp_path), "cannot be read: Is a directory"),
        ((), "Missing option '--messages'"),
        (("--messages", tmp_path / "m.json", "--thinking", "maybe"), "'maybe' is not one of 'on', 'off'"),
        (("--messages", tmp_path / "m.json", "--model", "tiny-falcon"), "has no <|im_start|>, <|im_end|>"),
        (("--messages", tmp_path / "m.json", "--model", "tiny-qwem"), "unknown model 'tiny-qwem'"),
    ):
        refused = run("templates", "render", "qwen3", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err


def test_the_model_s_own(render: Callable[..., Said]) -> None:
    for model, text in (
        ("tiny-glm", "[gMASK]<sop><|user|>\nU1<|assistant|>\n"),
        ("tiny-mistral", "<s>[INST] U1[/INST]"),
        ("tiny-falcon", "\n\nUser: U1\n\nAssistant:"),
        ("tiny-qwen", f"<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n{NO_THOUGHT}"),
    ):
        assert render("model", [U1], *ASKED, "--model", model) == Said(0, text, "")


# ── list and show ────────────────────────────────────────────────────────────────────────────────────────────────────


def listed(run: Run) -> list[dict[str, Any]]:
    said = run("templates", "list", "--json")
    assert (said.code, said.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def test_the_list(run: Run) -> None:
    found = listed(run)
    names = {template["name"] for template in found}
    assert {name for name, *_ in GOLDENS} | {"llama3", "model"} <= names
    by_name = {template["name"]: template for template in found}
    assert by_name["qwen3"] == {**by_name["qwen3"], "tools": True, "thinking": True, "end_token": "<|im_end|>"}
    assert by_name["vicuna"] == {**by_name["vicuna"], "tools": False, "thinking": False, "from": "graftlm"}
    table = run("templates", "list")
    assert table.code == 0
    lines = table.out.splitlines()
    assert lines[0].split()[:3] == ["--template", "ends", "with"]
    assert names <= {line.split()[0] for line in lines if line.strip()}


def test_show(run: Run) -> None:
    for template in listed(run):
        if template["name"] == "model":
            continue
        said = run("templates", "show", template["name"])
        assert (said.code, said.err) == (0, "")
        assert "⟦" in said.out
        assert "First question" in said.out.partition("\nasked\n")[2]
    said = run("templates", "show", "mistral-v3")
    assert (
        "\nas trained\n<s>[INST] First question[/INST]⟦ First answer</s>⟧[INST] Second question[/INST]"
        "⟦ Second answer</s>⟧\n" in said.out
    )
    assert said.out.endswith("\nasked\n<s>[INST] First question[/INST]\n")
    assert "⟦First answer<|im_end|>⟧" in run("templates", "show", "model", "--model", "tiny-qwen").out
    for arguments, words in ((("model",), "give --model"), (("qwen9",), "unknown template 'qwen9'")):
        refused = run("templates", "show", *arguments)
        assert refused.code == 2
        assert words in refused.err


def test_show_has_colours_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = run("templates", "show", "mistral-v3").out
    assert "[/INST]\x1b[32m First answer</s>\x1b[0m[INST]" in said
    assert "⟦" not in said


# ── check ────────────────────────────────────────────────────────────────────────────────────────────────────────────

RIGHT = {
    "tiny-mistral": "mistral-v3", "tiny-qwen": "qwen3", "small-qwen": "qwen3", "tiny-glm": "glm4-newline",
    "tiny-falcon": "falcon-instruct",
}  # fmt: skip


@pytest.mark.parametrize(("model", "template"), RIGHT.items())
def test_the_built_in_models_have_the_right_template(run: Run, model: str, template: str) -> None:
    said = run("templates", "check", "--model", model, "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert (found["model"], found["chosen"]) == (model, template)
    assert found["fits"][template]
    assert found["fits"]["model"]
    assert found["templates"][template]["differences"] == []
    assert sum(found["fits"].values()) < len(found["fits"]) / 2
    table = run("templates", "check", "--model", model)
    assert table.code == 0
    assert f"→ {template} " in table.out


def test_one_template_against_a_model(run: Run) -> None:
    fits = run("templates", "check", "--model", "tiny-glm", "--template", "glm4-newline")
    assert fits.code == 0
    other = run("templates", "check", "--model", "tiny-glm", "--template", "glm4")
    assert other.code == 2
    assert "they part at character" in other.out
    none = run("templates", "check", "--model", "tiny-glm", "--template", "qwen3")
    assert none.code == 2
    assert "has no <|im_start|>" in none.out
    for arguments, words in (
        (("--model", "tiny-glm", "--template", "glm9"), "unknown template 'glm9'"),
        (("--model", "tiny-glm9"), "unknown model 'tiny-glm9'"),
        ((), "Missing option '--model'"),
    ):
        refused = run("templates", "check", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err


@pytest.fixture
def altered(tmp_path: Path) -> Path:
    """tiny-qwen with a space behind the end of each turn."""
    folder = tmp_path / "altered"
    shutil.copytree(catalogue().entry("tiny-qwen").folder or "", folder)
    template = folder / "chat_template.jinja"
    source = template.read_text()
    assert source.count("<|im_end|>\\n") == 2
    template.write_text(source.replace("<|im_end|>\\n", "<|im_end|> \\n"))
    return folder


def test_a_template_that_is_not_the_model_s_is_shown(run: Run, altered: Path, alpaca: Path) -> None:
    checked = run("templates", "check", "--model", altered)
    assert checked.code == 2
    assert "they part at character" in checked.out
    assert "own   …What is 2 + 2?<|im_end|> \\n" in checked.out
    assert "  ^" in checked.out
    found = json.loads(run("templates", "check", "--model", altered, "--json").out)
    assert (found["chosen"], found["fits"]["qwen3"], found["fits"]["model"]) == ("qwen3", False, True)

    planned = run("plan", alpaca, "--model", altered)
    assert planned.code == 2
    said = " ".join(planned.out.split())
    assert "renders otherwise than the model's own chat template (44 of 44 conversations)" in said
    assert "they part at character" in said
    assert "<|im_end|> \\n" in said
    refused = run("train", alpaca, "--model", altered)
    assert refused.code == 2
    assert "template qwen3: renders otherwise than the model's own chat template" in refused.err
    assert "--allow-template-mismatch" in refused.err

    allowed = json.loads(run("plan", alpaca, "--model", altered, "--allow-template-mismatch", "--json").out)
    assert allowed["template"]["name"] == "qwen3"
    assert allowed["template"]["own"] == "other"
    own = run("plan", alpaca, "--model", altered, "--template", "model", "--json")
    assert own.code == 0, own.out
    assert json.loads(own.out)["template"]["own"] == "same"


def test_a_model_without_a_template_of_its_own(run: Run, altered: Path) -> None:
    (altered / "chat_template.jinja").unlink()
    refused = run("templates", "check", "--model", altered)
    assert (refused.code, refused.out) == (2, "")
    assert "has no chat template of its own, so there is nothing to compare with" in refused.err
    (altered / "chat_template.jinja").write_text("{% for %}")
    refused = run("templates", "check", "--model", altered)
    assert (refused.code, refused.out) == (2, "")
    assert "Traceback" not in refused.err
    assert len(refused.err.splitlines()) == 1
