"""The child that matches a stranger's regular expressions, under limits of the kernel.

A request is one JSON object on stdin: ``{"patterns": […], "names": […], "whole": true}``. The answer is a JSON list:
for each name, the number of the first pattern that matches it or null; or ``{"error": WORDS}``. ``whole`` matches as
PEFT does for lists of modules, otherwise the pattern is the end of a path, as for ranks of modules.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys

SECONDS = 0.3
MEMORY = 256 << 20


def limit() -> None:
    """For good: a third of a second of computing, no files, no processes, little memory."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process, wherever it is
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    for kind, most in (
        (resource.RLIMIT_CPU, 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_AS, MEMORY),
    ):
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (least, least))
        except (ValueError, OSError):
            pass  # macOS keeps no limit of address space; the others hold there


def main() -> None:
    limit()
    request = json.load(sys.stdin)
    try:
        sources = request["patterns"] if request["whole"] else [rf"(.*\.)?({one})$" for one in request["patterns"]]
        patterns = [re.compile(source) for source in sources]
        match = re.Pattern.fullmatch if request["whole"] else re.Pattern.match
        answer: object = [
            next((i for i, pattern in enumerate(patterns) if match(pattern, name)), None) for name in request["names"]
        ]
    except re.error as error:
        answer = {"error": str(error)}
    except (MemoryError, OverflowError, RecursionError):
        answer = {"error": "it is too large"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
