"""What graftlm asks of Acme's source: ``graftlm plugins check source/acme`` runs it, and so does pytest."""

from __future__ import annotations

import os

from graftlm.testing import SourceSuite, lay_tiny_model


class AcmeSuite(SourceSuite):
    source = "acme"
    references = ("acme:small",)
    absent = ("acme:large", "acme:", "acme:../small")  # its own by their form, and not there

    def setup_method(self) -> None:
        """A shelf with a small model, for each check a new one."""
        super().setup_method()
        lay_tiny_model(self.folder / "shelf" / "small")
        os.environ["TEAM_MODELS"] = str(self.folder / "shelf")

    def teardown_method(self) -> None:
        del os.environ["TEAM_MODELS"]
        super().teardown_method()
