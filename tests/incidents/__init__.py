"""Ordinary production incidents, under load, against real processes and servers."""
