"""Upper limits for settings that are durations. Larger values overflow in sockets, threads or Postgres, and fail late:
a timeout only once a mail has been sent.
"""

HOUR = 3600  # seconds
DAY = 24 * HOUR  # Postgres counts some limits in milliseconds of 32 bits, which are 24 days
MONTH = 30 * DAY
CENTURY = 36_500  # days
