"""Text from outside on one line."""

import pytest

from oms_contracts.lines import one_line

WORDS = [
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3\u0db8\u0dad\u0dd3",  # Sinhala: a title
    "\u0d30\u0d3e\u0d1c\u0d28\u0d4d\u200d",  # Malayalam: a name that ends so
    "\u0915\u094d\u200c\u0937",  # Hindi: two letters side by side
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian: a name of two parts
]


@pytest.mark.parametrize("word", WORDS)
def test_joiners_that_belong_to_the_spelling_of_a_word_stay(word: str) -> None:
    assert one_line(word) == word
    assert one_line(f"{word}\r\n\u202e{word}") == f"{word}   {word}"


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
@pytest.mark.parametrize("around", ["{}", "pay{}pal", "evil{}.example", "090{}0123", "\u0dc1\u0dca{0}{0}"])
def test_a_joiner_that_joins_nothing_is_not_shown(around: str, joiner: str) -> None:
    assert one_line(around.format(joiner)).count(joiner) == around.count("{0}{0}")
    assert one_line("a\u200bb\u2060c\ufeffd\u00ade") == "a b c d e"


def test_arabic_letters_that_are_joined_anyway_need_no_joiner() -> None:
    assert one_line("\u0639\u200d\u0644") == "\u0639 \u0644"
    assert one_line("\u0639\u0644\u200c") == "\u0639\u0644 "
