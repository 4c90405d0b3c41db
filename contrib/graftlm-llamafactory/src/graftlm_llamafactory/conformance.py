"""What graftlm asks of the command: ``graftlm plugins check command/import-llamafactory``."""

from __future__ import annotations

from collections.abc import Sequence

from graftlm.testing import CommandSuite


class ImportSuite(CommandSuite):
    command = "import-llamafactory"

    def works(self) -> Sequence[Sequence[str]]:
        run = self.folder / "theirs.yaml"
        run.write_text("model_name_or_path: tiny-mistral\nlora_rank: 4\n", encoding="utf-8")
        return (str(run),), (str(run), "--out", str(self.folder / "other.yaml")), (str(run), "--force")

    def refused(self) -> Sequence[Sequence[str]]:
        run = self.folder / "broken.yaml"
        run.write_text("model_name_or_path: [", encoding="utf-8")
        return ("nowhere.yaml",), (str(run),), (str(self.folder),)
