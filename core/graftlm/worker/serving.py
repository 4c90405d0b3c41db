"""The job ``serve``: a base that stays loaded, adapters that come to it, and answers for as long as somebody asks."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import from_json
from graftlm.contracts.serving import Guest, ServeJob
from graftlm.encoding.tokenizing import SpanTokenizer

from .answers import Answers
from .events import Events
from .generation import positions
from .kept import with_kept
from .live_adapters import BASE, LiveAdapters
from .requests import Requests
from .words import Voices


def serve_job(folder: Path, events: Events, descriptor: int) -> None:
    """Carry out ``FOLDER/job.json``, and then what comes through the pipe, until it is closed."""
    job = from_json((folder / "job.json").read_bytes(), ServeJob, "the job")
    requests, base = Requests(descriptor, events), job.who
    with ExitStack() as stack:
        tokenizer = SpanTokenizer.from_folder(Path(base.model))
        voices = Voices(tokenizer, Path(base.model), stack)
        voices.add(BASE, base.template, base.thinking, base.today)
        began = time.monotonic()
        model = with_kept(base.load, base.weights, Path(base.model), None, base.device)
        events.send("load", model=base.load.name, seconds=time.monotonic() - began)
        live = LiveAdapters(model)

        def bring(guest: Guest, company: bool) -> None:
            began = time.monotonic()
            live.load(guest.reference, guest.kept, company=company)
            voices.add(guest.reference, guest.template, guest.thinking, guest.today)
            events.send("loaded", who=guest.reference, seconds=time.monotonic() - began)

        for guest in job.guests:
            bring(guest, job.apart or len(job.guests) > 1)
        answers = Answers(live, voices, base.device, events, requests)
        events.send("ready", positions=positions(live.model))
        for request in requests:
            try:
                if request.load is not None:
                    bring(request.load, True)
                elif request.answer is not None:
                    answers.give(request.answer)
            except GraftlmError as error:
                events.checkpoint()  # an interrupt is one of them
                events.send("refused", kind=type(error).__name__, message=str(error))
    events.send("done")
