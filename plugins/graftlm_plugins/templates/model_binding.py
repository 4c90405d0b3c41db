"""The template ``model``, made for one model: what the model renders says which tokens it uses, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graftlm.api import GraftlmError, ModelError, PromptTemplate, RenderRequest, TemplateModel

from .model_rendering import OwnRendering

SYSTEM = {"role": "system", "content": "wqsystem"}
QUESTION, ANSWER = {"role": "user", "content": "wqquestion"}, {"role": "assistant", "content": "wqanswer"}
TOOL = {
    "type": "function",
    "function": {
        "name": "wqtool",
        "description": "wqdescription",
        "parameters": {"type": "object", "properties": {"x": {"type": "string", "description": "wqx"}}, "required": []},
    },
}
CALL = {"type": "function", "id": "wqcall0001", "function": {"name": "wqtool", "arguments": {"x": "wqvalue"}}}
CALLED: list[dict[str, Any]] = [
    QUESTION,
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "wqtool", "tool_call_id": "wqcall0001", "content": "wqresult"},
]
TALKS: tuple[Sequence[dict[str, Any]], ...] = (
    [QUESTION, ANSWER, QUESTION, ANSWER],
    [QUESTION, ANSWER],
    [QUESTION],
    [SYSTEM, QUESTION, ANSWER],
)
"""What is rendered to learn a template's tokens."""


def made_for(model: TemplateModel, template: PromptTemplate) -> PromptTemplate:
    """The template of one model; ``ModelError`` where it has none, or one that renders nothing."""
    if not model.chat_template:
        raise ModelError("this model has no chat template of its own: choose one with --template")
    found = sorted((t for t in model.added_tokens | {model.bos_token, model.eos_token} if t.strip()), key=len)
    tokens = re.compile("|".join(re.escape(token) for token in reversed(found)) or "(?!)")  # the longest first
    first = OwnRendering(model, tokens, model.eos_token)
    asked = [RenderRequest(talk, (), {"add_generation_prompt": prompt}) for talk in TALKS for prompt in (False, True)]
    done = model.render_many([*asked, RenderRequest([QUESTION], (TOOL,)), RenderRequest(CALLED, (TOOL,))])
    texts = ["" if isinstance(one, GraftlmError) else one.text for one in done]
    if not any(texts):
        raise next((one for one in done if isinstance(one, GraftlmError)), ModelError("its chat template is empty"))
    end = next(filter(None, (_end(text, tokens, model) for text in texts[: len(asked)])), model.eos_token)
    if not end:
        raise ModelError("this model has no token that ends an answer: choose a named template (--template)")
    used = {match.group() for text in [*texts, model.chat_template] for match in tokens.finditer(text)}
    return replace(
        template,
        render=OwnRendering(model, tokens, end).render,
        control_tokens=tuple(sorted(used | {end} | {t for t in (model.bos_token, model.eos_token) if t})),
        end_token=end,
        stop_tokens=tuple(dict.fromkeys(token for token in (end, model.eos_token) if token)),
        tools=any("wqtool" in text for text in texts),
        thinking=first.thinking,
        document_start=(model.bos_token,) if model.bos_token else (),
        document_end=model.eos_token,
        for_model=None,
    )


def _end(text: str, tokens: re.Pattern[str], model: TemplateModel) -> str:
    """The control token that follows the first answer, perhaps after white space."""
    rest = text.partition(str(ANSWER["content"]))[2]
    match = tokens.match(rest.lstrip())
    return "" if match is None or match.group() == model.bos_token != model.eos_token else match.group()
