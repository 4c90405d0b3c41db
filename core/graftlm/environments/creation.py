"""Making an environment: a virtual environment, graftlm and the plugins in it, what its backend requires, a proof."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

from graftlm.contracts.errors import PluginError, RunError, StoreError
from graftlm_registry.home import home
from graftlm_registry.plugins import Registry

from .declared import Declared
from .distributions import Source, sources
from .installers import Kind, Wanted, of_installers, pip_command, uv, uv_command, uv_environ, without_secrets
from .interpreter import Interpreter
from .lock import alone
from .manifest import Manifest, forget, keep_manifest
from .overriding import canonical, extras, overridden
from .places import folder_of
from .proof import prove
from .python_range import within
from .repacking import repacked
from .state import python_of
from .torch_sharing import share, shareable

Say = Callable[[str], None]
"""Takes a line of what is going on."""
WIDEST = 300
"""Characters of a line of the log that an error shows."""
UNPACKED = 4
"""Bytes on disk for one that was downloaded, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """``python`` is an interpreter's path, or empty for this one. ``share_torch``: link this environment's torch
    instead of downloading one. ``asked`` are requirements beside the backend's.
    """

    installer: Kind = "pip"
    python: str = ""
    share_torch: bool = True
    asked: tuple[str, ...] = ()


def create(declared: Declared, registry: Registry, choices: Choices, say: Say) -> Manifest:
    """Make it anew, from nothing. Where it fails or is stopped, what was made is removed; its log is kept.

    Raises ``PluginError`` where it cannot be made here, ``RunError`` where the installer or the proof failed.
    """
    environment = declared.environment
    python = choices.python or sys.executable
    _check_python(declared, python)
    if choices.installer == "uv":
        uv()  # not when half of it is made
    folder = folder_of(environment.name)
    _check_room(folder, environment.download_mb)
    log = home() / "envs" / f"{environment.name}.log"
    started = time.perf_counter()
    with alone(folder), log.open("w", encoding="utf-8") as written:
        making = _Making(declared, choices, folder, say, written.write, log)
        try:
            forget(environment.name)  # from here on nobody takes it for a whole one
            _clear(folder)
            manifest = making.make(python, sources(registry), started)
            keep_manifest(manifest)
        except BaseException as error:
            say("removing what was made")
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise StoreError(f"environment '{environment.name}' cannot be made: {error}") from None
            raise
    return manifest


def _clear(folder: Path) -> None:
    if folder.is_symlink():  # what it leads to would neither be removed nor be empty
        raise StoreError(f"{folder} is a link: remove it, or set GRAFTLM_HOME to the disk that it leads to")
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise StoreError(f"{folder} cannot be removed: is something there open, or another user's?")


def _check_python(declared: Declared, python: str) -> None:
    try:
        command = [python, "-I", "-c", "import platform; print(platform.python_version())"]
        version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise PluginError(f"--python {python} does not start: give the path of a Python interpreter") from None
    wanted = declared.environment.python
    if not within(version, wanted):
        raise PluginError(
            f"environment '{declared.environment.name}' needs Python {wanted}, and {python} is {version}: "
            "give another with --python"
        )


def _check_room(folder: Path, download_mb: int) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(folder.parent).free, UNPACKED * download_mb * 1_000_000
    if free < needed:
        raise StoreError(
            f"{folder.parent} has {free / 1e9:.1f} GB free, and about {needed / 1e9:.1f} GB are needed: free some "
            "space, or set GRAFTLM_HOME to another disk"
        )


