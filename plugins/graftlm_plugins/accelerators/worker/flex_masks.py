"""What ``flex`` watches: the mask of every packed row, of blocks, which transformers makes from its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn.attention.flex_attention import BlockMask
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from graftlm.api import RunError

if TYPE_CHECKING:
    from graftlm.api import PatchContext

NAME = "flex_attention"


class FlexMasks:
    """A patch of the stage ``adapter``; transformers' table is put back afterwards."""

    def __init__(self, context: PatchContext) -> None:
        self._happened = context.happened
        self._make = ALL_MASK_ATTENTION_FUNCTIONS[NAME]

    def __enter__(self) -> None:
        ALL_MASK_ATTENTION_FUNCTIONS[NAME] = self.mask

    def __exit__(self, *_: object) -> None:
        del ALL_MASK_ATTENTION_FUNCTIONS[NAME]

    def mask(self, *arguments: Any, **given: Any) -> BlockMask:
        made = self._make(*arguments, **given)
        if not isinstance(made, BlockMask):
            raise RunError("flex: transformers made a mask without blocks: say --accelerator sdpa")
        longest = max(int(made.seq_lengths[0]), self._happened.get("tokens in a row", 0))
        self._happened |= {"masks": self._happened.get("masks", 0) + 1, "tokens in a row": longest}
        return made
