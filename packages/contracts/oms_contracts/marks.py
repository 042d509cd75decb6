"""Replaces the generated part of a page, between two lines that mark it."""


def replaced(page: str, begin: str, end: str, text: str) -> str:
    """Return the page with this text between the marks. Raises ValueError unless it has both, once, in this order."""
    before, _, rest = page.partition(f"{begin}\n")
    _, found, after = rest.partition(end)
    if (page.count(begin), page.count(end)) != (1, 1) or not found:
        raise ValueError(f"needs the lines {begin} and {end}, in this order and once")
    return f"{before}{begin}\n{text}{end}{after}"
