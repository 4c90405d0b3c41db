"""From what was asked to what will happen, without torch. ``resolve.resolve`` is the way in."""
