"""The baseline of ``training.py``: LoRA with transformers.Trainer and PEFT, as people write it by hand.

``python by_hand.py DATA.jsonl MODEL_FOLDER STEPS OUT DEVICE``; prints its step times as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

data, folder, steps, out, device = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=targets, task_type="CAUSAL_LM"))

examples = []
with Path(data).open() as file:
    for line in file:
        row = json.loads(line)
        turns = [{"role": "user", "content": f"{row['instruction']}\n{row['input']}"}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        answer = tokenizer(f" {row['output']}</s>", add_special_tokens=False)["input_ids"]
        examples.append({"input_ids": ids + answer, "labels": [-100] * len(ids) + answer})


def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    pad = [longest - len(row["input_ids"]) for row in rows]
    return {
        "input_ids": torch.tensor([row["input_ids"] + [0] * n for row, n in zip(rows, pad, strict=True)]),
        "labels": torch.tensor([row["labels"] + [-100] * n for row, n in zip(rows, pad, strict=True)]),
        "attention_mask": torch.tensor([[1] * len(r["input_ids"]) + [0] * n for r, n in zip(rows, pad, strict=True)]),
    }


class Clock(TrainerCallback):
    times: list[float] = []  # noqa: RUF012

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        self.times.append(time.time())


arguments = TrainingArguments(
    output_dir=out, max_steps=steps, per_device_train_batch_size=16, learning_rate=2e-3, lr_scheduler_type="cosine",
    warmup_steps=0, save_strategy="no", report_to="none", disable_tqdm=True, logging_steps=1, use_cpu=device == "cpu",
    bf16=device == "cuda",
)  # fmt: skip
Trainer(model=model, args=arguments, train_dataset=examples, data_collator=collate, callbacks=[Clock()]).train()
model.save_pretrained(out)
print(json.dumps({"steps": Clock.times}))
