"""The child that renders chat templates, alone with jinja2 and under limits that it sets itself.

It is started by its path, isolated and without site-packages; its argument is a JSON object of the packages that it may
import and the folders that hold them. A request is one JSON line, ``{"sources": […], "today": ISO, "renderings":
[{"source": i, "variables": {…}}, …]}``. Each rendering is answered by a line of its own as soon as it is made:
``{"text": …, "generated": [[begin, end], …]}`` or ``{"error": KIND, "words": …}``. A first line, ``[]``, says that it
is ready.
"""

from __future__ import annotations

import codecs
import json
import math
import pprint  # noqa: F401 - what a template can make jinja2 import is here before no file can be opened any more
import resource
import signal
import sys
import unicodedata  # noqa: F401
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Given:
    """Finds the given packages and no others."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        self.folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(name)
        return PathFinder.find_spec(name, [folder]) if folder else None


def shut_in(memory: int) -> None:
    """Limits for good: memory, no files written, no processes, no core dumps."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, memory),
    ):
        try:
            _limit(kind, most)
        except (ValueError, OSError):
            pass  # macOS keeps no limit of address space; the others hold there


def open_nothing() -> None:
    """No file, socket or pipe can be opened from here on; those that are open stay so."""
    _limit(resource.RLIMIT_NOFILE, 0)


def allow_seconds(seconds: int) -> None:
    """The kernel ends the process when it has computed for about ``seconds`` more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (least, least))


def load_codecs() -> None:
    """Those that jinja2 reads a template's strings with."""
    for name in ("ascii", "latin-1", "utf-8", "unicode-escape"):
        codecs.lookup(name)


def main() -> None:
    """Answer requests until the pipe closes."""
    sys.meta_path.insert(0, Given(json.loads(sys.argv[1])))
    from graftlm.chat_templates import limits

    shut_in(limits.MEMORY)
    import jinja2.debug  # noqa: F401 - jinja2 imports it when a template fails

    from graftlm.chat_templates import sandbox

    environment = sandbox.environment()
    compiled = lru_cache(maxsize=8)(environment.from_string)
    load_codecs()
    open_nothing()
    answers = sys.stdout.buffer
    answers.write(b"[]\n")
    answers.flush()
    for line in sys.stdin.buffer:
        allow_seconds(limits.SECONDS)
        request = json.loads(line)
        environment.globals["strftime_now"] = sandbox.clock(request["today"])
        length, spent = 0, False
        for rendering in request["renderings"]:
            allow_seconds(limits.SECONDS)
            answer = (
                _error("memory", "")  # the parent starts another child
                if spent
                else rendered(compiled, request["sources"][rendering["source"]], rendering["variables"])
            )
            spent = answer.get("error") == "memory"
            length += len(answer.get("text", ""))
            answers.write(json.dumps(answer if length <= limits.MOST else _error("long", "")).encode() + b"\n")
            answers.flush()


def rendered(compiled: Any, source: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """One rendering, or what came in its way."""
    from jinja2.exceptions import SecurityError, TemplateSyntaxError

    from graftlm.chat_templates.sandbox import Refused, TooLong, render

    try:
        template = compiled(source)
    except MemoryError:
        return _error("memory", "")
    except TemplateSyntaxError as error:
        return _error("syntax", f"line {error.lineno}: {error.message}")
    except Exception as error:  # noqa: BLE001 - jinja2 makes Python of a template, which can fail in many ways
        return _error("syntax", _described(error))
    try:
        text, ranges = render(template, variables)
    except MemoryError:
        return _error("memory", "")
    except TooLong:
        return _error("long", "")
    except Refused as error:
        return _error("refused", error.message or "")
    except SecurityError as error:
        return _error("security", error.message or "")
    except Exception as error:  # noqa: BLE001 - a template can raise anything
        return _error("failed", _described(error))
    return {"text": text, "generated": ranges}


def _described(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else f"{type(error).__name__}: {error}"


def _error(kind: str, words: str) -> dict[str, Any]:
    return {"error": kind, "words": words[:500]}


if __name__ == "__main__":
    main()
