"""Conversations that every template is asked to render."""

from __future__ import annotations

from graftlm.contracts.conversation import Conversation, Message, ToolCall

SYSTEM, FIRST, SECOND = Message("system", "S"), Message("user", "U1"), Message("user", "U2")
CORPUS = (
    (FIRST,),
    (SYSTEM, FIRST),
    (FIRST, Message("assistant", "A1")),
    (SYSTEM, FIRST, Message("assistant", "A1"), SECOND, Message("assistant", "A2")),
    (FIRST, Message("assistant", "A1", train=False), SECOND, Message("assistant", "A2")),
    (Message("user", "two\n\nlines\r\n"), Message("assistant", "\nan answer that starts with a new line\n\n")),
)
THOUGHTS = (
    (FIRST, Message("assistant", "<think>\nhm\n</think>\n\nA1")),
    (FIRST, Message("assistant", "<think>\nhm\n</think>\n\nA1"), SECOND, Message("assistant", "A2")),
)
CALL_ID = "abcDEF123"
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city", "parameters": {"type": "object", "properties": {}}},
}


def tool_talk(words: str) -> Conversation:
    """A question, a call, its answer, and what is said of it, with somebody's ``words`` wherever there are any."""
    described = {**TOOL, "function": {**TOOL["function"], "description": f"the weather {words}"}}  # type: ignore[dict-item]
    call = ToolCall("weather", {"city": f"a city {words}"}, CALL_ID)
    return Conversation(
        (
            Message("user", f"a question {words}"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", f"an observation {words}", name="weather", call_id=CALL_ID),
            Message("assistant", "so it is"),
        ),
        tools=(described,),
    )
