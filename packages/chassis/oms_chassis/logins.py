"""Names and passwords as settings: a stray line end would make every login fail, so it is refused at the start."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, SecretStr

Text = TypeVar("Text", str, SecretStr)


def _on_one_line(given: Text) -> Text:
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    if text and not (text.isprintable() and text.strip()):
        raise ValueError("must be on one line, and not blank: a file's last line may have come with its end")
    return given


Name = Annotated[str, AfterValidator(_on_one_line)]
Password = Annotated[SecretStr, AfterValidator(_on_one_line)]
