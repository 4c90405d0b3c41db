"""The built-in formats, judged by the suite that third parties run."""

from typing import Any

from graftlm.api import Conversation, Message, ToolCall
from graftlm.testing import FormatSuite

S, U, A = Message("system", "s"), Message("user", "q"), Message("assistant", "a")
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = ({"type": "function", "function": WEATHER},)
CALL = ToolCall("weather", {"city": "Bergen"})
SEEN = {"role": "tool", "name": "weather", "parameters": {"city": "Bergen"}}
ASKED = '{"name": "weather", "arguments": {"city": "Bergen"}}'


def turns(*said: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": words} for who, words in said], **more}


def chat(*said: dict[str, Any], field: str = "messages", **more: Any) -> dict[str, Any]:
    return {field: list(said), **more}


def user(content: Any = "q", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def assistant(content: Any = "a", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(name: Any = "weather", arguments: Any = '{"city": "Bergen"}', **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


class TestAlpaca(FormatSuite):
    format = "alpaca"
    examples = (
        ({"instruction": "q", "output": "a"}, (U, A)),
        ({"instruction": "q", "input": "", "output": "a", "text": "q: a"}, (U, A)),
        ({"instruction": "q", "input": "i", "output": "a"}, (Message("user", "q\ni"), A)),
        ({"instruction": "", "input": "q", "output": "a"}, (U, A)),
        ({"instruction": "q", "output": None}, (U, Message("assistant", ""))),
        ({"instruction": "q", "output": "a", "response": None, "prompt": "q", "completion": None}, (U, A)),
        (
            {"instruction": "q", "input": None, "output": "a", "system": "s", "history": [["q0", "a0"]]},
            (S, Message("user", "q0"), Message("assistant", "a0"), U, A),
        ),
    )
    broken = (
        {"instruction": "q", "output": 3},
        {"instruction": "q", "output": 0},
        {"instruction": "q", "output": False},
        {"instruction": 4, "output": "a"},
        {"instruction": "q", "input": ["i"], "output": "a"},
        {"instruction": "q", "output": "a", "history": ["x"]},
        {"instruction": "q", "output": "a", "history": {"q0": "a0"}},
        {"instruction": "q", "output": "a", "response": "another"},
        {"instruction": "q", "output": "a", "tools": [WEATHER]},
    )


class TestPairs(FormatSuite):
    format = "pairs"
    examples = (
        ({"input": "q", "output": "a"}, (U, A)),
        ({"prompt": "q", "completion": "a"}, (U, A)),
        ({"instruction": "q", "response": "a"}, (U, A)),
        ({"question": "q", "answer": "a", "id": 3}, (U, A)),
        ({"instruction": None, "input": "q", "output": "a"}, (U, A)),
        ({"prompt": "q", "completion": "a", "question": None, "answer": None, "messages": None}, (U, A)),
        ({"instruction": "q", "context": "c", "response": "a"}, (Message("user", "q\nc"), A)),
        ({"instruction": "q", "input": "i", "response": "a"}, (Message("user", "q\ni"), A)),
        ({"input": "q", "output": "a", "system": "s"}, (S, U, A)),
        ({"input": "q", "output": "a", "system_prompt": "s"}, (S, U, A)),
        ({"prompt": "q", "response": "a", "history": [], "system": None}, (U, A)),
        ({"content": "q", "summary": "a", "history": ""}, (U, A)),
        (
            {"query": "q", "response": "a", "system": "s", "history": [["q0", "a0"]]},
            (S, Message("user", "q0"), Message("assistant", "a0"), U, A),
        ),
        (
            {"question": "q", "answer": "a", "context": "c", "history": [["q0", "a0"], ["q", "a"]]},
            (Message("user", "q0"), Message("assistant", "a0"), U, A, Message("user", "q\nc"), A),
        ),
    )
    broken = (
        {"input": "q", "output": 3},
        {"prompt": 1, "completion": "x"},
        {"prompt": "q", "completion": None},
        {"prompt": "q", "completion": "a", "question": "q", "answer": "b"},
        {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]},
        {"chosen": "x", "rejected": "y"},
        {"input": "q", "output": "a", "system": "s", "system_prompt": "t"},
        {"input": "q", "output": "a", "history": [["x", "y", "z"]]},
        {"query": "q", "response": "a", "history": [{"role": "user", "content": "x"}]},
        {"query": "q", "response": "a", "history": [["x", None]]},
        {"prompt": "q", "query": "another", "response": "a"},
        {"instruction": "q", "input": "i", "output": "a"},
        {"prompt": "q", "completion": "a", "tools": [{}]},
    )


class TestShareGpt(FormatSuite):
    format = "sharegpt"
    examples = (
        (turns(("human", "q"), ("gpt", "a")), (U, A)),
        (turns(("user", "q"), ("assistant", "a"), system="s"), (S, U, A)),
        (turns(("user", "q"), ("assistant", "a"), query="q", response="a"), (U, A)),
        (turns(("Human", "q"), ("ChatGPT", "a"), id="identity_0", tools="", messages=None), (U, A)),
        (turns(("prompter", "q"), ("bing", "a"), ("human", "q"), ("bard", "a")), (U, A, U, A)),
        (turns(("user", "q"), ("model", "a"), ("user", "q"), ("bot", "a")), (U, A, U, A)),
        (turns(("system", "s"), ("human", "q"), ("gpt", "a"), system="s"), (S, U, A)),
        (
            {
                "conversations": [
                    {"from": "human", "value": "q", "weight": 0}, {"from": "gpt", "value": "a", "weight": 1}
                ]
            },
            (U, Message("assistant", "a", True)),
        ),
        (
            turns(("human", "q"), ("function_call", ASKED), ("observation", "rain"), ("gpt", "a"), tools=[WEATHER]),
            Conversation((U, Message("assistant", "", tool_calls=(CALL,)), Message("tool", "rain"), A), tools=TOOLS),
        ),
        (
            turns(
                ("human", "q"), ("gpt", "wait"), ("tool_call", f"[{ASKED}, {ASKED}]"), ("tool_response", "rain"),
                ("function_response", "snow"), ("gpt", "a"), tools='[{"type": "function", "function": {"name": "f"}}]',
            ),
            Conversation(
                (U, Message("assistant", "wait", tool_calls=(CALL, CALL)), Message("tool", "rain"),
                 Message("tool", "snow"), A),
                tools=({"type": "function", "function": {"name": "f"}},),
            ),
        ),
    )  # fmt: skip
    broken = (
        turns(("human", "q"), ("martian", "a")),
        turns(("human", 3)),
        {"conversations": [{"from": "human", "value": "q"}, {"value": "a"}]},
        {"conversations": []},
        {"conversations": ["q", "a"]},
        turns(("system", "s"), ("human", "q"), ("gpt", "a"), system="another"),
        turns(("human", "q"), ("function_call", "weather in Bergen"), ("observation", "rain"), ("gpt", "a")),
        turns(("human", "q"), ("function_call", "[]"), ("observation", "rain"), ("gpt", "a")),
        turns(("human", "q"), ("function_call", '{"name": "f", "arguments": [1]}'), ("gpt", "a")),
        turns(("human", "q"), ("function_call", '{"name": "f", "arguments": {"x": NaN}}'), ("gpt", "a")),
        turns(("human", "q"), ("gpt", "a"), tools="weather"),
        turns(("human", "q"), ("gpt", "a"), tools=[{"description": "nameless"}]),
        {"conversations": [{"from": "human", "value": "q", "weight": 1}, {"from": "gpt", "value": "a"}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 0.5}]},
    )


class TestOpenAi(FormatSuite):
    format = "openai"
    examples = (
        (chat(user(), assistant()), (U, A)),
        (chat(user(), assistant(), source="a forum", prompt="q"), (U, A)),
        (chat(user(), assistant(), prompt="q", response="a", content="q", summary="short"), (U, A)),
        (
            chat({"role": "developer", "content": "s"}, user(), assistant(train=False)),
            (S, U, Message("assistant", "a", False)),
        ),
        (
            chat(user(name="Kari"), assistant(weight=0), user(), assistant(weight=1)),
            (Message("user", "q", name="Kari"), Message("assistant", "a", False), U, Message("assistant", "a", True)),
        ),
        (chat(user([{"type": "text", "text": "q"}]), assistant([{"type": "text", "text": "a"}])), (U, A)),
        (
            chat(user(), assistant(reasoning_content="\nhm\n", tool_calls=None, refusal=None)),
            (U, Message("assistant", "<think>\nhm\n</think>\n\na")),
        ),
        (
            chat(
                user(), assistant(None, tool_calls=[call(id="c1")]),
                {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "rain"}, assistant(),
                tools=list(TOOLS), parallel_tool_calls=False,
            ),
            Conversation(
                (U, Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Bergen"}, "c1"),)),
                 Message("tool", "rain", name="weather", call_id="c1"), A),
                tools=TOOLS,
            ),
        ),
        (
            chat(
                user(), assistant("", function_call={"name": "weather", "arguments": ""}),
                {"role": "function", "name": "weather", "content": "rain"}, assistant(), functions=[WEATHER],
            ),
            Conversation(
                (U, Message("assistant", "", tool_calls=(ToolCall("weather", {}),)),
                 Message("tool", "rain", name="weather"), A),
                tools=TOOLS,
            ),
        ),
    )  # fmt: skip
    broken = (
        {"messages": []},
        {"messages": ["q"]},
        {"messages": [{"from": "human", "value": "q"}]},
        chat(user(), assistant(None)),
        chat(user(5), assistant()),
        chat(user([{"type": "image_url", "image_url": {"url": "x"}}]), assistant()),
        chat(user([{"type": "text", "text": 5}]), assistant()),
        chat(user(), assistant(None, tool_calls=[{}])),
        chat(user(), assistant(None, tool_calls=[call(arguments="not JSON")])),
        chat(user(), assistant(None, tool_calls=[call(arguments="5")])),
        chat(user(), assistant(None, tool_calls=[call(id=7)])),
        chat(user(), assistant(None, tool_calls={"name": "weather"})),
        chat(user(tool_calls=[call()]), assistant()),
        chat(user(), assistant("<think>\nx\n</think>\n\na", reasoning_content="y")),
        chat(user(), assistant(train="yes")),
        chat(user(), assistant(train=True, weight=0)),
        chat(user(train=True), assistant()),
        chat(user(), assistant(), tools=[{}]),
        chat(user(), assistant(), tools={"name": "weather"}),
        chat(user(), assistant(), tools=[WEATHER], functions=[WEATHER]),
        chat(user(), assistant(), system=3),
    )


class TestChatGlm3(FormatSuite):
    format = "chatglm3"
    examples = (
        (chat(user(), assistant(), field="conversations"), (U, A)),
        (
            chat({"role": "system", "content": "s"}, user(), assistant(loss=False), field="conversations"),
            (S, U, Message("assistant", "a", False)),
        ),
        (
            chat(
                user(), assistant("wait"), SEEN | {"observation": {"sky": "grå"}}, SEEN | {"observation": "rain"},
                assistant(), field="conversations", tools=[WEATHER],
            ),
            Conversation(
                (U, Message("assistant", "wait", tool_calls=(CALL,)), Message("tool", '{"sky": "grå"}', name="weather"),
                 Message("assistant", "", tool_calls=(CALL,)), Message("tool", "rain", name="weather"), A),
                tools=TOOLS,
            ),
        ),
        (
            chat(
                user(), assistant(None, tool_calls=[call(id="c1")]),
                {"role": "tool", "name": "weather", "tool_call_id": "c1", "content": "rain"}, assistant(),
                field="conversations",
            ),
            (U, Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Bergen"}, "c1"),)),
             Message("tool", "rain", name="weather", call_id="c1"), A),
        ),
    )  # fmt: skip
    broken = (
        chat(user(), {"role": "observation", "content": "a"}, field="conversations"),
        chat(user(), {"role": "tool", "parameters": {}, "observation": "x"}, assistant(), field="conversations"),
        chat(user(), SEEN, assistant(), field="conversations"),
        chat(user(), SEEN | {"observation": "x", "parameters": "Bergen"}, assistant(), field="conversations"),
        chat(user(), assistant(loss=False), SEEN | {"observation": "x"}, assistant(), field="conversations"),
        chat(user(), assistant(loss=1), field="conversations"),
    )


class TestHumanAssistant(FormatSuite):
    format = "human-assistant"
    examples = (
        ({"text": "<HUMAN>: q\n<ASSISTANT>: a"}, (U, A)),
        ({"text": "s\n<HUMAN>: q <ASSISTANT>: a\n\n<HUMAN>:\nq\n<ASSISTANT>: a\n", "url": "x"}, (S, U, A, U, A)),
        ({"text": "<human>: q\n<assistant>: two\n\nlines"}, (U, Message("assistant", "two\n\nlines"))),
    )
    broken = ({"text": "q"}, {"text": 3}, {"text": None}, {"text": "<HUMAN>: q\n<ASSISTANT>: a", "tools": [WEATHER]})


class TestText(FormatSuite):
    format = "text"
    examples = (
        ({"text": "Snow is white.\n\nCoal is black.\n"}, (Message("document", "Snow is white.\n\nCoal is black.\n"),)),
        ({"text": "x", "url": "y", "label": None, "messages": None, "images": []}, (Message("document", "x"),)),
    )
    broken = ({"text": 5}, {"text": None}, {"text": ["x"]}, {"words": "x"})
