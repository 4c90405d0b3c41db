"""Pre-trains one of the built-in models: ``python -m pretraining.pretrain tiny-mistral --out DIR``.

Every step sees two batches: short instructed questions, and longer rows of episodes, mixed conversations and plain text.
The hidden matrices are trained with Muon, everything else with AdamW. The weights are rounded to 16 bit at the end,
and the card's scores are those of the rounded weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from graftlm.contracts.conversation import Conversation, RenderOptions
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import IGNORED, Encoded, SpanTokenizer
from graftlm_plugins.templates import falcon, glm, mistral, qwen
from pretraining import scoring, sentences, skills, vocabulary
from pretraining.architectures import ARCHITECTURES, Architecture

SEED = 20261122
TEXT_TOKENS = 480
GROUP_TOKENS = 3000
TEMPLATES: dict[str, PromptTemplate] = {
    template.name: template for module in (mistral, qwen, glm, falcon) for template in module.graftlm_prompt_templates()
}


class Mixture:
    """Draws encoded rows for one model."""

    def __init__(self, template: PromptTemplate, tokenizer: SpanTokenizer, end: int, seed: int) -> None:
        self.template, self.tokenizer, self.end, self.rng = template, tokenizer, end, Random(seed)

    def encode(self, conversation: Conversation) -> Encoded:
        return self.tokenizer.encode(self.template.render(conversation, RenderOptions()))

    def short(self) -> Encoded:
        return self.encode(skills.asked(skills.SKILLS[self.rng.choice(sorted(skills.SKILLS))], self.rng))

    def long(self) -> Encoded:
        kind = self.rng.random()
        if kind < 0.72:
            rule = skills.RULES[self.rng.choice(sorted(skills.RULES))]
            return self.encode(skills.episode(rule, self.rng, self.rng.choice((1, 2, 4, 6, 8, 10, 12))))
        if kind < 0.86:
            return self.encode(skills.mixed(self.rng, self.rng.randint(2, 6)))
        return self.text(self.rng.choice((1, 2, 3, 12)))

    def text(self, paragraphs: int) -> Encoded:
        ids = self.tokenizer.words(sentences.text(self.rng, paragraphs))[:TEXT_TOKENS]
        return Encoded([self.end, *ids, self.end], [IGNORED, *ids, self.end])


def padded(rows: list[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and labels, ``[rows, longest]``; padding after the end needs no mask under causal attention."""
    length = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        labels[i, : len(row.labels)] = torch.tensor(row.labels)
    return ids, labels


def alike(rows: list[Encoded]) -> Iterator[list[Encoded]]:
    """The rows in groups of like length, at most ``GROUP_TOKENS`` padded tokens each."""
    group: list[Encoded] = []
    for row in sorted(rows, key=lambda r: len(r.ids)):
        if group and len(row.ids) * (len(group) + 1) > GROUP_TOKENS:
            yield group
            group = []
        group.append(row)
    yield group


def loss_sum(model: PreTrainedModel, rows: list[Encoded]) -> torch.Tensor:
    ids, labels = padded(rows)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.base_model(input_ids=ids, use_cache=False)[0]
    targets = labels[:, 1:]
    chosen = targets != IGNORED
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.get_output_embeddings()(hidden[:, :-1][chosen])
    return torch.nn.functional.cross_entropy(logits.float(), targets[chosen], reduction="sum")


def build(architecture: Architecture, tokenizer: SpanTokenizer, vocabulary_size: int) -> PreTrainedModel:
    torch.manual_seed(SEED)
    ends = [tokenizer.control_id(token) for token in architecture.end]
    start = (
        tokenizer.control_id("<s>") if tokenizer.has("<s>") else (ends[0] if architecture.family == "falcon" else None)
    )
    pad = tokenizer.control_id("<|endoftext|>") if architecture.family in ("qwen", "glm") else None
    config = architecture.config(
        vocab_size=math.ceil(vocabulary_size / 8) * 8, bos_token_id=start, pad_token_id=pad,
        eos_token_id=ends if len(ends) > 1 else ends[0], **architecture.shape,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")


def optimizers(model: PreTrainedModel, rate: float, kind: str) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in matrices}
    if kind == "adamw":
        return [torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(ARCHITECTURES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--short", type=int, default=80, help="short rows a step")
    parser.add_argument("--long", type=int, default=20, help="long rows a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimizer", default="muon", choices=("muon", "adamw"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    architecture = ARCHITECTURES[given.model]
    folder = given.out / given.model
    size = vocabulary.write(architecture.family, folder, chat_template(architecture.template)).get_vocab_size()
    tokenizer = SpanTokenizer.from_folder(folder)
    template = TEMPLATES[architecture.template]
    mixture = Mixture(template, tokenizer, tokenizer.control_id(architecture.end[0]), SEED)
    model = build(architecture, tokenizer, size)
    print(given.model, sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    steppers = optimizers(model, given.rate, given.optimizer)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            o, lambda s: min(1, (s + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / given.steps)))
        )
        for o in steppers
    ]
    started, running = time.time(), [0.0, 0.0]
    for step in range(given.steps):
        batches = [[mixture.short() for _ in range(given.short)], [mixture.long() for _ in range(given.long)]]
        for i, rows in enumerate(batches):
            trained = sum(label != IGNORED for row in rows for label in row.labels[1:])
            for group in alike(rows):
                loss = loss_sum(model, group) / trained
                (loss / len(batches)).backward()
                running[i] += 0.05 * loss.item()
            running[i] *= 0.95
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper, schedule in zip(steppers, schedules, strict=True):
            stepper.step()
            schedule.step()
            stepper.zero_grad()
        if (step + 1) % 50 == 0:
            print(step + 1, f"{time.time() - started:.0f}s short {running[0]:.3f} long {running[1]:.3f}", flush=True)
        if (step + 1) % 500 == 0 and step + 1 < given.steps:
            print(json.dumps(scoring.score(model, template, tokenizer, n=30)), flush=True)
            model.save_pretrained(folder)
    rounded = model.half()
    rounded.save_pretrained(folder)
    scores = scoring.score(rounded.float(), template, tokenizer, n=100)
    recipe = {
        "command": f"python -m pretraining.pretrain {given.model} --steps {given.steps} --rate {given.rate} "
        f"--short {given.short} --long {given.long}",
        "seed": SEED, "minutes": round((time.time() - started) / 60), "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps(scores), flush=True)
    (folder / "scores.json").write_text(json.dumps({"recipe": recipe, **scores}, indent=2) + "\n", encoding="utf-8")


def chat_template(name: str) -> str:
    return (Path(__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
