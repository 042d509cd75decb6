"""Calls to other systems: the job queue, and the worker that makes its calls."""
