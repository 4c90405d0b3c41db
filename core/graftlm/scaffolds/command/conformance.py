"""What graftlm asks of Acme's command: ``graftlm plugins check command/acme`` runs it, and so does pytest."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.testing import CommandSuite


class AcmeSuite(CommandSuite):
    command = "acme"

    # calls that work, and calls that must be refused in a sentence; self.folder is an empty folder
    def works(self) -> Sequence[Sequence[str]]:
        file = self.folder / "rows.jsonl"
        file.write_text('{"input": "Say yes", "output": "yes"}\n', encoding="utf-8")
        return (str(file),), (str(file), "--field", "output"), (str(file), "--json")

    def refused(self) -> Sequence[Sequence[str]]:
        file = self.folder / "broken.jsonl"
        file.write_text("{", encoding="utf-8")
        return ("nowhere.jsonl",), (str(file),), (str(self.folder),)
