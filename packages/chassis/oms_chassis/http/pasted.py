"""Normalises text as people paste it: with typographic dashes, spaces of all widths, digits of any script, and
invisible characters."""

import unicodedata

_WRITTEN_SO = {"Pd": "-", "Zs": " "}  # dashes and spaces, by their Unicode category
_LONERS = {"\t": " ", "\u2212": "-"}  # Unicode does not count the minus sign as a dash
_UNSEEN = "Cf"  # marks of direction, joiners, soft hyphens


def plain(text: str) -> str:
    """Return a number, a date or the like in plain digits, dashes and spaces, as far as it has any."""
    return text.replace("\t", " ") if text.isascii() else "".join(map(_plain, text))


def trimmed(text: str) -> str:
    """Return a text without the invisible characters at its ends."""
    shown = [number for number, one in enumerate(text) if not one.isspace() and unicodedata.category(one) != _UNSEEN]
    return text[shown[0] : shown[-1] + 1] if shown else ""


def without_scheme(text: str, scheme: str) -> str:
    """Return a text without the scheme of a link that was copied with it: `tel:`, in upper or lower case."""
    return text[len(scheme) :] if text[: len(scheme)].lower() == scheme else text


def _plain(character: str) -> str:
    if character in _LONERS:
        return _LONERS[character]
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == _UNSEEN:
        return ""
    return _WRITTEN_SO.get(category) or unicodedata.normalize("NFKC", character)
