"""The job ``generate``: answers to prompts, from a base or through an adapter."""

from __future__ import annotations

from pathlib import Path

from graftlm.chat_templates.binding import bound
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import GenerateJob
from graftlm.contracts.serial import from_json
from graftlm.contracts.specs import PromptTemplate
from graftlm.encoding.tokenizing import SpanTokenizer
from graftlm_registry.plugins import registry

from .events import Events
from .generation import greedy, positions, stop_ids
from .kept import with_kept


def generate_job(folder: Path, events: Events) -> None:
    """Carry out ``FOLDER/job.json``; the last event holds the answers in the prompts' order."""
    job = from_json((folder / "job.json").read_bytes(), GenerateJob, "the job")
    tokenizer = SpanTokenizer.from_folder(Path(job.model))
    asked = RenderOptions(generation_prompt=True, thinking=job.thinking)
    system = (Message("system", job.system),) if job.system else ()
    conversations = [Conversation((*system, Message("user", prompt))) for prompt in job.prompts]
    with OwnTemplate.from_folder(Path(job.model)) as own:
        template = bound(registry().get(PromptTemplate, job.template), own)
        prompts = [tokenizer.encode(template.render(c, asked)).ids for c in conversations]
    model = with_kept(job.load, job.weights, Path(job.model), job.kept, job.device)
    room = positions(model)
    longest = max(map(len, prompts))
    if longest >= room:
        raise UsageError(
            f"a prompt of {longest} tokens leaves no room for an answer in the {room} positions of this model"
        )
    stops = stop_ids(tokenizer, template.stop_tokens)
    answers = greedy(model, prompts, stops, job.max_new_tokens, job.device, events.checkpoint)
    events.send("done", answers=[tokenizer.decode(answer).strip() for answer in answers])
