"""graftlm and the plugins' distributions, as an environment has to have them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from urllib.parse import unquote, urlparse

from graftlm_registry.plugins import Registry


@dataclass(frozen=True, slots=True)
class Source:
    """An installed distribution. ``editable`` is the folder of its sources where it is installed so, which an
    environment then shares; ``digest`` tells whether it is still the same.
    """

    name: str
    version: str
    digest: str
    editable: str = ""


def sources(registry: Registry) -> tuple[Source, ...]:
    """graftlm first, then every distribution whose plugins are loaded."""
    names = dict.fromkeys(p.distribution for p in registry.plugins if p.specs)
    return tuple(_source(distribution(name)) for name in ("graftlm", *(n for n in names if n != "graftlm")))


def _source(found: Distribution) -> Source:
    editable = _editable(found)
    made_of = "\n".join(sorted(_recorded(found)))
    if editable:  # the sources are shared; what it registers and requires is not
        made_of = f"{editable}\n{found.read_text('entry_points.txt')}\n{sorted(found.requires or ())}"
    return Source(found.name, found.version, hashlib.sha256(made_of.encode()).hexdigest()[:16], editable)


def _editable(found: Distribution) -> str:
    said = json.loads(found.read_text("direct_url.json") or "{}")
    if not said.get("dir_info", {}).get("editable"):
        return ""
    return unquote(urlparse(said["url"]).path)


def _recorded(found: Distribution) -> Iterator[str]:
    """Names and digests of the files that belong to the project, not to this installation of it."""
    for line in (found.read_text("RECORD") or "").splitlines():
        name = line.partition(",")[0]
        if not name.startswith("..") and not name.endswith((".pyc", "/INSTALLER", "/REQUESTED", "/direct_url.json")):
            yield line
