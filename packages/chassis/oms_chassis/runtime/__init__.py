"""A running service: its command line, its components, its process and its threads."""
