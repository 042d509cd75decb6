"""The admin API: how operators look into a service and repair it, and who of them did what."""
