"""Proof that a worker starts in an environment, with this graftlm's code, and that what it is for can be imported."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from graftlm.contracts.errors import RunError
from graftlm.source import code_digest

from .interpreter import Interpreter
from .probing import ask

PATIENCE = 600  # seconds


def prove(interpreter: Interpreter, imports: Sequence[str], log: Path | None = None) -> None:
    """Raises ``RunError`` with what is wrong."""
    found = ask(interpreter)
    if found.code != code_digest():
        raise RunError(
            f"the worker of environment '{interpreter.environment}' has another graftlm than this one: "
            f"make it anew (run: graftlm envs create {interpreter.environment})"
        )
    code = "\n".join(f"import {module}" for module in imports)
    command = [interpreter.python, "-P", "-c", code]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=interpreter.environ(),
            stdin=subprocess.DEVNULL, cwd=Path(interpreter.python).parent.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RunError(f"'import {', '.join(imports)}' did not come back within {PATIENCE} s") from None
    if log is not None:
        with log.open("a", encoding="utf-8") as written:
            written.write(done.stdout + done.stderr)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        kept = f" (log: {log})" if log else ""
        raise RunError(f"environment '{interpreter.environment}' cannot import {', '.join(imports)}: {last}{kept}")
