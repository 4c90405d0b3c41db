"""Adapters leave this machine, and come to it: folders, archives, model cards, remote places and hubs."""
