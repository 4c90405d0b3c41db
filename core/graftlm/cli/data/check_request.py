"""From the flags of ``graftlm data check`` to what is to be checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graftlm.contracts.config import AUTO, RunConfig
from graftlm.contracts.errors import UsageError

if TYPE_CHECKING:
    from graftlm.checking.passes import CheckRequest
    from graftlm.checking.samples import Prompting
    from graftlm.planning.settings import Settings

SPLITTING = ("val_data", "test_data", "val_split", "test_split", "split_rule")
PROMPTING = (
    "template", "allow_template_mismatch", "max_length", "overlong", "train_on", "thinking", "revision",
)  # fmt: skip
"""Settings that say something only where there is a model."""


def prepared(flags: Mapping[str, Any], near: float) -> CheckRequest:
    """``DataError`` where the data cannot be read at all, ``UsageError`` and ``ModelError`` for the flags."""
    from graftlm.checking.chosen_format import format_for
    from graftlm.checking.passes import CheckRequest
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.conversations import Reading
    from graftlm.planning.data_plan import data_request
    from graftlm.planning.settings import settle
    from graftlm_registry.plugins import registry

    said = {name: value for name, value in flags.items() if value is not None and value != "" and value is not False}
    unsaid = [name for name in PROMPTING if name in said and not flags["model"]]
    if unsaid:
        raise UsageError(f"--{unsaid[0].replace('_', '-')} says something about a model: give --model too")
    config = RunConfig(**said)
    settings = settle(config, {})
    prompting = None
    if flags["model"]:
        prompting, settings = _prompting(config)
    request = data_request(settings.values)
    if settings["format"] == AUTO:
        chosen = format_for(request.data, list(registry().all(DataFormat)), request.columns)
    else:
        chosen = registry().get(DataFormat, settings["format"])
    return CheckRequest(data=request, reading=Reading(chosen, request.columns), near=near, prompting=prompting)


def _prompting(config: RunConfig) -> tuple[Prompting, Settings]:
    from graftlm.chat_templates.own import OwnTemplate
    from graftlm.checking.samples import Prompting
    from graftlm.planning.encoding_plan import max_length, thinks
    from graftlm.planning.prompted_model import prompted_model
    from graftlm.planning.settings import settle
    from graftlm_registry.plugins import registry

    said = config.said()
    model = prompted_model(
        said["model"],
        registry(),
        template=said.get("template", AUTO),
        revision=said.get("revision", ""),
        offline=bool(said.get("offline")),
        allow_mismatch=bool(said.get("allow_template_mismatch")),
    )
    settings = settle(config, {"model": model.description.suggestions})
    thinks(settings["thinking"], model.template, thoughts=False)  # refuses what cannot be
    prompting = Prompting(
        model=model.description.name,
        template=model.template,
        tokenizer=model.tokenizer,
        problems=model.problems,
        max_length=max_length(settings, model.description.name, model.positions),
        overlong=settings["overlong"],
        train_on=settings["train_on"],
        thinking=settings["thinking"],
        added_tokens=OwnTemplate.from_folder(model.description.folder).added_tokens,
    )
    return prompting, settings
