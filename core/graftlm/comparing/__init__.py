"""Cells compared: planned together, run in interleaved rounds, each in a fresh process, checked, and reported."""
