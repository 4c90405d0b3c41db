"""``graftlm templates render NAME``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .model import for_model

if TYPE_CHECKING:
    from graftlm.contracts.conversation import Conversation


@click.command()
@click.argument("name")
@click.option(
    "--messages",
    required=True,
    metavar="FILE|-",
    help="JSON: a list of messages (role, content), or an object with messages and tools.",
)
@click.option("--generation-prompt", is_flag=True, help="End where the model is to go on.")
@click.option(
    "--thinking",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Ask a reasoning model to reason, or not to.",
)
@click.option("--as-trained", is_flag=True, help="With the ends of turns that training adds to the model's own text.")
@click.option("--model", default="", metavar="M", help="Make the template for this model, where that matters.")
def render(name: str, messages: str, generation_prompt: bool, thinking: str, as_trained: bool, model: str) -> None:
    """Print messages exactly as the template NAME renders them: control tokens as their text, and nothing added."""
    from graftlm.contracts.conversation import RenderOptions
    from graftlm.contracts.errors import DataError, UsageError

    template = for_model(name, model)
    conversation = _conversation(messages)
    if conversation.uses_tools and not template.tools:
        raise UsageError(f"the template '{template.name}' has no form for tools")
    options = RenderOptions(generation_prompt=generation_prompt, thinking=thinking == "on")
    spans = template.render(conversation, options)
    text = "".join(span.text for span in spans if as_trained or not span.added)
    try:
        sys.stdout.buffer.write(text.encode())
    except UnicodeEncodeError:
        raise DataError("the messages hold half a surrogate pair, which is no character") from None
    sys.stdout.buffer.flush()


def _conversation(place: str) -> Conversation:
    from graftlm.contracts.errors import DataError
    from graftlm.contracts.specs import DataFormat
    from graftlm_registry.plugins import registry

    shown = "<stdin>" if place == "-" else place
    try:
        content = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
        said: Any = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{shown} is not UTF-8 text: save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{shown}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise DataError(f"{shown}: nested too deeply") from None
    except ValueError:
        raise DataError(f"{shown}: a number of too many digits") from None
    record = {"messages": said} if isinstance(said, list) else said
    if not isinstance(record, dict):
        raise DataError(f"{shown} must hold a list of messages, or an object with 'messages'")
    try:
        return registry().get(DataFormat, "openai").parse(record)
    except DataError as error:
        raise DataError(f"{shown}: {error}") from None
