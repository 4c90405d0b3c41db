"""The job ``generate``: answers to prompts, from a base or through an adapter."""

from __future__ import annotations

from pathlib import Path

from graftlm.chat_templates.binding import bound, own_template
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.serial import from_json
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import registry

from .events import Events
from .generation import greedy, positions, stop_ids
from .kept import answering_model


def generate_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``; the last event holds the answers in the prompts' order."""
    job = from_json((folder / "job.json").read_bytes(), GenerateJob, "the job")
    who = job.who
    tokenizer = SpanTokenizer.from_folder(Path(who.model))
    asked = RenderOptions(generation_prompt=True, thinking=who.thinking)
    system = (Message("system", job.system),) if job.system else ()
    conversations = [Conversation((*system, Message("user", prompt))) for prompt in job.prompts]
    with own_template(Path(who.model), who.today) as own:
        template = bound(registry().get(PromptTemplate, who.template), own)
        prompts = [tokenizer.encode(template.render(c, asked)).ids for c in conversations]
    model = answering_model(who)
    room = positions(model)
    longest = max(map(len, prompts))
    if longest >= room:
        raise UsageError(
            f"a prompt of {longest} tokens leaves no room for an answer in the {room} positions of this model"
        )
    stops = stop_ids(tokenizer, template.stop_tokens)
    answers = greedy(model, prompts, stops, job.max_new_tokens, who.device, events.checkpoint)
    events.send("done", answers=[tokenizer.decode(answer).strip() for answer in answers])
