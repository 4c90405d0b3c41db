"""What comes from outside: adapters that other tools or other people made.

Every byte is checked before PEFT sees it, and nothing here imports a library of models.
"""
