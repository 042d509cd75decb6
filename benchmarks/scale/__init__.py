"""Measures OMS as after years of use: a million orders in the database, a hundred thousand items in the catalogue."""
