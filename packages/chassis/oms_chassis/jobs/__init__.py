"""Calls to the outside: the job queue and the worker that makes its calls."""
