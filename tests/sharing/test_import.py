"""``adapters import``: what other tools made is proved, kept, and used like any other; what does not fit is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from graftlm.contracts.errors import GraftlmError
from graftlm.running import merge as merging
from graftlm.running.answer import answer
from graftlm.sharing.bring_in import BroughtIn, bring
from graftlm.sharing.export import export
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

TRL = Path(__file__).parents[1] / "data" / "adapters" / "trl"
BASE = "tiny-mistral"
SAMPLE = torch.arange(8, 72)[None]
CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"

pytestmark = pytest.mark.usefixtures("home")


def base_model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(catalogue().entry(BASE).folder, dtype=torch.float32)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=SAMPLE, use_cache=False).logits
    return found


def with_peft(folder: Path) -> torch.Tensor:
    """As anybody loads it."""
    from peft import PeftModel

    return logits(PeftModel.from_pretrained(base_model(), folder))


def plain_peft(folder: Path, *, seed: int = 0, **more: Any) -> Path:
    """What PEFT itself saves, with an effect."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], **more}
    model = get_peft_model(base_model(), LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder)
    return folder


def imported(source: Path, **more: Any) -> BroughtIn:
    return bring(str(source), registry(), lambda event: None, start=start_in_process, **more)


def made_by_peft(folder: Path) -> Path:
    return plain_peft(folder / "made")


def made_by_trl(folder: Path) -> Path:
    shutil.copytree(TRL, folder / "made")
    (folder / "made" / "training_args.bin").write_bytes(b"\x80\x04N.")  # as TRL leaves it there
    return folder / "made"


def made_with_a_pattern(folder: Path) -> Path:
    """As Unsloth names its targets."""
    pattern = r"(?:.*?(?:self_attn|mlp).*?(?:q_proj|down_proj).*?)"
    return plain_peft(folder / "made", target_modules=pattern)


def made_with_dora(folder: Path) -> Path:
    return plain_peft(folder / "made", use_dora=True, rank_pattern={r"layers\.0\..*q_proj": 2})


@pytest.mark.parametrize("make", [made_by_peft, made_by_trl, made_with_a_pattern, made_with_dora])
def test_shown_merged_and_exported_it_is_the_same_adapter(
    make: Callable[[Path], Path], tmp_path: Path, run: Callable[..., Any]
) -> None:
    """Equal logits, by PEFT alone, before and after."""
    source = make(tmp_path)
    before = with_peft(source)
    done = imported(source, base=BASE, name="theirs")
    record = done.record
    assert (record.reference, record.origin, record.base.name, done.proved) == ("theirs@1", "imported", BASE, True)
    assert record.proof.effect > 0.1
    assert record.effective.adapted_layers == len(adapted(source))
    shown = run("adapters", "show", "theirs")
    assert "imported: nothing is known of its training" in shown.out
    assert re.search(r"found at +.*/made", shown.out.replace("\n", ""))
    listed = run("adapters", "list", "--origin", "imported", "--json")
    assert [each["name"] for each in json.loads(listed.out)] == ["theirs"]
    export("theirs", tmp_path / "out", registry())
    assert torch.equal(with_peft(tmp_path / "out"), before)
    merged = merging.merge("theirs", tmp_path / "whole", registry(), lambda event: None, start=start_in_process)
    assert merged.difference < 1e-3 * merged.effect
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole", dtype=torch.float32)
    assert torch.allclose(logits(whole), before, atol=1e-3)


def adapted(folder: Path) -> set[str]:
    from safetensors.torch import load_file

    return {name.rpartition(".lora_A")[0] for name in load_file(folder / TENSORS) if ".lora_A" in name}


def test_it_answers_as_it_was_trained_to(tmp_path: Path) -> None:
    """TRL's adapter, in its base's own template."""
    imported(made_by_trl(tmp_path), name="theirs")
    say = partial(answer, registry=registry(), on_event=lambda event: None, max_new_tokens=6, start=start_in_process)
    (theirs,), (bare,) = say("theirs", ["Say moon backwards."]), say(BASE, ["Say moon backwards."])
    assert theirs != bare


def test_the_same_again_is_the_version_that_is_there(tmp_path: Path) -> None:
    source = made_by_peft(tmp_path)
    first, again = (imported(source, base=BASE, name="theirs").record for _ in range(2))
    assert first == again
    other = plain_peft(tmp_path / "other", seed=1)
    assert imported(other, base=BASE, name="theirs").record.reference == "theirs@2"


def test_what_was_exported_comes_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its record, into a store of another machine; nothing has to be loaded to prove it again."""
    record = imported(made_by_trl(tmp_path), name="theirs").record
    export("theirs", tmp_path / "theirs.tar.gz", registry(), archive=True)
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "elsewhere"))
    back = bring(str(tmp_path / "theirs.tar.gz"), registry(), lambda event: None, start=never, name="mine")
    assert (back.record.reference, back.proved) == ("mine@1", False)
    assert back.record.digest == record.digest
    assert back.record.proof == record.proof
    assert bring(str(tmp_path / "theirs.tar.gz"), registry(), lambda event: None, start=never).record.name == "theirs"


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a worker was started")


def renamed(folder: Path) -> Path:
    """Tensors of another model."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / TENSORS)
    save_file({name.replace("layers.0", "layers.9"): tensor for name, tensor in tensors.items()}, folder / TENSORS)
    return folder


def without_effect(folder: Path) -> Path:
    from safetensors.torch import load_file, save_file

    tensors = {n: torch.zeros_like(t) if "lora_B" in n else t for n, t in load_file(folder / TENSORS).items()}
    save_file(tensors, folder / TENSORS)
    return folder


def with_a_strangers_template(folder: Path) -> Path:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}<<{{ m.role }}>>{{ m.content }}{% endfor %}")
    return folder


def with_an_endless_template(folder: Path) -> Path:
    (folder / "chat_template.jinja").write_text(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
        "{% endfor %}"
    )
    return folder


def changed(**fields: Any) -> Callable[[Path], Path]:
    def change(folder: Path) -> Path:
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**config, **fields}))
        return folder

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (renamed, "made/adapter_model.safetensors lacks 4 tensors of the adapter"),
        (without_effect, "changes nothing"),
        (with_a_strangers_template, "brings a chat template of its own"),
        (with_an_endless_template, "chat template"),
        (changed(base_model_name_or_path=None), "does not say which base model it is for"),
        (changed(base_model_name_or_path="/nowhere/model"), "/nowhere/model"),
        (changed(auto_mapping={"base_model_class": "X", "parent_library": "os"}), "auto_mapping"),
        (changed(r=64), "is (4, 128) in the file, and (64, 128)"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    spoil: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    source = spoil(made_by_trl(tmp_path))
    with pytest.raises(GraftlmError, match=re.escape(said)):
        imported(source, name="theirs")
    store = open_store()
    assert not store.names()
    assert not list((store.root / "objects").iterdir())
    assert not list((store.root / "staging").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere is not there"),
        (("{made}", "--name", "../x"), "is not a name for an adapter"),
        (("{made}", "--base", "tiny-mistrul"), "tiny-mistral"),
        (("{made}", "--template", "mistrul"), "mistral"),
    ],
)
def test_wrong_words_are_one_sentence(
    arguments: tuple[str, ...], said: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    made = made_by_trl(tmp_path)
    done = run("adapters", "import", *(word.format(made=made) for word in arguments))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not open_store().names()
