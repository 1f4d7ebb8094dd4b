"""Evaluation: questions mined from a repository's own history, and how well each way answers them.

from patina_hooks.evaluation.evaluate import evaluate

with patina_hooks.open(".") as patina:
    evaluation = evaluate(patina)
"""
