"""What the programs of a whole platform run with in tests, besides their own settings."""

# Measuring them costs more than half of their start again, and there are dozens of starts: what they run is covered by
# the tests of their packages, those of processes among them.
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
# How soon a dead process's work is somebody else's: the least that the settings allow, since tests wait for it.
QUICK_TO_TAKE_OVER = {"OMS_JOB_LEASE_SECONDS": "6", "OMS_KAFKA_SESSION_SECONDS": "6"}
PROGRAMS = {**UNMEASURED, **QUICK_TO_TAKE_OVER}
