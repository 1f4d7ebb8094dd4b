"""`python -m patina_hooks` is the `patina` command."""

from patina_hooks.commands import run

run()
