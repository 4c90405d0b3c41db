"""What the kit needs to judge the built-in plugins, where they are installed: ``graftlm plugins check``."""
