"""Settings that the programs of a whole platform have in tests, in addition to their own."""

# Coverage would make their starts, of which there are dozens, more than half as long again. Their code is covered by
# the tests of their packages, which include tests of processes.
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
# How soon another process takes over the work of a dead one: the settings' minimum, because tests wait for it.
QUICK_TO_TAKE_OVER = {"OMS_JOB_LEASE_SECONDS": "6", "OMS_KAFKA_SESSION_SECONDS": "6"}
PROGRAMS = {**UNMEASURED, **QUICK_TO_TAKE_OVER}
