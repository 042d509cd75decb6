"""How long a loop over batches waits for its next batch to grow.

A small batch costs nearly as much as a large one: a transaction, a broker's request, a commit. So a loop waits in
proportion to what a batch took. On an idle machine that is hardly noticed; on a busy one batches take longer, hence
grow, hence cost less an event: the loops make room for one another by themselves.
"""

PAUSE_FACTOR = 4.0  # times as long as the batch took
SHORTEST, LONGEST = 0.05, 0.2  # seconds


def pause(took: float) -> float:
    """Seconds to wait after a batch that took so many seconds and was not a full one."""
    return min(max(SHORTEST, PAUSE_FACTOR * took), LONGEST)
