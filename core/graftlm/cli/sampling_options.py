"""``--temperature --top-p --seed``: how an answer's tokens are chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from graftlm.contracts.serving import Sampling

F = TypeVar("F", bound=Callable[..., Any])


def sampling_options(command: F) -> F:
    for option in (
        click.option("--seed", default=0, show_default=True, metavar="N", help="Of the sampling."),
        click.option("--top-p", default=1.0, show_default=True, metavar="P", help="Share of the likeliest tokens."),
        click.option(
            "--temperature", default=0.0, show_default=True, metavar="T", help="Of the sampling; 0 is greedy."
        ),
    ):
        command = option(command)
    return command


def sampling_of(max_new_tokens: int, temperature: float, top_p: float, seed: int) -> Sampling:
    """``UsageError`` where a number cannot be."""
    from graftlm.contracts.errors import UsageError
    from graftlm.contracts.serving import Sampling

    if max_new_tokens < 1:
        raise UsageError("--max-new-tokens must be at least 1")
    if not 0 <= temperature <= 100:
        raise UsageError("--temperature must be from 0 (greedy) to 100")
    if not 0 < top_p <= 1:
        raise UsageError("--top-p must be above 0, and 1 at most")
    if not 0 <= seed < 2**62:
        raise UsageError("--seed must be a whole number from 0")
    if not temperature and (top_p < 1 or seed):
        raise UsageError(f"{'--top-p' if top_p < 1 else '--seed'} is for sampling: say --temperature too")
    return Sampling(temperature=temperature, top_p=top_p, seed=seed)
