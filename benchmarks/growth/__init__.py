"""Measures how throughput changes as an installation grows: with replicas, and with the size of its databases."""
