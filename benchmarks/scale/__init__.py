"""How OMS does after years: a million orders in the database, and a hundred thousand items in the catalogue."""
