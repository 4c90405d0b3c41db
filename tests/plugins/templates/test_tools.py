"""Golden texts of tools, their calls and their answers, as the models' own templates write them."""

from __future__ import annotations

import pytest
from small_tokenizers import byte_level
from test_templates import ASK, SAY, THINK, trained

from graftlm.api import Conversation, DataError, Message, PromptTemplate, RenderOptions, ToolCall
from graftlm.chat_templates.own import OwnTemplate
from graftlm_registry.plugins import registry

TOOL = {"type": "function", "function": {"name": "f", "description": "Does “it”", "parameters": {"type": "object"}}}
LINE = '{"type": "function", "function": {"name": "f", "description": "Does “it”", "parameters": {"type": "object"}}}'
ONE, TWO = "abcDEF123", "000000001"
S, U, DONE = Message("system", "S"), Message("user", "U"), Message("assistant", "done")
CALLS = (ToolCall("f", {"x": "ü", "n": 1.5}, ONE), ToolCall("f", {}, TWO))
CALLED, SAID = Message("assistant", "", tool_calls=CALLS), Message("assistant", "wait", tool_calls=CALLS[:1])
FOUND = (Message("tool", "21", name="f", call_id=ONE), Message("tool", "warm", name="f", call_id=TWO))
ABOUT = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
    f"{LINE}\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n'
)
QWEN_CALL = '<tool_call>\n{"name": "f", "arguments": {"x": "ü", "n": 1.5}}\n</tool_call>'
QWEN_CALLS = QWEN_CALL + '\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
QWEN_TURNS = (
    f"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n{QWEN_CALLS}<|im_end|>\n"
    "<|im_start|>user\n<tool_response>\n21\n</tool_response>\n<tool_response>\nwarm\n</tool_response><|im_end|>\n"
)
MISTRAL_CALLS = '{"name": "f", "arguments": {"x": "ü", "n": 1.5}, "id": "abcDEF123"}, ' \
    '{"name": "f", "arguments": {}, "id": "000000001"}'  # fmt: skip


def render(name: str, *messages: Message, options: RenderOptions = SAY, tools: tuple = (TOOL,)) -> list:
    spec = registry().get(PromptTemplate, name)
    return list(spec.render(Conversation(messages, tools=tools), options))


def text(name: str, *messages: Message, options: RenderOptions = SAY, tools: tuple = (TOOL,)) -> str:
    return "".join(span.text for span in render(name, *messages, options=options, tools=tools))


def test_qwen2_5() -> None:
    default = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    assert text("qwen2.5", U) == f"<|im_start|>system\n{default}\n\n{ABOUT}<|im_start|>user\nU<|im_end|>\n"
    assert text("qwen2.5", S, U, CALLED, *FOUND, DONE) == (
        f"<|im_start|>system\nS\n\n{ABOUT}{QWEN_TURNS}<|im_start|>assistant\ndone<|im_end|>\n"
    )
    assert text("qwen2.5", U, SAID, tools=()).endswith(f"<|im_start|>assistant\nwait\n{QWEN_CALL}<|im_end|>\n")


