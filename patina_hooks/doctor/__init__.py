"""The doctor: checks of the installation, each with a reason and a remedy."""

from patina_hooks.doctor.examine import examine, run_checks
from patina_hooks.doctor.finding import Finding

__all__ = ["Finding", "examine", "run_checks"]
