"""Text from outside on one line: without control characters, and without those that reorder or hide what is shown."""

from unicodedata import bidirectional, combining

NON_JOINER, JOINER = "\u200c", "\u200d"  # nobody sees them, but for how the letters next to them are written
VIRAMA = 9  # the combining class of the signs after which letters are joined, in the scripts of India and Sri Lanka


def one_line(text: str) -> str:
    """A space for each character that is not to be shown."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or _belongs(text, place) else " " for place, character in enumerate(text)
    )


def _belongs(text: str, place: int) -> bool:
    """Whether there is a joiner here that belongs to how a word is written: as in names of hosts (RFC 5892, A.1 and
    A.2), after a virama, or to keep two Arabic letters apart."""
    before, here, after = text[max(place - 1, 0)], text[place], text[place + 1 : place + 2]
    if here not in (NON_JOINER, JOINER):
        return False
    return combining(before) == VIRAMA or (here == NON_JOINER and _is_arabic(before) and _is_arabic(after))


def _is_arabic(letter: str) -> bool:
    return letter != "" and bidirectional(letter) == "AL"
