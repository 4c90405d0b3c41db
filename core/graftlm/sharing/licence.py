"""The licence of an adapter, as a Hugging Face hub writes it."""

from __future__ import annotations

from graftlm.contracts.errors import UsageError
from graftlm.contracts.record import BaseModel
from graftlm_registry.models import catalogue

WORDS = """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research
    intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit
    mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
KNOWN = frozenset(WORDS.split())
"""The hub's own words; anything else is ``other`` there, with a name."""
LONGEST = 200


def hub_id(base: BaseModel) -> str:
    """What a hub calls the base, or nothing. (A ``shape:`` has the hub's architecture, and not its weights.)"""
    return base.name if base.source == "hub" else ""


def licence_of(base: BaseModel) -> str:
    """What the catalogue says of the base, or nothing."""
    known = catalogue()
    for name in known.names():
        entry = known.entry(name)
        if (base.source == "built-in" and name == base.name) or (hub_id(base) and entry.hub == base.name):
            return entry.licence
    return ""


def check_licence(licence: str) -> str:
    """``UsageError`` where it is no short line of words."""
    said = licence.strip()
    if not said.isprintable() or len(said) > LONGEST:
        raise UsageError(f"--licence: give a name such as apache-2.0, on one line and of {LONGEST} characters at most")
    return said


def front_matter(licence: str) -> dict[str, str]:
    """The keys of a card's head."""
    if not licence:
        return {}
    if licence.lower() in KNOWN:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence}
