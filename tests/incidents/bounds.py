"""The bounds of an incident, in seconds, with a margin for a busy machine. The report has the measured times."""

MARGIN = 10.0  # for a busy machine
ANSWERED = 5.0 + MARGIN  # until each POST has an answer, possibly a refusal
RECOVERED = 30.0 + MARGIN  # from the fault's end until a new order is CONFIRMED, and all earlier ones have ended
SETTLED = 180.0  # until every customer has been notified as well, and nothing is under way: retries pause for up to 60
STOPPED = 22.0 + MARGIN  # from SIGTERM to the end of the process: it drains for 20
TAKEN_OVER = 30.0 + MARGIN  # from the moment at which a relay's leader vanished until another leads
NOTICED = 30.0 + MARGIN  # from the last answer of a broker until each service reports that it consumes nothing
COPIES = 16  # emails that may arrive twice if a mail server, or its database, vanishes in the middle of sending
