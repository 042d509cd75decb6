"""Text from outside on one line: without control characters, and without characters that reorder or hide others."""

from unicodedata import bidirectional, combining

NON_JOINER, JOINER = "\u200c", "\u200d"  # invisible, but they change how the letters next to them are written
VIRAMA = 9  # the combining class of the signs after which letters are joined, in the scripts of India and Sri Lanka


def one_line(text: str) -> str:
    """Replace each character that must not be shown by a space."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or _belongs(text, place) else " " for place, character in enumerate(text)
    )


def _belongs(text: str, place: int) -> bool:
    """Whether the joiner at this place belongs to the spelling of a word. The rules are those of host names (RFC 5892,
    A.1 and A.2): after a virama, or between two Arabic letters that it keeps apart."""
    before, here, after = text[max(place - 1, 0)], text[place], text[place + 1 : place + 2]
    if here not in (NON_JOINER, JOINER):
        return False
    return combining(before) == VIRAMA or (here == NON_JOINER and _is_arabic(before) and _is_arabic(after))


def _is_arabic(letter: str) -> bool:
    return letter != "" and bidirectional(letter) == "AL"
