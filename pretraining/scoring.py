"""Scores of a pre-trained model: exact match on its skills, and few-shot accuracy over the number of examples."""

from __future__ import annotations

from random import Random
from typing import Any

import torch
from transformers import PreTrainedModel

from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from pretraining import sentences, skills

SHOTS = (0, 1, 2, 4, 8, 12)
HELD_OUT_SEED = 7


@torch.no_grad()
def answers(
    model: PreTrainedModel,
    template: PromptTemplate,
    tokenizer: SpanTokenizer,
    asked: list[Conversation],
    longest: int = 40,
) -> list[str]:
    """Greedy answers, all in one left-padded batch."""
    prompts = [tokenizer.encode(template.render(c.prompt, RenderOptions(generation_prompt=True))).ids for c in asked]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    stops = [tokenizer.control_id(t) for t in template.stop_tokens if tokenizer.has(t)]
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=longest,
        do_sample=False,
        eos_token_id=stops,
        pad_token_id=stops[0],
    )
    rows = [row[width:].tolist() for row in out]
    ended = [row[: next((i for i, t in enumerate(row) if t in stops), len(row))] for row in rows]
    return [tokenizer.decode(row).strip() for row in ended]


def accuracy(
    model: PreTrainedModel, template: PromptTemplate, tokenizer: SpanTokenizer, asked: list[Conversation]
) -> float:
    said = answers(model, template, tokenizer, asked)
    return round(sum(a == c.answer for a, c in zip(said, asked, strict=True)) / len(asked), 3)


@torch.no_grad()
def text_loss(model: PreTrainedModel, tokenizer: SpanTokenizer, n: int) -> float:
    """Nats a token on unseen paragraphs."""
    rng, total, count = Random(HELD_OUT_SEED), 0.0, 0
    for _ in range(n):
        ids = torch.tensor([tokenizer.words(sentences.text(rng, 2))])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return round(total / count, 3)


def score(model: PreTrainedModel, template: PromptTemplate, tokenizer: SpanTokenizer, n: int) -> dict[str, Any]:
    """``n`` questions a skill and a number of shots, drawn apart from the training's."""
    model.eval()
    found: dict[str, Any] = {"n": n, "skills": {}, "few_shot": {}}
    for name, draw in skills.SKILLS.items():
        rng = Random(HELD_OUT_SEED)
        found["skills"][name] = accuracy(model, template, tokenizer, [skills.asked(draw, rng) for _ in range(n)])
    for name, rule in {**skills.RULES, **skills.UNSEEN_RULES}.items():
        rng = Random(HELD_OUT_SEED)
        curve = [accuracy(model, template, tokenizer, [skills.episode(rule, rng, k) for _ in range(n)]) for k in SHOTS]
        found["few_shot"][name] = dict(zip(map(str, SHOTS), curve, strict=True))
    found["text_loss"] = text_loss(model, tokenizer, n)
    model.train()
    return found