class _Making:
    def __init__(
        self, declared: Declared, choices: Choices, folder: Path, say: Say, write: Callable[[str], object], log: Path
    ) -> None:
        self.declared, self.choices, self.folder, self.say = declared, choices, folder, say
        self.write, self.log = write, log
        self.python, self.wheels = python_of(folder), folder / "wheels"

    def make(self, python: str, sources: Sequence[Source], started: float) -> Manifest:
        environment = self.declared.environment
        self.say(f"making a virtual environment in {self.folder}")
        self._run([python, "-P", "-m", "venv", str(self.folder)], "the virtual environment could not be made")
        self.wheels.mkdir()
        if (own := Path(sys.prefix) / "pip.conf").is_file():  # of this environment alone, as some have it
            shutil.copyfile(own, self.folder / "pip.conf")
        linked, constraint = self._shared_torch()
        requirements = [*environment.requirements, *self.choices.asked]
        self._install(requirements, sources, [*environment.constraints, *constraint], shared=bool(constraint))
        self.say("proving that a worker starts there")
        interpreter = Interpreter(str(self.python), environment.name, environment.variables)
        prove(interpreter, environment.imports, self.log)
        shutil.rmtree(self.wheels)
        taken = sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file()) - linked
        return Manifest(
            name=environment.name,
            python=python,
            declaration=self.declared.digest,
            sources={source.name: source.digest for source in sources},
            packages=self._packages(),
            torch="shared" if linked else "installed",
            installer=self.choices.installer,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - started, 1),
            bytes=taken,
            asked=tuple(map(without_secrets, self.choices.asked)),
        )

    def _shared_torch(self) -> tuple[int, list[str]]:
        """Bytes that were linked, and the constraints that keep the installer from replacing them."""
        if not self.choices.share_torch:
            return 0, []
        same = self._asked_of_python("import sys; print(sys.version_info[:2])") == str(sys.version_info[:2])
        found = shareable() if same else []
        if not found:
            why = "no torch that pip installed is here" if same else "that Python is of another version"
            self.say(f"torch cannot be linked and is downloaded: {why}")
            return 0, []
        self.say(f"linking torch {found[0].version} of this environment")
        site = Path(self._asked_of_python("import sysconfig; print(sysconfig.get_path('platlib'))"))
        linked = share(found, site)
        if not linked:
            self.say("it could not be linked, on another disk or another user's: it was copied")
        return linked, [f"{d.name}=={d.version}" for d in found if d.files]

    def _install(
        self, requirements: list[str], sources: Sequence[Source], constraints: list[str], *, shared: bool
    ) -> None:
        environment = self.declared.environment
        lines = [*requirements, *(self._requirement(s) for s in sources if not s.editable)]
        # without its extra too: pip does not see that the one with an extra is what a plugin's wheel requires
        editable = [
            place for s in sources if s.editable for place in dict.fromkeys((s.editable, s.editable + _extra(s)))
        ]
        (self.folder / "constraints.txt").write_text("\n".join(constraints) + "\n", encoding="utf-8")
        (self.folder / "overrides.txt").write_text("\n".join(environment.overrides) + "\n", encoding="utf-8")
        files = {"constraints": self.folder / "constraints.txt", "overrides": self.folder / "overrides.txt"}
        failed = f"what environment '{environment.name}' requires could not be installed"
        if shared:
            failed += " beside the shared torch (another one: --no-share-torch)"
        if self.choices.installer == "uv":
            if not shared:  # an override may drop what a downloaded torch needs: it comes first
                said = [line for line in requirements if canonical(line) == "torch"] or ["torch"]
                torch = Wanted(
                    requirements=said, editable=(), constraints=files["constraints"], overrides=Path(os.devnull)
                )
                self._run(uv_command(self.python, torch), failed, uv_environ())
            wanted = Wanted(requirements=lines, editable=editable, **files)
            self._run(uv_command(self.python, wanted), failed, uv_environ())
        else:
            wanted = Wanted(requirements=self._overridden(lines), editable=editable, **files)
            self._run(pip_command(self.python, wanted), failed)

    def _requirement(self, source: Source) -> str:
        """The distribution as it is installed here."""
        wheel = repacked(distribution(source.name), self.wheels)
        return f"{source.name}{_extra(source)} @ {wheel.as_uri()}"

    def _overridden(self, requirements: list[str]) -> list[str]:
        """Requirement lines in which those that an override may concern are wheels of their own."""
        overrides = self.declared.environment.overrides
        named = [line for line in self.declared.environment.requirements if "==" in line.partition(";")[0]]
        if not overrides or not named:
            return requirements
        command = [str(self.python), "-P", "-m", "pip", "wheel", "--no-deps", "--no-input", "--progress-bar", "off"]
        self._run(
            [*command, "--disable-pip-version-check", "-w", str(self.wheels), *named], "a package is not to be had"
        )
        wheels = {canonical(path.name.partition("-")[0]): path for path in self.wheels.glob("*.whl")}
        if absent := [line for line in named if canonical(line) not in wheels]:
            raise RunError(f"pip made no wheel of {absent[0]}, so that the overrides cannot be written. See {self.log}")
        changed = {line: f"{overridden(wheels[canonical(line)], overrides)}{extras(line)}" for line in named}
        return [changed.get(line, line) for line in requirements]

    def _packages(self) -> dict[str, str]:
        code = (
            "import importlib.metadata as m, json; "
            "print(json.dumps({d.name: d.version for d in m.distributions() if d.name}))"
        )
        found = json.loads(self._asked_of_python(code))
        return dict(sorted((canonical(name), version) for name, version in found.items()))

    def _asked_of_python(self, code: str) -> str:
        done = subprocess.run([str(self.python), "-I", "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _run(self, command: Sequence[str], failed: str, environ: dict[str, str] | None = None) -> None:
        """Run it with its lines said and logged; ``RunError`` with the log's end where it fails."""
        self.write(without_secrets(f"$ {' '.join(command)}\n"))
        lines: list[str] = []
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            errors="replace", env=of_installers(os.environ if environ is None else environ),
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                line = without_secrets(line)
                self.write(line)
                lines.append(line.rstrip())
                self.say(line.strip())
        except BaseException:
            _end(process)
            raise
        if process.wait():
            told = [line for line in lines if line.startswith(("ERROR", "error", "  ×", "  ╰"))]
            told = [line for line in told if "Ignored the following" not in line] or lines  # releases, by the hundred
            shown = "".join(f"\n  | {line[:WIDEST]}" for line in told[-5:])
            raise RunError(f"{failed} (exit code {process.returncode}). The log is {self.log}{shown}")


def _end(process: subprocess.Popen[str]) -> None:
    """With the processes that it started: they would go on writing to a folder that is being removed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()  # to the end of what they all say


def _extra(source: Source) -> str:
    """graftlm's worker needs more than its front."""
    return "[worker]" if source.name == "graftlm" else ""
