"""What plugins for ``graftlm.v1`` were written against stays: ``v1.json`` is what it was when it was settled.

``python tests/registry/test_v1_is_settled.py`` adds what is new to it; nothing ever goes.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from graftlm import api
from graftlm_registry.discovery import GROUP, HOOKS

KEPT = Path(__file__).with_name("v1.json")


def surface() -> dict[str, Any]:
    """Hooks, names of the API; of dataclasses their fields (true: it must be given); of all classes what they have."""
    known = {name: getattr(api, name) for name in api.__all__}
    classes = {name: found for name, found in known.items() if inspect.isclass(found)}
    return {
        "hooks": sorted(HOOKS),
        "names": sorted(known),
        "fields": {
            name: {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(found)}
            for name, found in sorted(classes.items())
            if is_dataclass(found)
        },
        "members": {
            name: sorted(m for m in {*dir(found), *getattr(found, "__annotations__", {})} if not m.startswith("_"))
            for name, found in sorted(classes.items())
            if not issubclass(found, BaseException)
        },
    }


def test_nothing_that_plugins_know_is_gone() -> None:
    assert GROUP == "graftlm.v1"
    kept, now = json.loads(KEPT.read_text(encoding="utf-8")), surface()
    for part in ("hooks", "names"):
        assert not set(kept[part]) - set(now[part]), part
    for part in ("fields", "members"):
        for name, known in kept[part].items():
            assert not set(known) - set(now[part][name]), name


def test_what_is_new_in_a_spec_need_not_be_given() -> None:
    kept, now = json.loads(KEPT.read_text(encoding="utf-8")), surface()
    for name, known in kept["fields"].items():
        needed = {field for field, must in now["fields"][name].items() if must}
        assert needed <= {field for field, must in known.items() if must}, name


if __name__ == "__main__":
    KEPT.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
