"""Tables of measured results, from the newest files of each kind in ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reference.markdown import table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
OWN = {"fp32": "graftlm fp32"}
"""Cells of the engine's suite that have no name of their own."""
ENVIRONMENT = ("torch", "transformers", "peft", "trl", "unsloth", "llamafactory")

Json = Mapping[str, Any]


def engine() -> str:
    """graftlm's engine and its peers: speed, use of the device, memory, start."""
    report = _report("engine")
    rows = []
    for cell in sorted(report["cells"], key=_speed, reverse=True):
        figures = cell["figures"]
        rows.append(
            (
                OWN.get(cell["name"], cell["name"]),
                _figure(figures["tokens_per_second"], "{:,.0f}"),
                f"{figures['share_of_rate']['median']:.0%}",
                f"{figures['peak_memory']['median'] / 2**20:,.0f} MiB",
                f"{figures['first_step_seconds']['median']:.1f} s",
            )
        )
    header = ("cell", "tokens/s (least to greatest)", "of the matrix rate", "peak memory", "to the first step")
    return f"{table(header, rows, numbers=(1, 2, 3, 4))}\n{_about(report, 'engine')}\n"


def goals() -> str:
    """What was to be reached, and what was not, as the suite's own evaluation has it."""
    text = (_folder("engine") / "goals.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| goal |"))
    return "\n".join(line for line in _until_blank(lines[first:])) + "\n"


def speed() -> str:
    """Every backend as it comes, on the same work: ratios to plain transformers.Trainer."""
    report = _report("cpu")
    cells = {(c["settings"].get("backend"), c["settings"]["data"], c["settings"]["model"]): c for c in report["cells"]}
    plain = {key: cell for key, cell in cells.items() if "quantization" not in cell["settings"]}
    works = list(dict.fromkeys(key[1:] for key in plain))
    rows = []
    for backend in dict.fromkeys(key[0] for key in plain):
        found = [plain[backend, *work] for work in works]
        rows.append(
            (f"`{backend}`", *(_ratio(cell) for cell in found), _span(found, "first_step_seconds", "{:.1f}", 1))
        )
    header = ("backend", *(f"{data}, {model}" for data, model in works), "seconds to the first step")
    return f"{table(header, rows)}\n{_about(report, 'cpu')}\n"


def parity() -> str:
    """Whether the backends compute the same."""
    report = _report("parity")
    cells = {(c["settings"]["backend"], c["settings"]["model"]): c for c in report["cells"]}
    models = list(dict.fromkeys(model for _, model in cells))
    rows = []
    for backend in dict.fromkeys(backend for backend, _ in cells):
        found = [cells[backend, model] for model in models]
        if found[0]["relation"] != "baseline":
            rows.append((f"`{backend}`", *map(_checked, found)))
    return f"{table(('backend', *(f'`{model}`' for model in models)), rows)}\n{_about(report, 'parity')}\n"


def growth() -> str:
    """How the cost of graftlm's engine grows with the tokens of a row, or of a sample."""
    path = _newest("engine-scale-cpu.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        (
            f"{int(tokens):,}",
            *(part for found in (kept["row"][tokens], kept["sample"][tokens]) for part in _cost(found)),
        )
        for tokens in kept["row"]
    ]
    header = ("tokens", "tokens/s, packed in a row", "peak memory", "tokens/s, in one sample", "peak memory")
    return f"{table(header, rows, numbers=range(5))}\n{_of(kept)}. {_file(path)}.\n"


def environments() -> str:
    """What making a backend's environment took."""
    path = _newest("environments-cpu.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        (
            f"`{name}`",
            f"{made['declared_download_mb']} MB",
            f"{made['bytes'] / 2**20:,.0f} MiB",
            f"{made['seconds']:.0f} s",
            ", ".join(f"{p} {made['packages'][p]}" for p in ENVIRONMENT if p in made["packages"]),
        )
        for name, made in kept["environments"].items()
    ]
    header = ("environment", "to download", "on disk", "made in", "with")
    installers = ", ".join(sorted({made["installer"] for made in kept["environments"].values()}))
    about = f"{_of(kept)}, by {installers}"
    return (
        f"{table(header, rows, numbers=(1, 2, 3))}\n{about}, torch shared with the base environment. {_file(path)}.\n"
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "engine": engine, "goals": goals, "growth": growth, "speed": speed, "parity": parity, "environments": environments,
}  # fmt: skip


def filled(page: str) -> str:
    """The page with every table between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` as the results have it."""
    for name, made in TABLES.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place for the table {name}")
        page = f"{before}{begin}\n{made()}\n{end}{after}"
    return page


def _folder(suite: str) -> Path:
    return _newest(suite)


def _newest(name: str) -> Path:
    return sorted(path for path in RESULTS.glob(f"*-{name}") if path.name[11:] == name)[-1]


def _of(kept: Json) -> str:
    return (
        f"{kept['date'][:10]}, {kept['machine']}, graftlm's commit {kept['commit']}, torch {kept['versions']['torch']}"
    )


def _cost(found: Json) -> tuple[str, str]:
    return f"{found['tokens_per_second']:,.0f}", f"{found['peak_memory_mib']:,.0f} MiB"


def _report(suite: str) -> Json:
    report: Json = json.loads((_folder(suite) / "report.json").read_text(encoding="utf-8"))
    return report


def _about(report: Json, suite: str) -> str:
    """When, where, with what, and where the rest stands."""
    about = report["about"]
    rounds = f"{report['rounds']} interleaved rounds" if report["rounds"] > 1 else "one round"
    return (
        f"{report['created'][:10]}, {about['processor']}, {rounds}, graftlm's {about['graftlm']}, "
        f"Python {about['Python']}; {about['packages']}. {_file(_folder(suite) / 'report.md')}."
    )


def _file(path: Path) -> str:
    return f"[All of it](../{path.relative_to(ROOT)})"


def _speed(cell: Json) -> float:
    return float(cell["figures"]["tokens_per_second"]["median"])


def _figure(figure: Json, shape: str) -> str:
    median, least, greatest = (shape.format(figure[name]) for name in ("median", "least", "greatest"))
    return f"{median} ({least} to {greatest})"


def _ratio(cell: Json) -> str:
    if cell["relation"] == "baseline":
        return "1"
    if cell["relation"] != "same computation":
        return str(cell["relation"])
    ratio = cell["ratios"]["tokens_per_second"]
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _span(cells: list[Json], measure: str, shape: str, unit: float) -> str:
    found = [cell["figures"][measure]["median"] / unit for cell in cells]
    return f"{shape.format(min(found))} to {shape.format(max(found))}"


def _checked(cell: Json) -> str:
    checks = cell["checks"]
    passed = f"{sum(check['passed'] for check in checks)} of {len(checks)} checks"
    loss = next((check["said"] for check in checks if check["name"] == "loss curve"), "")
    return f"{passed}, {loss}" if loss else passed


def _until_blank(lines: list[str]) -> list[str]:
    return lines[: next((i for i, line in enumerate(lines) if not line.strip()), len(lines))]
