"""Models side by side on a repository's own history: what they find, and what they cost on this machine.

from patina_hooks.evaluation.comparison.candidates import candidates
from patina_hooks.evaluation.comparison.compare import compare

with patina_hooks.open(".") as patina:
    comparison = compare(patina, candidates(patina, ["minilm-l6-v2", "e5-base-v2"]))
"""
