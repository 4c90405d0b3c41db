"""What a family's facts are held against: tiny models of its types, and PEFT's adapters on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.contracts.model import LinearShape, ModelShape

from .tiny_models import CONTEXT, build, inverse_frequencies, linear_layers, logits, lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_shape(shape: ModelShape, model: PreTrainedModel, name: str) -> None:
    """All that can be seen of a model whose weights may be nowhere (on torch's meta device)."""
    text = model.config.get_text_config()
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    experts = [p for m in model.modules() if type(m).__name__.endswith("Experts") for p in m.parameters(False)]
    seen: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "hidden": text.hidden_size,
        "layers": text.num_hidden_layers,
        "heads": text.num_attention_heads,
        "vocabulary": text.vocab_size,
        "context": text.max_position_embeddings,
        "tied": embeddings.weight is head.weight,
        "experts": sum(p.numel() for p in experts),
        "active_experts": sum(p.numel() // len(p) * text.num_experts_per_tok for p in experts),
    }
    for field, found in seen.items():
        said = getattr(shape, field)
        assert said == found, f"{name}: the shape's {field} is {said}, and the model has {found}"
    found = Counter(
        (path.rpartition(".")[2], layer.in_features, layer.out_features, layer.bias is not None)
        for path, layer in linear_layers(model).items()
    )
    odd = _counted(shape.linear) - found or found - _counted(shape.linear)
    assert not odd, f"{name}: the shape's linear layers and the model's differ in {', '.join(map(str, odd))}"


def unfaithful(config: Mapping[str, Any], targets: Sequence[str]) -> str:
    """What PEFT does, where it does not adapt the linear layers of these names, all of them and nothing else."""
    base = build(config)
    wanted = {path for path in linear_layers(base) if path.rpartition(".")[2] in targets}
    try:
        model = lora(base, targets)
    except ValueError as error:
        return f"refuses: {str(error).splitlines()[0]}"
    found = {
        path.removeprefix("base_model.model.") for path, module in model.named_modules() if hasattr(module, "lora_A")
    }
    if missed := sorted(wanted - found):
        return f"leaves out {', '.join(missed[:3])}"
    if more := sorted(found - wanted):
        return f"adapts {', '.join(more[:3])} as well"
    settings = model.peft_config["default"]
    rewritten = settings.target_parameters or settings.rank_pattern
    return f"rewrites the settings to {rewritten}" if rewritten else ""


def packing_error(model: PreTrainedModel) -> float:
    """Largest difference between the logits of samples packed into one row and those of each alone."""
    import torch

    rows = [torch.arange(3, 3 + n) % model.config.get_text_config().vocab_size for n in (5, 9, 2)]
    with torch.inference_mode():
        alone = torch.cat([logits(model, row[None])[0] for row in rows])
        positions = torch.cat([torch.arange(len(row)) for row in rows])[None]
        packed = logits(model, torch.cat(rows)[None], position_ids=positions)[0]
    return float((alone - packed).abs().max())


def difference(one: PreTrainedModel, other: PreTrainedModel, tokens: int) -> float:
    """Largest difference of the logits on the same tokens."""
    import torch

    ids = torch.randint(3, one.config.get_text_config().vocab_size, (1, tokens), generator=torch.manual_seed(1))
    with torch.inference_mode():
        return float((logits(one, ids) - logits(other, ids)).abs().max())


def key_heads(model: PreTrainedModel) -> tuple[int, int]:
    """The size of a head and the number of key heads, as they are kept while the model generates."""
    import torch

    with torch.inference_mode():
        kept = model(input_ids=torch.arange(3, 8)[None], use_cache=True).past_key_values
    keys = next(k for k in (getattr(layer, "keys", None) for layer in kept.layers) if k is not None)
    return keys.shape[3], keys.shape[1]


def _counted(layers: Sequence[LinearShape]) -> Counter[tuple[str, int, int, bool]]:
    total: Counter[tuple[str, int, int, bool]] = Counter()
    for layer in layers:
        total[layer.name, layer.inputs, layer.outputs, layer.bias] += layer.count
    return total


def check_frequencies(kind: str, plain: PreTrainedModel, scaled: PreTrainedModel, name: str) -> None:
    """``linear`` halves every frequency; ``yarn`` some of them; ``dynamic`` all but the first, on longer texts only."""
    import torch

    before, after = inverse_frequencies(plain), inverse_frequencies(scaled)
    who = f"{name}: {kind} RoPE scaling"
    assert before.shape == after.shape, f"{who} turns another part of each head"
    if kind == "linear":
        assert torch.allclose(after, before / 2), f"{who} by 2 does not halve the frequencies"
    elif kind == "yarn":
        between = bool((after <= before).all() and (after >= before / 2 * 0.999).all())
        assert between, f"{who} by 2 gives frequencies that are not between the half and the whole"
        assert not torch.allclose(after, before), f"{who} changes no frequency"
    else:
        assert torch.equal(after, before), f"{who} changes frequencies before a text is long"
        with torch.inference_mode():
            logits(scaled, torch.arange(3, 3 + 3 * CONTEXT)[None] % scaled.config.get_text_config().vocab_size)
        longer = inverse_frequencies(scaled)
        assert bool((longer[1:] < before[1:]).all()), f"{who} changes no frequency on a long text"
