"""Searching the settings that the planner leaves open: runs of a plan's length, cut short where they are hopeless.

asked → planning → trials (Optuna's study) → search → report; ``tune`` joins them.
"""
