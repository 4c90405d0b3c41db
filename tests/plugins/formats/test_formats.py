"""The built-in formats, judged by the suite that third parties run."""

from graftlm.api import Message
from graftlm.testing import FormatSuite

U, A = Message("user", "q"), Message("assistant", "a")


class TestAlpaca(FormatSuite):
    data_format = "alpaca"
    examples = (
        ({"instruction": "q", "output": "a"}, (U, A)),
        ({"instruction": "q", "input": "", "output": "a"}, (U, A)),
        ({"instruction": "q", "input": "i", "output": "a"}, (Message("user", "q\ni"), A)),
        (
            {"instruction": "q", "input": None, "output": "a", "system": "s", "history": [["q0", "a0"]]},
            (Message("system", "s"), Message("user", "q0"), Message("assistant", "a0"), U, A),
        ),
    )
    broken = ({"instruction": "q", "output": 3}, {"instruction": "q", "output": "a", "history": ["x"]})


class TestPairs(FormatSuite):
    data_format = "pairs"
    examples = (
        ({"input": "q", "output": "a"}, (U, A)),
        ({"prompt": "q", "completion": "a"}, (U, A)),
        ({"instruction": "q", "response": "a"}, (U, A)),
        ({"question": "q", "answer": "a", "id": 3}, (U, A)),
        ({"instruction": "q", "context": "c", "response": "a"}, (Message("user", "q\nc"), A)),
        ({"input": "q", "output": "a", "system": "s"}, (Message("system", "s"), U, A)),
    )
    broken = (
        {"input": "q", "output": 3},
        {"chosen": "x", "rejected": "y"},
        {"input": "q", "output": "a", "history": [["x", "y"]]},
        {"prompt": "q", "completion": "a", "tools": [{}]},
    )


class TestShareGpt(FormatSuite):
    data_format = "sharegpt"
    examples = (
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, (U, A)),
        (
            {"conversations": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "a"}], "system": "s"},
            (Message("system", "s"), U, A),
        ),
    )
    broken = (
        {"conversations": [{"from": "human", "value": "q"}, {"from": "martian", "value": "a"}]},
        {"conversations": [{"from": "human", "value": 3}]},
        {"conversations": [{"from": "human", "value": "q"}, {"value": "a"}]},
        {"conversations": []},
    )


class TestOpenAi(FormatSuite):
    data_format = "openai"
    examples = (
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}, (U, A)),
        (
            {"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": "q"},
                          {"role": "assistant", "content": "a", "train": False}]},
            (Message("system", "s"), U, Message("assistant", "a", False)),
        ),
    )  # fmt: skip
    broken = (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [{}]}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "train": "yes"}]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "tools": [{}]},
    )
