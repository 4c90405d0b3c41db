"""QLoRA with BitsAndBytesConfig and PEFT: the lines that stand in most tutorials, around the run's own rows.

Nothing here is wrong by the libraries' documentation, and no line of it warns. Which layers become 4-bit is up to
transformers, which replaces plain ``nn.Linear`` modules: a model that is made of a subclass of it keeps its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from graftlm.api import Plan, TrainingContext


class UsualScript:
    """The model, the adapter and the loop of the script; the rows, their order and the numbers are the plan's."""

    loss = "transformers' causal language model loss"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def train(self, context: TrainingContext) -> None:
        import torch
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        plan = context.plan
        training, method = plan.training, plan.method
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[plan.dtype]
        torch.manual_seed(training.seed)
        quantization = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
        model = AutoModelForCausalLM.from_pretrained(
            context.folder, quantization_config=quantization, dtype=dtype, device_map=context.device
        )
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=training.gradient_checkpointing)
        model = get_peft_model(
            model,
            LoraConfig(
                r=method.rank,
                lora_alpha=method.alpha,
                lora_dropout=method.dropout,
                target_modules=list(method.target_modules),
                task_type="CAUSAL_LM",
            ),
        )
        context.loaded(model)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
        model.train()
        context.start()
        for step in context.steps():
            for group in optimizer.param_groups:
                group["lr"] = context.learning_rate(step.index)
            total = 0.0
            for batch in step.batches:
                context.checkpoint()
                labels = batch.labels.to(context.device)
                loss = model(**batch.inputs(context.device), labels=labels, num_items_in_batch=step.trained).loss
                loss.backward()
                total += float(loss)
            norm = torch.nn.utils.clip_grad_norm_(parameters, training.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            context.stepped(
                step=step.index,
                loss=total,
                tokens=sum(batch.tokens for batch in step.batches),
                gradient_norm=float(norm),
                model=model,
            )
