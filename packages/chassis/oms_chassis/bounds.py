"""The most that a setting about time may be. Beyond, sockets, threads and Postgres cannot count, and say so late: of a
timeout, once a mail is out.
"""

HOUR = 3600  # seconds
DAY = 24 * HOUR  # Postgres counts some limits in milliseconds of 32 bits, which are 24 days
MONTH = 30 * DAY
CENTURY = 36_500  # days
