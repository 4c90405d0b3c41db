"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check format/acme``."""

from __future__ import annotations

from graftlm.api import Message
from graftlm.testing import FormatSuite


class AcmeSuite(FormatSuite):
    format = "acme"
    # Records with what each stands for: as many as there are ways to write one.
    examples = (
        (
            {"dialogue": [["client", "Is it open?"], ["agent", "Until six."]], "shop": 7},
            (Message("user", "Is it open?"), Message("assistant", "Until six.")),
        ),
        (
            {"dialogue": [["rules", "Be brief."], ["client", "Parking?"], ["agent", "Yes."], ["client", "Thanks."]]},
            (
                Message("system", "Be brief."),
                Message("user", "Parking?"),
                Message("assistant", "Yes."),
                Message("user", "Thanks."),
            ),
        ),
    )
    # Records of this format that cannot be used.
    broken = (
        {"dialogue": []},
        {"dialogue": [["client", "Is it open?"], "Until six."]},
        {"dialogue": [["client", None]]},
        {"dialogue": [["stranger", "Is it open?"]]},
    )
