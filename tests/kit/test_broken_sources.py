"""Faults of a source of models, each caught by the check that asks for it."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

MINE = "return request.reference.startswith(PREFIX)"
DESCRIBED = "    bring(shelf, folder, SMALL)\n"
ABSENT = "        raise ModelError(f\"there is no model {name!r} in {shelf}: 'ls {shelf}' shows what there is\")\n"
NEWER = "if not target.is_file() or target.stat().st_size != path.stat().st_size:"
NETWORK = '__import__("socket").create_connection(("models.invalid", 443))'
FETCHED = "    return description.folder\n"
FAULTS = (
    *common_faults("source", "hub"),
    Fault(
        "what is its own is not",
        {MINE: 'return request.reference.startswith("acme/")'},
        "test_it_takes_its_own_references_and_no_other",
        ("does not take 'acme:small', which is its own",),
    ),
    Fault(
        "everything is its own",
        {MINE: "return True"},
        "test_it_takes_its_own_references_and_no_other",
        ("takes 'tiny-mistral', which belongs to source 'built-in'",),
    ),
    Fault(
        "asked too late",
        {'PREFIX, SHELF = "acme:"': 'PREFIX, SHELF = "acme/"', "rank=25": "rank=45",
         'references = ("acme:small",)': 'references = ("acme/small",)'},
        "test_it_takes_its_own_references_and_no_other",
        ("source 'hub' takes 'acme/small' before", "its rank must be lower than 40"),
    ),
    Fault(
        "it looks at the network",
        {MINE: f"return {MINE[7:]} and bool({NETWORK})"},
        "test_it_takes_its_own_references_and_no_other",
        ("reaches for the network (('models.invalid', 443)",),
    ),
    Fault(
        "it trips over a name",
        {MINE: "return bool(request.reference[0]) and request.reference.startswith(PREFIX)"},
        "test_whatever_somebody_types_is_no_error",
        ("raises IndexError", "asked whether it takes ''"),
    ),
    Fault(
        "it looks for a file first",
        {MINE: "return Path(request.reference).exists() or request.reference.startswith(PREFIX)"},
        "test_whatever_somebody_types_is_no_error",
        ("raises OSError",),
    ),
    Fault(
        "no tokenizer",
        {'"tokenizer*", ': ""},
        "test_what_it_describes_can_be_planned",
        ("without a tokenizer.json",),
    ),
    Fault(
        "another config than the file's",
        {"config=read_config(folder)": 'config={**read_config(folder), "vocab_size": 7}'},
        "test_what_it_describes_can_be_planned",
        ("with another vocab_size than its config.json has",),
    ),
    Fault(
        "weights for a plan",
        {DESCRIBED: "    bring(shelf, folder, (*SMALL, *WEIGHTS))\n"},
        "test_it_brings_no_weights_before_a_run",
        ("brings model.safetensors when acme:small is described",),
    ),
    Fault(
        "the day is in it",
        {"name=request.reference, source": "name=f'{__import__(\"time\").time_ns()}', source"},
        "test_it_describes_the_same_each_time",
        ("with another name the second time",),
    ),
    Fault(
        "an error of Python where nothing is",
        {ABSENT: "        raise KeyError(name)\n"},
        "test_what_is_not_there_is_said",
        ("raises KeyError, no ModelError",),
    ),
    Fault(
        "a word where nothing is",
        {ABSENT: '        raise ModelError("missing")\n'},
        "test_what_is_not_there_is_said",
        ("says 'missing', which helps nobody",),
    ),
    Fault(
        "something else in its stead",
        {ABSENT: '        return Path(shelf, "small")\n'},
        "test_what_is_not_there_is_said",
        ("which is not there, describes a model",),
    ),
    Fault(
        "offline, and not at home",
        {DESCRIBED: f"{DESCRIBED}    try:\n        {NETWORK}\n    except OSError:\n        pass\n"},
        "test_offline_it_stays_on_this_machine",
        ("offline, reaches for the network",),
    ),
    Fault(
        "no weights",
        {"    bring(on_shelf(request), description.folder, WEIGHTS)\n": ""},
        "test_what_it_fetches_is_the_model",
        ("fetches acme:small without *.safetensors",),
    ),
    Fault(
        "another model",
        {FETCHED: '    return request.catalogue.entry("tiny-mistral").folder or description.folder\n'},
        "test_what_it_fetches_is_the_model",
        ("describes a falcon model and fetches a mistral one",),
    ),
    Fault(
        "fetched anew each time",
        {NEWER: "if True:"},
        "test_fetching_again_changes_no_file",
        ("writes", "once more when it is there already"),
    ),
    Fault(
        "a new folder each time",
        {'request.cache / "acme" /': 'request.cache / str(__import__("time").time_ns()) /'},
        "test_fetching_again_changes_no_file",
        ("into another folder the second time",),
    ),
    Fault(
        "any revision will do",
        {"config=read_config(folder))": 'config=read_config(folder), revision=request.revision or "main")',
         'source = "acme"\n': 'source = "acme"\n    revision = "main"\n'},
        "test_a_revision_is_honoured",
        ("where 'no-such-revision' is asked for",),
    ),
    Fault(
        "a revision that nobody asked for",
        {"config=read_config(folder))": 'config=read_config(folder), revision="main")'},
        "test_a_revision_is_honoured",
        ("tells the revision 'main'", "its suite must give one"),
    ),
    Fault(
        "another source's name",
        {'source="acme", folder': 'source="shelf", folder'},
        "test_what_it_describes_can_be_planned",
        ("describes a model of source 'shelf'",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught(fault: Fault) -> None:
    is_caught("source", fault)
