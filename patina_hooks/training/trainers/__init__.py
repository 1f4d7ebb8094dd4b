"""Trainers of projections, in numpy."""
