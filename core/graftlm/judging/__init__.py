"""Judgement: is a model good enough, where does it fail, would tuning help?"""
