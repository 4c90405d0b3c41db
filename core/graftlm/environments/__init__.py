"""Virtual environments that backends have for themselves: declared, made, checked, and started in."""
