"""Determines which tests share the one platform of a run."""

ON_THE_PLATFORM = ("tests/e2e/", "tests/crash/", "tests/cards/")
