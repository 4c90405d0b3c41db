"""The worker that stays: adapters beside each other on one base, batches of several, streaming, stopping."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_from_adapter import World, little_to_collect

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import RunError, StoreError, UsageError
from graftlm.contracts.serial import to_json
from graftlm.contracts.serving import AnswerRequest, Ask, Guest, Request, Sampling, ServeJob
from graftlm.running.answer import answer
from graftlm.running.one_base import OneBase
from graftlm.testing.in_process import start_in_process
from graftlm.worker import serving
from graftlm.worker.events import Events
from graftlm.worker.kept import answering_model, with_kept
from graftlm.worker.live_adapters import LiveAdapters
from graftlm_registry.plugins import registry

RUNS: Mapping[str, Mapping[str, Any]] = {
    "one": {},
    "two": {"seed": 2, "rank": 4, "target_modules": "q_proj,down_proj"},
    "saved": {"rank": 4, "options": {"method": {"modules_to_save": ["lm_head"]}}},
    "also-saved": {"rank": 4, "seed": 3, "options": {"method": {"modules_to_save": ["lm_head"]}}},
    "dora": {"method": "dora", "rank": 4},
    "loha": {"method": "loha", "rank": 4, "alpha": 8.0},
    "ia3": {"method": "ia3", "learning_rate": 0.2},
    "biased": {"rank": 4, "options": {"method": {"bias": "lora_only"}}},
    "full": {"method": "full", "learning_rate": 3e-3},
}
TOGETHER = ("one", "two", "saved", "also-saved", "dora", "loha", "ia3")
MIXED = ("one", "two")
"""Those of them who share batches."""
SAMPLE = torch.arange(8, 72)[None]
QUESTIONS = ("Name the colour.", "And a far longer question, of which nobody knows the answer?", "hi")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("serving"), _probed)
    with little_to_collect():
        world.train_all(RUNS)
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def of(*names: str, apart: bool = True) -> ServeJob:
    return OneBase(names[0], names[1:], registry(), apart=apart).job


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=SAMPLE, use_cache=False).logits.float()
    return found


def bare(job: ServeJob) -> Any:
    base = job.who
    return with_kept(base.load, base.weights, Path(base.model), None, base.device)


def alone(job: ServeJob, guest: Guest) -> torch.Tensor:
    """What a worker of its own computes, which loads the base for this adapter."""
    return logits(answering_model(replace(job.who, kept=guest.kept)))


def test_each_adapter_answers_as_if_it_were_alone_and_so_does_the_base(world: World) -> None:
    """Whatever was loaded before, after, or taken off the model for another kind."""
    job = of(*TOGETHER)
    expected = {guest.reference: alone(job, guest) for guest in job.guests}
    expected[""] = logits(bare(job))
    assert all((expected[a] - expected[b]).abs().max() > 0.01 for a in expected for b in expected if a != b)
    live = LiveAdapters(bare(job))
    for guest in job.guests:
        live.load(guest.reference, guest.kept, company=True)
        assert torch.equal(logits(live.model), expected[""])
    order = [*expected, *reversed(expected), *random.Random(0).choices(list(expected), k=8)]
    for who in order:
        live.use(who)
        assert torch.equal(logits(live.model), expected[who]), who
        assert live.use(who) is None


def copied(guest: Guest, folder: Path, change: Callable[[dict[str, Any]], None]) -> Guest:
    """The adapter with other tensors."""
    shutil.copytree(guest.kept.folder, folder)
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    return replace(guest, kept=replace(guest.kept, folder=str(folder)))


def lacking(tensors: dict[str, Any]) -> None:
    del tensors[min(tensors)]


def one_more(tensors: dict[str, Any]) -> None:
    tensors["base_model.model.lm_head.lora_A.weight"] = torch.zeros(2, 2)


def misshaped(tensors: dict[str, Any]) -> None:
    tensors[min(tensors)] = torch.zeros(3, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [(lacking, "lacks 1 tensors"), (one_more, "has 1 tensors that do not fit"), (misshaped, "(3, 3)")],
)
@pytest.mark.parametrize("before", [(), ("one",), ("loha",)])
def test_an_adapter_that_does_not_fit_changes_nothing(
    world: World, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str, before: Sequence[str]
) -> None:
    job = of("two", *before)
    broken = copied(job.guests[0], tmp_path / "broken", change)
    live = LiveAdapters(bare(job))
    for guest in job.guests[1:]:
        live.load(guest.reference, guest.kept, company=True)
    with pytest.raises(RunError, match=words.replace("(", r"\(").replace(")", r"\)")):
        live.load("broken@1", broken.kept, company=True)
    assert torch.equal(logits(live.model), logits(bare(job)))
    for guest in job.guests:
        if guest.reference == "two@1":
            live.load(guest.reference, guest.kept, company=True)
        live.use(guest.reference)
        assert torch.equal(logits(live.model), alone(job, guest))


def test_who_changes_the_base_itself_answers_alone_or_not_at_all(world: World) -> None:
    for name, why in (("full", "replaces the base's own weights"), ("biased", "changes the base's own biases")):
        job = of(name, apart=False)
        (guest,) = job.guests
        live = LiveAdapters(bare(job))
        live.load(guest.reference, guest.kept, company=False)
        assert live.use(guest.reference) is None
        assert torch.equal(logits(live.model), alone(job, guest))
        other = of("one").guests[0]
        with pytest.raises(UsageError, match=f"{name}@1 can only be used alone: it {why}"):
            live.use("")
        with pytest.raises(UsageError, match=f"{name}@1 can only be used alone: it {why}"):
            live.load("one@1", other.kept, company=True)
        beside = LiveAdapters(bare(job))
        beside.load("one@1", other.kept, company=True)
        with pytest.raises(UsageError, match=f"{name}@1 can only be used alone"):
            beside.load(guest.reference, guest.kept, company=True)


def test_an_adapter_of_other_weights_is_refused(world: World) -> None:
    job = of("one", "two")
    other = replace(job.guests[1].kept, weights_digest="0" * 64)
    live = LiveAdapters(bare(job))
    with pytest.raises(StoreError, match="are not those that this adapter was trained on"):
        live.load("two@1", other, company=True)
    live.load("one@1", job.guests[0].kept, company=True)
    with pytest.raises(StoreError, match="two@1 was trained on other weights, or with another RoPE"):
        live.load("two@1", other, company=True)


class Asked:
    """Requests that are known beforehand; ``stop_after`` tokens of the first one, nobody wants more."""

    def __init__(self, requests: Sequence[Request], stop_after: int = 10_000) -> None:
        self._requests, self._left = requests, stop_after

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def stopped(self, number: int) -> bool:
        self._left -= 1
        return number == 1 and self._left < 0


def serve(
    job: ServeJob, folder: Path, monkeypatch: pytest.MonkeyPatch, *requests: Request, stop_after: int = 10_000
) -> list[dict[str, Any]]:
    """The job, carried out in this process; all of its events."""
    monkeypatch.setattr(serving, "Requests", lambda descriptor, events: Asked(requests, stop_after))
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_bytes(to_json(job))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    descriptor = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        serving.serve_job(folder, Events(descriptor), -1)
    finally:
        os.close(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def asks(who: Sequence[str], questions: Sequence[str] = QUESTIONS) -> tuple[Ask, ...]:
    return tuple(
        Ask(who=each, conversation=Conversation((Message("user", question),))) for question in questions for each in who
    )


def request(number: int, given: tuple[Ask, ...], tokens: int = 12, **more: Any) -> Request:
    return Request(answer=AnswerRequest(number=number, asks=given, max_new_tokens=tokens, **more))


def answers(events: Sequence[Mapping[str, Any]], number: int = 1) -> dict[int, str]:
    return {e["index"]: e["text"] for e in events if e["event"] == "answer" and e["number"] == number}


def only(events: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event for event in events if event["event"] == kind]


def test_a_batch_of_several_adapters_says_what_each_says_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = of(*TOGETHER)
    who = [*(guest.reference for guest in job.guests), ""]
    given = asks(who)
    events = serve(job, tmp_path / "job", monkeypatch, request(1, given))
    found = answers(events)
    assert sorted(found) == list(range(len(given)))
    for name, reference in zip((*TOGETHER, str(world.model)), who, strict=True):
        expected = answer(name, QUESTIONS, registry(), lambda e: None, 12, start=start_in_process)
        assert [found[i] for i, ask in enumerate(given) if ask.who == reference] == expected, name
    assert len(set(found.values())) > len(QUESTIONS)
    (end,) = only(events, "answered")
    assert end["mixed"] == sorted(["", *(f"{name}@1" for name in MIXED)])
    assert [event["who"] for event in only(events, "swapped")] == [
        "saved@1",
        "also-saved@1",
        "dora@1",
        "loha@1",
        "ia3@1",
    ]
    assert len(only(events, "load")) == 1


def test_one_more_adapter_comes_without_the_base_being_loaded_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, more = of("one"), of("two").guests[0]
    broken = copied(more, tmp_path / "broken", lacking)
    events = serve(
        job, tmp_path / "job", monkeypatch,
        request(1, asks(["one@1"])), Request(load=replace(broken, reference="broken@1")), Request(load=more),
        request(2, asks(["two@1"])), request(3, asks(["one@1"])), request(4, asks(["broken@1"])),
    )  # fmt: skip
    assert len(only(events, "load")) == 1
    assert [event["who"] for event in only(events, "loaded")] == ["one@1", "two@1"]
    assert [event["who"] for event in only(events, "swapped")] == ["one@1", "two@1", "one@1"]
    assert all(event["seconds"] > 0 for event in only(events, "swapped"))
    lacks, nobody = only(events, "refused")
    assert "lacks 1 tensors" in lacks["message"]
    assert nobody["message"] == "broken@1 is not loaded; there are: one@1, two@1"
    for number, name in ((1, "one"), (2, "two"), (3, "one")):
        expected = answer(name, QUESTIONS, registry(), lambda e: None, 12, start=start_in_process)
        assert answers(events, number) == dict(enumerate(expected))
    assert events[-1]["event"] == "done"


def test_pieces_of_an_answer_make_it_up_and_a_stop_ends_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = of("one")
    given = asks([""], ["hi"])
    events = serve(job, tmp_path / "job", monkeypatch, request(1, given, 40, stream=True))
    (whole,) = only(events, "answer")
    pieces = only(events, "delta")
    assert len(pieces) > 3
    assert "".join(piece["text"] for piece in pieces) == whole["text"]
    assert events.index(pieces[0]) < events.index(pieces[-1]) < events.index(whole)
    assert 0 < whole["first"] < whole["seconds"]
    events = serve(
        job, tmp_path / "job", monkeypatch,
        request(1, asks(["", "one@1"], ["hi"] * 70), 40), request(2, given, 40), stop_after=6,
    )  # fmt: skip
    first, second = (event for event in events if event["event"] == "answered")
    assert (first["stopped"], second["stopped"]) == (True, False)
    cut = [event for event in only(events, "answer") if event["number"] == 1]
    assert len(cut) == 64, "the batches after the one that was stopped are answered all the same"
    assert any(event["stopped"] for event in cut)
    assert all(event["tokens"] <= 7 for event in cut)
    assert answers(events, 2)[0] == whole["text"]


def test_sampling_is_by_its_seed(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, given = of("one"), asks(["one@1"], ["hi"])
    chosen = [Sampling(temperature=1.5, seed=seed) for seed in (1, 2, 1)] + [Sampling(temperature=1.5, top_p=1e-9)]
    events = serve(
        job, tmp_path / "job", monkeypatch,
        *(request(i, given, 30, sampling=each) for i, each in enumerate([*chosen, Sampling()], 1)),
    )  # fmt: skip
    one, two, again, likeliest, greedy = (answers(events, i)[0] for i in range(1, 6))
    assert one == again
    assert one != two
    assert likeliest == greedy != one


def test_a_conversation_that_grew_too_long_loses_its_oldest_turns(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [m for i in range(12) for m in (Message("user", f"question {i} " * 3), Message("assistant", "no"))]
    long = Conversation((Message("system", "Be terse."), *turns, Message("user", "and now?")))
    kept = replace(long, messages=(long.messages[0], *long.messages[1 + 2 * 11 :]))
    huge = Conversation((*turns, Message("user", "words " * 200)))
    events = serve(
        of("one"), tmp_path / "job", monkeypatch,
        request(1, (Ask(who="one@1", conversation=long),), 10, fit=True),
        request(2, (Ask(who="one@1", conversation=kept),), 10),
        request(3, (Ask(who="one@1", conversation=long), Ask(who="", conversation=kept)), 10),
        request(4, (Ask(who="one@1", conversation=huge),), 10, fit=True),
    )  # fmt: skip
    shorter, _, whole, base, never = sorted(only(events, "answer"), key=lambda e: (e["number"], e["index"]))
    assert shorter["dropped"] > 0
    assert shorter["prompt_tokens"] + 10 <= 128
    assert (whole["fits"], whole["text"], whole["tokens"], base["fits"]) == (False, "", 0, True)
    assert (never["fits"], never["dropped"]) == (False, 12)
