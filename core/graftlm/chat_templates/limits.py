"""What a chat template may use."""

from __future__ import annotations

MEMORY = 1 << 30
"""Bytes of address space."""
SECONDS = 2
"""Of computing, a rendering: what a template is blamed for."""
PATIENCE = 60.0
"""Seconds that a rendering may take by the clock: a busy machine takes long over what is little to compute."""
LONGEST = 4 << 20
"""Characters of a rendering."""
MOST = 16 << 20
"""Characters of all the renderings of a request."""
