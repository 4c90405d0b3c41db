"""Everything that is picked by name: plugins, base models, adapters."""
