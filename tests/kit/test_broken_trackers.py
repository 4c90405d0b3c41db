"""What is wrong with a tracker is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

TOLD, GOES_ON, AGAIN, ENDS, ODD = (
    "test_it_is_told_of_a_run",
    "test_a_run_that_goes_on_is_one_run",
    "test_steps_that_are_done_again_are_there_once",
    "test_it_is_told_how_a_run_ends",
    "test_figures_that_are_no_numbers_do_not_end_it",
)
WRITTEN, LINE = (
    'file.write(json.dumps(line) + "\\n")',
    '"step": step, **{name: number(value) for name, value in values.items()}',
)
HELD = 'self.held = max((line["step"] for line in kept), default=0)'
RESULTS = '"results": {name: number(value) for name, value in results.items()}'
OPENED = "        with self._path.open"
UNLESS = '        if isinstance(line.get("gradient_norm"), str):\n            return\n'
FAULTS = (
    *common_faults("tracker", "csv"),
    Fault(
        "it tells a step twice", {WRITTEN: 'file.write(2 * (json.dumps(line) + "\\n"))'}, GOES_ON, ("more than once",)
    ),
    Fault("it does not say what it holds", {HELD: "self.held = 0"}, GOES_ON, ("loss of steps", "more than once")),
    Fault(
        "it says that it holds more",
        {HELD: "self.held = run.resumed_after + 1"},
        GOES_ON,
        ("of loss it has the steps", "not [1, 2, 3"),
    ),
    Fault(
        "it forgets what was told before",
        {
            'kept = [line for line in lines(self._path) if line["step"] <= run.resumed_after]': "kept: list[Any] = []",
            HELD: "self.held = run.resumed_after",
        },
        GOES_ON,
        ("of loss it has the steps [8, 9, 10]",),
    ),
    Fault(
        "it keeps steps that are done again",
        {
            'if line["step"] <= run.resumed_after]': "if True]",
            HELD: HELD.replace("= max", "= min(run.resumed_after, max") + ")",
        },
        AGAIN,
        ("more than once",),
    ),
    Fault("it counts from 0", {LINE: LINE.replace("step,", "step - 1,")}, TOLD, ("the validation losses of a run",)),
    Fault(
        "it leaves a figure out",
        {"in values.items()}}": 'in values.items() if name != "memory"}}'},
        TOLD,
        ("of memory it has the steps []",),
    ),
    Fault("it rounds", {"return value if": "return round(value, 2) if"}, TOLD, ("the losses of a run are",)),
    Fault("it loses the results", {RESULTS: '"results": {}'}, TOLD, ("the last loss",)),
    Fault(
        "it is always done",
        {'{"state": state,': '{"state": "done",'},
        ENDS,
        ("the run is stopped, and it says 'done'",),
    ),
    Fault(
        "it knows numbers alone",
        {WRITTEN: WRITTEN.replace("(line)", "(line, allow_nan=False)"), "if math.isfinite(value) else str(value)": ""},
        ODD,
        ("it was left out, or warned", "tracker acme"),
    ),
    Fault(
        "it leaves a step out whose norm is no number",
        {OPENED: UNLESS + OPENED},
        ODD,
        ("it has the steps [1, 4] of four",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_tracker_is_caught(
    fault: Fault, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("somewhere")))
    is_caught("tracker", fault)
