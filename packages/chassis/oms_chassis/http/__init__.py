"""The HTTP edge: applications, problems, health, servers, and group commit."""
