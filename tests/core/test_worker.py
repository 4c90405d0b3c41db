"""The worker's own pieces: order, batches, learning rate, proof, events."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from graftlm.contracts.config import RunConfig
from graftlm.contracts.errors import DataError, Interrupted, ModelError, PluginError, RunError
from graftlm.contracts.job import TrainJob
from graftlm.contracts.outcome import Proof
from graftlm.contracts.plan import Plan, TrainingPlan
from graftlm.encoding.rows import EncodedRows
from graftlm.planning.resolve import resolve
from graftlm.running.train import carry_out
from graftlm.testing.in_process import start_in_process
from graftlm.worker.batches import MicroBatches, Steps, collate, draw_order
from graftlm.worker.checkpointing import Checkpointing
from graftlm.worker.context import RunContext
from graftlm.worker.digest import base_digest
from graftlm.worker.draws import Draws
from graftlm.worker.events import Events
from graftlm.worker.load import load_base
from graftlm.worker.proof import POSITIONS, proof_logits, prove, text_logits
from graftlm.worker.schedule import learning_rate
from graftlm.worker.targets import resolve_target
from graftlm_plugins.methods.lora_tuner import LoraTuner
from graftlm_registry.plugins import registry

TRAINING = TrainingPlan(
    epochs=2, steps=10, batch_size=4, micro_batch=2, learning_rate=0.01, schedule="cosine", warmup_steps=2,
    weight_decay=0, max_grad_norm=1, seed=5, eval_every=5,
)  # fmt: skip


def rows_of(lengths: Sequence[int]) -> EncodedRows:
    total = sum(lengths)
    ids = np.arange(20, 20 + total, dtype=np.int32)
    return EncodedRows(ids, ids.copy(), np.cumsum([0, *lengths], dtype=np.int64), np.arange(len(lengths)))


def test_every_pass_over_the_data_sees_each_sample_once() -> None:
    order = draw_order([3] * 10, replace(TRAINING, steps=5))
    assert [len(samples) for samples in order] == [4] * 5
    flat = [sample for samples in order for sample in samples]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]
    assert order == draw_order([3] * 10, replace(TRAINING, steps=5))
    assert order != draw_order([3] * 10, replace(TRAINING, steps=5, seed=6))


def test_batches_are_padded_on_the_right_and_masked_by_length() -> None:
    batch = collate(rows_of([3, 5]), [0, 1])
    assert batch.ids.tolist() == [[20, 21, 22, 0, 0], [23, 24, 25, 26, 27]]
    assert batch.mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.labels[0].tolist() == [20, 21, 22, -100, -100]
    assert (batch.tokens, batch.trained) == (8, 6)  # the first token of a row has nothing before it


def test_micro_batches_are_the_steps_cut_up() -> None:
    rows, order = rows_of([3, 5, 2, 4]), [[0, 1, 2], [3, 0, 1]]
    steps, parts = Steps(rows, order, 2), MicroBatches(rows, order, 2)
    flat = [batch for step in steps for batch in step.batches]
    assert len(parts) == len(flat) == 4
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(parts, flat, strict=True))
    assert [step.trained for step in steps] == [sum(b.trained for b in step.batches) for step in steps]
    assert [steps.tokens(i) for i in range(2)] == [10, 12]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_is_transformers_own(schedule: str) -> None:
    from transformers import get_scheduler

    plan = replace(TRAINING, schedule=schedule)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plan.learning_rate)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=plan.warmup_steps, num_training_steps=plan.steps)
    for step in range(plan.steps):
        assert learning_rate(step, plan) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


@pytest.fixture
def plan(home: Path, alpaca: Path) -> Plan:
    return resolve(RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=2, retention=False), registry())


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    import signal

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    descriptor = os.open(tmp_path / "events.jsonl", os.O_WRONLY | os.O_CREAT)
    yield Events(descriptor)
    os.close(descriptor)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def context_of(plan: Plan, events: Events, tmp_path: Path) -> RunContext:
    rows = rows_of([3, 5])
    job = TrainJob(run="run", model="", staged="")
    context = RunContext(
        plan=plan, events=events, folder=tmp_path, encoded=tmp_path, scratch=tmp_path, rows=rows, validation=None,
        order=[[0, 1], [1, 0]], parent=None, checkpointing=Checkpointing(tmp_path, plan.hash, job, events), found=None,
        draws=Draws("cpu", 0), loss=lambda model: None,
        load=lambda: pytest.fail("nothing is loaded here"), place=lambda model: None,
        measure=lambda model, packing: None, first_step=lambda model: None,  # type: ignore[arg-type,return-value]
        base=str, flops=lambda lengths: 0.0, memory=None, began=0.0,
    )  # fmt: skip
    context.start()
    return context


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_a_loss_that_is_no_number_stops_the_run(
    plan: Plan, events: Events, tmp_path: Path, loss: float, norm: float
) -> None:
    context = context_of(plan, events, tmp_path)
    with pytest.raises(RunError, match=r"at step 1 \(samples 0, 1\).*--learning-rate"):
        context.stepped(step=0, loss=loss, tokens=8, gradient_norm=norm, model=None)


def test_a_backend_that_skips_a_step_is_found_out(plan: Plan, events: Events, tmp_path: Path) -> None:
    context = context_of(plan, events, tmp_path)
    with pytest.raises(RunError, match="reported step 2 after step 0"):
        context.stepped(step=1, loss=1.0, tokens=8, gradient_norm=1.0, model=None)


def test_a_closed_pipe_means_that_nobody_supervises() -> None:
    import signal

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    read_end, write_end = os.pipe()
    events = Events(write_end)
    events.checkpoint()
    os.close(read_end)
    with pytest.raises(Interrupted, match="nobody supervises"):
        events.checkpoint()
    with pytest.raises(Interrupted, match="nobody supervises"):
        events.send("progress")
    os.close(write_end)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def fresh(plan: Plan) -> Any:
    return load_base(plan.load, Path(plan.model.folder), "cpu").model


def staged_adapter(plan: Plan, folder: Path, scale: float) -> torch.Tensor:
    """An adapter whose B matrices are ``scale`` everywhere, saved to a folder; its logits."""
    tuner = LoraTuner()
    tuned = tuner.attach(fresh(plan), plan.method, None)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.fill_(scale)
    tuner.save(tuned, folder)
    return proof_logits(tuned, ROWS, "cpu")


ROWS = rows_of([3, 5])


def proved(plan: Plan, folder: Path, trained: torch.Tensor, digest: str = "", tuner: Any = None) -> Proof:
    base = fresh(plan)
    seen: list[str] = []
    _, proof = prove(
        trained, base, digest or base_digest(base), tuner or LoraTuner(), folder, ROWS, "cpu",
        lambda bare: seen.append(base_digest(bare)),
    )  # fmt: skip
    assert seen == [proof.base_after]  # what is scored as "before" is the bare base
    return proof


def test_the_proof_measures_the_effect_and_the_reload(plan: Plan, tmp_path: Path) -> None:
    trained = staged_adapter(plan, tmp_path, 0.1)
    proof = proved(plan, tmp_path, trained)
    assert proof.effect > 0.1
    assert proof.reload == 0
    assert proof.base_before == proof.base_after


@pytest.mark.parametrize("scale", [0.0, 1e-12])
def test_an_adapter_without_effect_is_refused(plan: Plan, tmp_path: Path, scale: float) -> None:
    """Rounding is no effect."""
    trained = staged_adapter(plan, tmp_path, scale)
    with pytest.raises(RunError, match="changes nothing"):
        proved(plan, tmp_path, trained)


@pytest.mark.parametrize("scale", [1e-3, 0.1])
def test_a_reload_that_loads_nothing_is_refused(plan: Plan, tmp_path: Path, scale: float) -> None:
    class Forgetful(LoraTuner):
        def apply(self, model: Any, folder: Path) -> Any:
            return model

    trained = staged_adapter(plan, tmp_path, scale)
    with pytest.raises(RunError, match="other logits"):
        proved(plan, tmp_path, trained, tuner=Forgetful())


def test_staged_files_of_another_adapter_are_refused(plan: Plan, tmp_path: Path) -> None:
    trained = staged_adapter(plan, tmp_path / "one", 0.1)
    staged_adapter(plan, tmp_path / "other", 0.2)
    with pytest.raises(RunError, match="other logits"):
        proved(plan, tmp_path / "other", trained)


def test_logits_that_are_no_numbers_are_not_called_an_adapter_without_effect(plan: Plan, tmp_path: Path) -> None:
    trained = staged_adapter(plan, tmp_path, 0.1)
    with pytest.raises(RunError, match="infinite or no numbers"):
        proved(plan, tmp_path, trained * math.nan)


def test_a_base_that_changed_is_refused(plan: Plan, tmp_path: Path) -> None:
    trained = staged_adapter(plan, tmp_path, 0.1)
    with pytest.raises(RunError, match="others than when training began"):
        proved(plan, tmp_path, trained, digest="another digest")


def test_the_digest_sees_one_changed_weight_and_one_moved_bit_of_a_buffer(plan: Plan) -> None:
    one, other = fresh(plan), fresh(plan)
    assert base_digest(one) == base_digest(other)
    with torch.no_grad():
        next(other.parameters())[0, 0] += 1
    assert base_digest(one) != base_digest(other)


def test_few_logits_are_computed_where_few_are_compared(plan: Plan) -> None:
    """With a large vocabulary the logits of all tokens would take gigabytes."""
    model, asked = fresh(plan), []
    forward = model.forward
    model.forward = wraps(forward)(lambda **said: asked.append(said) or forward(**said))
    found = text_logits(model, [list(range(20, 200))], "cpu")
    assert found.shape[0] == POSITIONS
    assert [said["logits_to_keep"] for said in asked] == [POSITIONS]


def test_an_attention_that_is_not_the_plan_s_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    load = AutoModelForCausalLM.from_pretrained

    def other(folder: Path, **arguments: Any) -> Any:
        return load(folder, **{**arguments, "attn_implementation": "eager"})

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", other)
    with pytest.raises(RunError, match="says sdpa attention, and eager was loaded"):
        load_base(plan.load, Path(plan.model.folder), "cpu")


def test_weights_that_cannot_be_read_are_one_sentence(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(plan.model.folder, folder)
    (folder / "model.safetensors").write_bytes(b"these are no tensors")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(plan.load, folder, "cpu")


def test_weights_that_are_missing_are_not_drawn_at_random(plan: Plan, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "base"
    shutil.copytree(plan.model.folder, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.0.mlp.dense_h_to_4h.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of tiny-falcon: 1 tensors.*dense_h_to_4h"):
        load_base(plan.load, folder, "cpu")


def test_targets_resolve_late_and_fail_in_a_sentence() -> None:
    assert resolve_target("graftlm_plugins.methods.lora_tuner:LoraTuner") is LoraTuner
    with pytest.raises(PluginError, match="cannot be imported"):
        resolve_target("graftlm_plugins.nothing:Here")
    with pytest.raises(PluginError, match="has no Nothing"):
        resolve_target("graftlm_plugins.methods.lora:Nothing")


def test_rows_that_are_too_long_stop_the_run_or_are_counted(
    home: Path, write_rows: Callable[[str, Sequence[Any]], Path]
) -> None:
    rows = [{"input": f"q{i}", "output": "a" * (200 if i < 2 else 3)} for i in range(30)]

    def train(rows: list[dict[str, str]]) -> tuple[Any, list[Any]]:
        data, heard = write_rows("rows.jsonl", rows), []
        config = RunConfig(
            data=str(data),
            model="tiny-falcon",
            max_steps=2,
            max_length=64,
            retention=False,
            val_split=0.0,
            test_split=0.0,
        )
        trained = carry_out(resolve(config, registry()), registry(), heard.append, start=start_in_process)
        return trained.outcome.encoding, [event["message"] for event in heard if event["event"] == "warning"]

    counts, warnings = train(rows)
    assert (counts.rows, counts.used, counts.too_long) == (30, 28, 2)
    assert warnings == ["2 of 30 train rows were left out: 2 too long, 0 with nothing to train on"]
    with pytest.raises(DataError, match="10 of 20 rows are longer than --max-length 64"):
        train([{"input": f"q{i}", "output": "a" * (200 if i < 10 else 3)} for i in range(20)])


def test_bf16_trains_with_the_adapter_in_fp32(home: Path, alpaca: Path) -> None:
    config = RunConfig(data=str(alpaca), model="tiny-mistral", max_steps=3, dtype="bf16", retention=False)
    outcome = carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process).outcome
    assert outcome.effective.dtype == "bf16"
    assert outcome.proof.effect > 0


def test_the_probe_answers_on_stdout_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graftlm.worker", "--probe"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["devices"][-1]["type"] == "cpu"
    assert found["versions"]["torch"]


def test_the_probe_is_asked_again_when_packages_change(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.environments import probing

    known = probing.signature()
    monkeypatch.setattr(probing, "versions", lambda: {"torch": "9.9"})
    assert probing.signature() != known
    (home / "probes").unlink()
    asked = SimpleNamespace(count=0)
    real = probing.ask

    def ask(at: Any) -> Any:
        asked.count += 1
        return real(at)

    monkeypatch.setattr(probing, "ask", ask)
    first = probing.probe()
    assert probing.probe() == first
    assert asked.count == 1


def test_fp16_may_overflow_now_and_then(plan: Plan, events: Events, tmp_path: Path) -> None:
    """The gradient scaler finds its scale that way; a run of overflows is something else."""
    context = context_of(replace(plan, load=replace(plan.load, dtype="fp16")), events, tmp_path)
    context._order = [[0, 1]] * 100
    for step in range(20):
        context.stepped(step=step, loss=1.0, tokens=8, gradient_norm=math.inf, model=None)
    context.stepped(step=20, loss=1.0, tokens=8, gradient_norm=1.0, model=None)
    for step in range(21, 41):
        context.stepped(step=step, loss=1.0, tokens=8, gradient_norm=math.inf, model=None)
    with pytest.raises(RunError, match="gradient norm inf at step 42"):
        context.stepped(step=41, loss=1.0, tokens=8, gradient_norm=math.inf, model=None)


def test_a_model_s_own_generation_settings_do_not_apply(plan: Plan, tmp_path: Path) -> None:
    """Greedy is greedy, whatever beams and penalties a generation_config.json asks for."""
    from graftlm.worker.load import from_files

    folder = tmp_path / "base"
    shutil.copytree(plan.model.folder, folder)
    (folder / "generation_config.json").write_text(json.dumps({"num_beams": 4, "repetition_penalty": 9.0}))
    settings = from_files(plan.load, folder).generation_config
    assert settings.num_beams in (None, 1)
    assert settings.repetition_penalty in (None, 1.0)


def test_a_character_that_the_tokenizer_does_not_know_is_kept_as_unknown() -> None:
    from tokenizers import AddedToken, Tokenizer, models

    from graftlm.encoding.tokenizing import SpanTokenizer

    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "a": 1, "b": 2}, [], unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken("<unk>"), AddedToken("<s>")])
    assert SpanTokenizer(tokenizer.to_str()).words("a\u00e9b") == [1, 0, 2]


def test_one_step_teaches_something(home: Path, alpaca: Path) -> None:
    config = RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=1, retention=False)
    outcome = carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process).outcome
    assert outcome.proof.effect > 0


def test_an_adapter_names_its_base_and_no_path(home: Path, alpaca: Path) -> None:
    from graftlm_registry.adapters import open_store

    config = RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=1, retention=False, name="named")
    carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process)
    settings = json.loads((open_store().path("named") / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "tiny-falcon"


def test_an_old_skill_of_the_adapter_s_name_keeps_its_own_score(home: Path, alpaca: Path) -> None:
    from graftlm.cli.scores import pairs

    config = RunConfig(data=str(alpaca), model="tiny-falcon", max_steps=1, name="reverse")
    trained = carry_out(resolve(config, registry()), registry(), lambda e: None, start=start_in_process)
    found = {
        before.role: (before.n, after.n)
        for before, after in pairs(trained.record.scores)
        if before.evaluation == "reverse"
    }
    assert found["old"] == (50, 50)
    assert found["new"][0] == found["new"][1] != 50


def test_thoughts_and_blank_lines_are_not_asked_of_an_answer() -> None:
    from graftlm.contracts.specs import PromptTemplate

    said = registry().get(PromptTemplate, "qwen3").said
    assert said("<think>\nhm\n</think>\n\n4") == "4"
    assert registry().get(PromptTemplate, "falcon-instruct").said("a\n\nb ") == "a\nb"


@pytest.mark.parametrize(
    ("device", "total", "available", "thrifty"),
    [
        ("cpu", 6 << 30, 7 << 30, True),
        ("cpu", 6 << 30, 9 << 30, False),  # new pages for each tensor would take more time than all else
        ("cpu", 1 << 20, 1 << 20, False),
        ("cuda", 6 << 30, 7 << 30, False),
    ],
)
def test_a_worker_on_a_cpu_hands_memory_back_where_it_is_short(
    tmp_path: Path, device: str, total: int, available: int, thrifty: bool
) -> None:
    from graftlm.running.worker_process import THRIFTY, _thrift

    (tmp_path / "plan.json").write_text(
        json.dumps({"device": device, "memory": {"total": total, "available": available}})
    )
    assert _thrift(tmp_path) == (THRIFTY if thrifty else {})
    assert _thrift(tmp_path / "nowhere") == {}
