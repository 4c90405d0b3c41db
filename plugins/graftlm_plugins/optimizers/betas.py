"""Options that optimizers share."""

from __future__ import annotations

from graftlm.api import Option


def beta(name: str, default: float, what: str) -> Option:
    return Option(name=name, type="float", default=default, minimum=0, maximum=0.999999, help=what)


BETA1 = beta("beta1", 0.9, "how long the mean of gradients remembers")
BETA2 = beta("beta2", 0.999, "how long the mean of their squares remembers")
EPS = Option(name="eps", type="float", default=1e-8, minimum=1e-30, maximum=1, help="added to the root of the squares")
