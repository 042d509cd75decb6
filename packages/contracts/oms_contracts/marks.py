"""What is written into a page by a program, between two lines that mark its place."""


def replaced(page: str, begin: str, end: str, text: str) -> str:
    """The page with this text between the marks. Raises ValueError if it does not have both, once, in this order."""
    before, _, rest = page.partition(f"{begin}\n")
    _, found, after = rest.partition(end)
    if (page.count(begin), page.count(end)) != (1, 1) or not found:
        raise ValueError(f"needs the lines {begin} and {end}, in this order and once")
    return f"{before}{begin}\n{text}{end}{after}"
