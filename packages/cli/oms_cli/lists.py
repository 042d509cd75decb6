"""What `oms doctor` lists of the services: one that cannot look into itself hides nothing of the others."""

from oms_cli.admin import Admin
from oms_cli.answers import Refused
from oms_cli.diagnosis import Finding
from oms_cli.portions import Portion, said
from oms_cli.unanswered import Unanswered


class Lists:
    """The services' lists, as far as they can be had; `unread` are findings about the services that could not look, as
    when the schema is at fault."""

    def __init__(self, admin: Admin, limit: int) -> None:
        self._admin, self._limit = admin, limit
        self.unread: dict[str, Finding] = {}

    def of(self, service: str, path: str, **params: str) -> Portion:
        """The first of a list, with a word if it goes on; none if it cannot be had."""
        return said(self.quietly(service, path, self._limit, **params))

    def quietly(self, service: str, path: str, limit: int, **params: str) -> Portion:
        """The same without a word."""
        try:
            return self._admin.pages(service, path, limit, **params)
        except (Refused, Unanswered) as error:
            unread = f"its list {path} could not be had: {error.message}"
            self.unread.setdefault(service, Finding(f"service {service}", "its lists", None, unread, error.advice))
            return Portion()