def test_qwen3() -> None:
    assert text("qwen3", U) == f"<|im_start|>system\n{ABOUT}<|im_start|>user\nU<|im_end|>\n"
    assert text("qwen3", S, U, CALLED, *FOUND, options=ASK) == (
        f"<|im_start|>system\nS\n\n{ABOUT}{QWEN_TURNS}<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    asked = text("qwen3", S, U, CALLED, *FOUND, options=THINK)
    assert asked == f"<|im_start|>system\nS\n\n{ABOUT}{QWEN_TURNS}<|im_start|>assistant\n"
    last = text("qwen3", U, SAID, tools=())
    assert last.endswith(f"<|im_start|>assistant\n<think>\n\n</think>\n\nwait\n{QWEN_CALL}<|im_end|>\n")


def test_qwen3_keeps_thoughts_between_calls() -> None:
    thinking = Message("assistant", "<think>\nhm\n</think>\n\n", tool_calls=CALLS[:1])
    whole = text("qwen3", U, thinking, FOUND[0], DONE, tools=())
    assert f"<|im_start|>assistant\n<think>\nhm\n</think>\n\n{QWEN_CALL}<|im_end|>\n" in whole


def test_qwen3_2507() -> None:
    assert text("qwen3-2507", U) == f"<|im_start|>system\n{ABOUT}<|im_start|>user\nU<|im_end|>\n"
    assert text("qwen3-2507", U, CALLED, *FOUND, DONE, tools=()) == (
        f"{QWEN_TURNS}<|im_start|>assistant\ndone<|im_end|>\n"
    )


def test_mistral_v3() -> None:
    assert text("mistral-v3", S, U, CALLED, *FOUND, DONE) == (
        f"<s>[AVAILABLE_TOOLS] [{LINE}][/AVAILABLE_TOOLS][INST] S\n\nU[/INST]"
        f"[TOOL_CALLS] [{MISTRAL_CALLS}]</s>"
        '[TOOL_RESULTS] {"content": 21, "call_id": "abcDEF123"}[/TOOL_RESULTS]'
        '[TOOL_RESULTS] {"content": "warm", "call_id": "000000001"}[/TOOL_RESULTS] done</s>'
    )
    assert text("mistral-v3-tekken", U, CALLED, FOUND[0]) == (
        f"<s>[AVAILABLE_TOOLS][{LINE}][/AVAILABLE_TOOLS][INST]U[/INST]"
        f'[TOOL_CALLS][{MISTRAL_CALLS}]</s>[TOOL_RESULTS]{{"content": 21, "call_id": "abcDEF123"}}[/TOOL_RESULTS]'
    )


def test_mistral_v7() -> None:
    assert text("mistral-v7", S, U, CALLED, *FOUND, DONE) == (
        f"<s>[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][AVAILABLE_TOOLS] [{LINE}][/AVAILABLE_TOOLS][INST] U[/INST]"
        f"[TOOL_CALLS] [{MISTRAL_CALLS}]</s>[TOOL_RESULTS] abcDEF123[TOOL_CONTENT] 21[/TOOL_RESULTS]"
        "[TOOL_RESULTS] 000000001[TOOL_CONTENT] warm[/TOOL_RESULTS] done</s>"
    )
    assert text("mistral-v7-tekken", U, SAID, tools=()) == (
        '<s>[INST]U[/INST]wait[TOOL_CALLS][{"name": "f", "arguments": {"x": "ü", "n": 1.5}, "id": "abcDEF123"}]</s>'
    )


@pytest.mark.parametrize(
    ("name", "call", "end"),
    [
        ("qwen2.5", QWEN_CALLS, "<|im_end|>"),
        ("qwen3", QWEN_CALLS, "<|im_end|>"),
        ("qwen3-2507", QWEN_CALLS, "<|im_end|>"),
        ("mistral-v3", f"[TOOL_CALLS] [{MISTRAL_CALLS}]", "</s>"),
        ("mistral-v7-tekken", f"[TOOL_CALLS][{MISTRAL_CALLS}]", "</s>"),
    ],
)
def test_a_call_is_trained_to_its_last_character(name: str, call: str, end: str) -> None:
    assert trained(render(name, U, CALLED, *FOUND)) == call + end
    untrained = Message("assistant", "", False, tool_calls=CALLS)
    assert trained(render(name, U, untrained, *FOUND)) == ""


def without_tools() -> list[PromptTemplate]:
    """The built-in templates that have no form for tools, and those that lose it with a model without their tokens."""
    own = OwnTemplate.from_folder(byte_level("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|user|>"))
    specs = [spec for spec in registry().all(PromptTemplate) if spec.name != "model"]
    made = [spec.for_model(own) for spec in specs if spec.for_model is not None]
    return [spec for spec in (*specs, *made) if not spec.tools]


@pytest.mark.parametrize(
    "conversation",
    [Conversation((U,), tools=(TOOL,)), Conversation((U, CALLED)), Conversation((U, FOUND[0], DONE))],
    ids=["offered", "called", "answered"],
)
def test_tools_without_a_form_are_refused(conversation: Conversation) -> None:
    """In a sentence, whoever asks."""
    assert {"chatml", "falcon-instruct", "falcon3", "falcon-h1", "glm4", "glm4.5", "alpaca", "vicuna", "llama3",
            "mistral-v1", "mistral-v3", "qwen", "qwen3"} <= {spec.name for spec in without_tools()}  # fmt: skip
    for spec in without_tools():
        with pytest.raises(DataError, match="has tools, and this template has no form for them"):
            spec.render(conversation, SAY)
