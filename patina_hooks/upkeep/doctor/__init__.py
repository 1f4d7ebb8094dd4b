"""The doctor: checks of the installation, each with a reason and a fix."""

from patina_hooks.upkeep.doctor.examine import examine, run_checks
from patina_hooks.upkeep.doctor.finding import Finding

__all__ = ["Finding", "examine", "run_checks"]
