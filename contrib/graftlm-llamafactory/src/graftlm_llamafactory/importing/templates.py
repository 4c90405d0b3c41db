"""LLaMA-Factory's prompt templates by the names that graftlm has for the same text."""

from __future__ import annotations

from collections.abc import Mapping

SAME: Mapping[str, str] = {
    "alpaca": "alpaca",
    "chatglm3": "chatglm3",
    "chatml": "chatml",
    "falcon_h1": "falcon-h1",
    "glm4": "glm4",
    "llama3": "llama3",
    "ministral": "mistral-v3-tekken",
    "ministral3": "mistral-v3-tekken",
    "mistral": "mistral-v3",
    "mistral_small": "mistral-v7-tekken",
    "qwen": "qwen2.5",
    "qwen3": "qwen3",
    "qwen3_nothink": "qwen3-2507",
    "vicuna": "vicuna",
}
FIRST = "LLaMA-Factory puts a system text into the first question, graftlm into the last"
ENDED = "LLaMA-Factory ends the last answer with the end-of-text token, graftlm with <|user|>"
REMARKS: Mapping[str, str] = {
    "alpaca": "LLaMA-Factory trains two line ends after an answer's end, and has none behind a row's own system text",
    "chatglm3": ENDED,
    "glm4": ENDED,
    "ministral": FIRST,
    "ministral3": FIRST,
    "mistral": f"{FIRST}; for Mistral 7B v0.1 and v0.2 give --template auto",
    "qwen3": "LLaMA-Factory puts an empty thought into every answer, graftlm, as the model's own, into the last",
    "vicuna": "LLaMA-Factory leaves the spaces around an answer to the tokenizer, and not every one makes them",
}
"""What differs all the same. Seen on 2026-11-22 with LLaMA-Factory 0.9.5's own rendering; all others are equal."""
REASONING = frozenset({"qwen3"})
"""Those that can ask for thoughts."""
OTHER: Mapping[str, str] = {
    "falcon": "it writes 'Falcon:' where the model's own template has 'Assistant:'; graftlm takes the model's",
    "glm4_moe": "it writes no /nothink, which the model's own template has; graftlm takes the model's",
}
