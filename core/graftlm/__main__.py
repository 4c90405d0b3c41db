"""``python -m graftlm``."""

from graftlm.entry import main

main()
