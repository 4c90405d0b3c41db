"""Virtual environments that backends and evaluators have for themselves: declared, made, checked, and started in."""
