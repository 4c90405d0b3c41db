"""The built-in plugins, written against ``graftlm.api`` alone."""
