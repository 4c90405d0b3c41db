"""``python -m graftlm.testing KIND NAME [CHECK …]``: a plugin's checks in a process of their own.

Standard output is JSON, one object a line: what will be asked, then each verdict; what libraries print goes elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any


def main(arguments: list[str]) -> int:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**told: Any) -> None:
        out.write(json.dumps(told) + "\n")
        out.flush()

    from graftlm.contracts.errors import GraftlmError
    from graftlm_registry.plugins import registry

    kind, name, *words = arguments
    try:
        spec = registry().find(kind, name)[1]
        from .choosing import suite_of
        from .judging import checks, judge, words_of
        from .suite import KIT

        suite, unasked = suite_of(spec)
        known = checks(suite)
        say(event="suite", suite=f"{suite.__module__}:{suite.__qualname__}", kit=KIT, checks=known, unasked=unasked)
        for verdict in judge(suite, _meant(words, known)):
            say(event="verdict", words=words_of(verdict.check), **asdict(verdict))
    except GraftlmError as error:
        say(event="error", message=str(error))
        return 2
    return 0


def _meant(words: list[str], known: tuple[str, ...]) -> list[str]:
    """The checks that have some of the words in their names, or all where there are none."""
    from graftlm.contracts.errors import UsageError

    from .judging import words_of

    found = [check for check in known if not words or any(said in words_of(check) for said in words)]
    if not found:
        listed = "; ".join(map(words_of, known))
        raise UsageError(f"no check has {' or '.join(map(repr, words))} in its name. The checks are: {listed}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
