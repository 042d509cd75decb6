"""An operator's act: its changes and its entry in the audit log are one transaction.

    @router.post("/things/{name}/repair")
    def repair(name: str, act: Act, service: Administered) -> Repaired:
        with act.transaction(service.database) as transaction:
            ...
            act.record(transaction, "things.repair", name, before, after)

A dry run is the act itself, rolled back: it answers as the act would have at that moment.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, Request

from oms_chassis.admin import audit, contacts
from oms_chassis.admin.addressing import SERVICE
from oms_chassis.db import Database, Transaction
from oms_chassis.http import cardnumbers
from oms_chassis.http.bodies import is_visible
from oms_chassis.http.problems import InvalidRequest

OPERATOR, REASON, DRY_RUN = "OMS-Operator", "OMS-Reason", "OMS-Dry-Run"
OPERATOR_LENGTH, REASON_LENGTH = 100, 500  # characters
_KNOWN = {name.lower() for name in (OPERATOR, REASON, DRY_RUN, SERVICE)}
# Control characters, surrogates, private use characters, and line and paragraph separators, by their Unicode
# categories. Joiners and spaces of any width are allowed, because words are written with them.
_NO_TEXT = frozenset(["Cc", "Cs", "Co", "Zl", "Zp"])
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they make a text look like another


class _RolledBack(Exception):
    """Ends a dry run."""


@dataclass(frozen=True)
class OperatorAct:
    """Who acts, why, and whether it is a dry run."""

    operator: str
    reason: str | None = None
    dry_run: bool = False

    @contextmanager
    def transaction(self, database: Database) -> Iterator[Transaction]:
        """Open the act's transaction, which is rolled back at the end of the block if this is a dry run."""
        with suppress(_RolledBack), database.transaction() as transaction:
            yield transaction
            if self.dry_run:
                raise _RolledBack

    @contextmanager
    def look(self, database: Database) -> Iterator[Transaction]:
        """Open the transaction of an act that shows a customer's data. Raises InvalidRequest for a dry run, which would
        show the data as well, but roll back the record of who looked."""
        if self.dry_run:
            raise InvalidRequest((DRY_RUN, "is not for what only shows: whoever looks is on record"))
        with database.transaction() as transaction:
            yield transaction

    def record(
        self,
        transaction: Transaction,
        action: str,
        subject: str | int,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the act into the audit log. `before` and `after` contain states and ids, and no customer data: strings
        that look like it are masked. Numbers are ids of our own, and kept."""
        kept = [None if state is None else contacts.without(state) for state in (before, after)]
        entry = audit.Entry(self.operator, action, str(contacts.without(subject)), self.reason, *kept)
        audit.record(transaction, [entry])


async def _act(
    request: Request,
    operator: Annotated[str | None, Header(alias=OPERATOR)] = None,
    reason: Annotated[str | None, Header(alias=REASON)] = None,
    dry_run: Annotated[bool, Header(alias=DRY_RUN)] = False,
) -> OperatorAct:
    """Read the act from a request's headers. Names and reasons are percent-encoded, because headers contain ASCII
    only."""
    _check_names(request.headers)
    who = _text(OPERATOR, operator, OPERATOR_LENGTH)
    if not who:
        raise InvalidRequest((OPERATOR, "must name who acts"))
    why = _text(REASON, reason, REASON_LENGTH)
    if contacts.found_in(why):
        raise InvalidRequest((REASON, contacts.MESSAGE))
    return OperatorAct(who, why or None, dry_run)


def _check_names(names: Iterable[str]) -> None:
    """Raise InvalidRequest for a misspelt header of an act: if it were ignored, a dry run would become the act
    itself."""
    for name in names:
        plain = name.replace("-", "").replace("_", "").removeprefix("x")
        if name not in _KNOWN and (plain.startswith("oms") or plain == "dryrun"):
            raise InvalidRequest(("headers", f"of an act are {OPERATOR}, {REASON}, {DRY_RUN} and {SERVICE}"))


def _text(name: str, given: str | None, most: int) -> str:
    if not given:
        return ""
    with suppress(UnicodeDecodeError):
        text = unquote(given, errors="strict").strip()
        if cardnumbers.found_in(text):
            raise InvalidRequest((name, cardnumbers.MESSAGE))
        if given.isascii() and _is_plain(text) and is_visible(text) and len(text) <= most:
            return text
    raise InvalidRequest((name, f"must be 1 to {most} printable characters, percent-encoded"))


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(one) in _NO_TEXT or one in _REORDERING for one in text)


Act = Annotated[OperatorAct, Depends(_act)]
