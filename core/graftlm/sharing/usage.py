"""How an adapter is used: with graftlm, and with PEFT alone."""

from __future__ import annotations

from graftlm.contracts.load import RopePlan
from graftlm.contracts.record import AdapterRecord

from .markdown import code, escaped

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
QUESTION = "Hello!"
COMMANDS = """graftlm adapters import DIR --name {name}      # this folder, or hf:OWNER/NAME
graftlm generate {name} "{question}"
"""
SNIPPET = """from peft import PeftModel
from transformers import {classes}
{imports}
base = {base}
adapter = "."  # this folder, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(base{revision})
{config}model = AutoModelForCausalLM.from_pretrained(base{revision}{configured}, dtype={dtype!r})
model = PeftModel.from_pretrained(model, adapter).eval()
{asked}
answer = model.generate(**prompt, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True))
"""
IN_WORDS = """# the words of the template {template}
prompt = tokenizer(
    {prompt!r},
    return_tensors="pt", add_special_tokens=False,
)"""
IN_CHAT = """prompt = tokenizer.apply_chat_template(
    [{{"role": "user", "content": {question!r}}}], add_generation_prompt=True, return_tensors="pt", return_dict=True
)"""


def usage(record: AdapterRecord, prompt: str) -> list[str]:
    """Paragraphs. ``prompt`` is a question in the words of the record's template, or empty where they are the base's
    own chat template.
    """
    said = ["With graftlm:", code("bash", COMMANDS.format(name=record.name, question=QUESTION))]
    if record.base.source == "shape":
        return [*said, "Its base has random weights that only graftlm makes: PEFT alone cannot load it."]
    where = ""
    if record.base.source == "folder":
        where = f" (`base` is where you have {escaped(record.base.name)})"
    return [*said, f"With PEFT alone{where}:", code("python", snippet(record, prompt))]


def snippet(record: AdapterRecord, prompt: str) -> str:
    """A program that runs where the base can be had."""
    rope, built_in = record.load.rope, record.base.source == "built-in"
    revision = f", revision={record.base.revision!r}" if record.base.source == "hub" and record.base.revision else ""
    names = [*(["AutoConfig"] if rope else []), "AutoModelForCausalLM", "AutoTokenizer"]
    return SNIPPET.format(
        classes=", ".join(names),
        imports="from graftlm_registry.models import catalogue\n" if built_in else "",
        base=f"catalogue().entry({record.base.name!r}).folder" if built_in else repr(record.base.name),
        revision=revision,
        config=_scaled(rope, revision) if rope else "",
        configured=", config=config" if rope else "",
        dtype=DTYPES.get(record.load.dtype, record.load.dtype),
        asked=IN_WORDS.format(template=record.template, prompt=prompt) if prompt else IN_CHAT.format(question=QUESTION),
    )


def _scaled(rope: RopePlan, revision: str) -> str:
    """As graftlm's own loading does it."""
    parameters: dict[str, object] = {"rope_type": rope.kind, "factor": rope.factor}
    if rope.kind == "yarn":
        parameters["original_max_position_embeddings"] = rope.original
    positions = rope.original if rope.kind == "dynamic" else rope.context
    return (
        f"config = AutoConfig.from_pretrained(base{revision})\n"
        f"config.rope_parameters = {{**config.rope_parameters, **{parameters!r}}}\n"
        f"config.max_position_embeddings = {positions}\n"
    )
