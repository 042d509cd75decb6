"""The services' lists for `oms doctor`: a service that cannot answer does not hide the others."""

from oms_cli.admin import Admin
from oms_cli.answers import Refused
from oms_cli.diagnosis import Finding
from oms_cli.portions import Portion, said
from oms_cli.unanswered import Unanswered


class Lists:
    """The services' lists, as far as they can be read. `unread` has findings about the services that could not answer,
    for example because their schema is wrong."""

    def __init__(self, admin: Admin, limit: int) -> None:
        self._admin, self._limit = admin, limit
        self.unread: dict[str, Finding] = {}

    def of(self, service: str, path: str, **params: str) -> Portion:
        """Return the first rows of a list, and say so if there are more. Empty if the list cannot be read."""
        return said(self.quietly(service, path, self._limit, **params))

    def quietly(self, service: str, path: str, limit: int, **params: str) -> Portion:
        """Return the same without saying anything."""
        try:
            return self._admin.pages(service, path, limit, **params)
        except (Refused, Unanswered) as error:
            unread = f"its list {path} could not be had: {error.message}"
            self.unread.setdefault(service, Finding(f"service {service}", "its lists", None, unread, error.advice))
            return Portion()
