"""From files to conversations, in the front: no torch here."""
