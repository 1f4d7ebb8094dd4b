"""Models side by side on a repository's own history: what they find, and what they cost on this machine.

from patina_hooks.evaluation.comparison.candidates import candidates
from patina_hooks.evaluation.comparison.compare import compare_models

with patina_hooks.open(".") as patina:
    comparison = compare_models(patina, candidates(patina, ["minilm-l6-v2", "e5-base-v2"]))
"""
