"""Chaos: orders, cancellations and price changes while faults overlap, by a schedule that a seed determines.

scripts/chaos.sh --help
"""
