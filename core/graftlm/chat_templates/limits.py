"""What a chat template may use."""

from __future__ import annotations

MEMORY = 1 << 30
"""Bytes of address space."""
SECONDS = 2
"""Of computing, a request."""
PATIENCE = 5.0
"""Seconds that a request may take by the clock, waiting for a core included."""
LONGEST = 4 << 20
"""Characters of a rendering."""
MOST = 16 << 20
"""Characters of all the renderings of a request."""
