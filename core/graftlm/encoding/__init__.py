"""From conversations to token ids and labels, in the base environment, once: no torch here."""
