"""All SQL of the Order Service. Lists of columns are derived from the tables, once, when a module is imported."""
