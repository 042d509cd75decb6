"""The routes for dead letters: list, show, redrive, drop."""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Response
from pydantic import Field

from oms_chassis.admin import masking, paging
from oms_chassis.admin.acts import Act, OperatorAct
from oms_chassis.admin.contacts import MaskedKey
from oms_chassis.admin.paging import PREFIX, Cursor, Limit, RowId, Text
from oms_chassis.admin.problems import EarlierLetter, EventFails, LetterSettled, NoSuchLetter
from oms_chassis.admin.service import Administered
from oms_chassis.db import Transaction
from oms_chassis.http import pages
from oms_chassis.http.bodies import Body, View
from oms_chassis.http.problems import InvalidRequest, documented
from oms_chassis.laterreleases import extensible
from oms_chassis.messaging import deadletterstore, outbox
from oms_chassis.messaging.redrive import StillFails, redrive
from oms_chassis.messaging.subscription import Subscription
from oms_chassis.statements import Row

router = APIRouter(prefix=PREFIX)
State = Literal["dead", "redriven", "dropped"]
REHEARSED = 200  # earlier letters of the same key that a dry run applies first, at most
AFTER = 1000  # letters that a dry run may name, at most


class Letter(View):
    """A dead letter without its content."""

    id: int
    topic: str
    partition: int
    record_offset: int
    error: str
    subject: MaskedKey
    dead_at: datetime
    state: Annotated[str, extensible(get_args(State))]
    settled_at: datetime | None
    bytes: int


class LetterDetail(Letter):
    """A dead letter with its content, masked unless it was revealed."""

    subject: str | None
    headers: dict[str, str | None]
    value: Any


class Rehearsal(Body):
    """The letters that a dry run assumes to be redriven already; only those of the same key matter."""

    after: list[int] = Field(max_length=AFTER)


class Redriven(View):
    """The outcome of a redrive: the event was applied, or had been before."""

    id: int
    outcome: Literal["applied", "duplicate"]


@router.get("/dead-letters", summary="Dead letters, the oldest first")
def list_letters(
    service: Administered,
    response: Response,
    state: State | None = "dead",
    topic: Text = None,
    subject: Text = None,
    error: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[Letter]:
    """Pages by cursor: where there are further letters, the Link header leads to them."""
    filters = deadletterstore.Filters(state, topic, subject, error)
    after = paging.position("/dead-letters", cursor, 0, pages.number)
    rows = deadletterstore.page(service.database, filters, after, limit + 1)
    query = {"state": state, "topic": topic, "subject": subject, "error": error, "limit": limit}
    return paging.page(response, "/dead-letters", query, rows, Letter.of)


@router.get("/dead-letters/{letter_id}", summary="Show a dead letter, masked", responses=documented(NoSuchLetter))
def show_letter(service: Administered, letter_id: RowId) -> LetterDetail:
    """Customers' data is masked, and card data is never shown."""
    with service.database.transaction() as transaction:
        return _detail(_found(transaction, letter_id), reveal=False)


@router.post("/dead-letters/{letter_id}/reveal", summary="Show a dead letter", responses=documented(NoSuchLetter))
def reveal_letter(service: Administered, act: Act, letter_id: RowId) -> LetterDetail:
    """Shows customers' data; the audit log records who looked."""
    with act.look(service.database) as transaction:
        letter = _found(transaction, letter_id)
        act.record(transaction, "deadletters.reveal", letter_id)
        return _detail(letter, reveal=True)


@router.post(
    "/dead-letters/{letter_id}/redrive",
    summary="Apply the event of a dead letter after all",
    responses=documented(NoSuchLetter, LetterSettled, EarlierLetter, EventFails),
)
def redrive_letter(service: Administered, act: Act, letter_id: RowId, rehearsal: Rehearsal | None = None) -> Redriven:
    """Applies the event and settles the letter in one transaction, and only once, however often it is requested. A dry
    run may name letters that it assumes to be redriven already."""
    if rehearsal and not act.dry_run:
        raise InvalidRequest(("after", "is for a dry run"))
    try:
        with act.transaction(service.database) as transaction:
            if rehearsal:
                _rehearse(transaction, service.subscriptions, letter_id, set(rehearsal.after))
            letter = _open(transaction, letter_id)
            if (earlier := deadletterstore.earlier(transaction, letter)) is not None:
                raise EarlierLetter(detail=f"Letter {earlier} is to be redriven or dropped first.")
            outcome = "applied" if redrive(transaction, service.subscriptions, letter) else "duplicate"
            _record(act, transaction, letter, deadletterstore.REDRIVEN)
    except StillFails as failure:
        raise EventFails(detail=f"It fails by {failure}.") from failure
    return Redriven(id=letter_id, outcome=outcome)


@router.post(
    "/dead-letters/{letter_id}/drop", summary="Give a dead letter up", responses=documented(NoSuchLetter, LetterSettled)
)
def drop_letter(service: Administered, act: Act, letter_id: RowId) -> Letter:
    """Its event is never applied. Its content is kept until it is too old, both here and on its topic."""
    with act.transaction(service.database) as transaction:
        letter = _open(transaction, letter_id)
        deadletterstore.settle(transaction, letter_id, deadletterstore.DROPPED)
        _record(act, transaction, letter, deadletterstore.DROPPED)
        return Letter.of(_found(transaction, letter_id))


def _found(transaction: Transaction, letter_id: int) -> Row:
    letter = deadletterstore.find(transaction, letter_id)
    if letter is None:
        raise NoSuchLetter
    return letter


def _open(transaction: Transaction, letter_id: int) -> Row:
    letter = _found(transaction, letter_id)
    if letter.state != deadletterstore.DEAD:
        raise LetterSettled(detail=f"This dead letter was {letter.state} before.")
    return letter


def _rehearse(
    transaction: Transaction, subscriptions: Sequence[Subscription], letter_id: int, chosen: Container[int]
) -> None:
    """Apply what redriving the chosen letters would have applied by then. Redriving several letters locks the earlier
    ones first, so that there are no deadlocks."""
    letter = deadletterstore.look(transaction, letter_id)
    if letter is None:
        raise NoSuchLetter
    for _ in range(REHEARSED):
        if (earlier := deadletterstore.earlier(transaction, letter)) is None or earlier not in chosen:
            return
        before = _found(transaction, earlier)
        if before.state != deadletterstore.DEAD:
            continue  # it has just been settled
        try:
            redrive(transaction, subscriptions, before)
        except StillFails as failure:
            raise EarlierLetter(detail=f"Letter {earlier} is to be redriven or dropped first.") from failure


def _record(act: OperatorAct, transaction: Transaction, letter: Row, state: str) -> None:
    place = {"topic": letter.topic, "subject": letter.subject}
    action = "deadletters.redrive" if state == deadletterstore.REDRIVEN else "deadletters.drop"
    act.record(transaction, action, int(letter.id), {"state": letter.state, **place}, {"state": state, **place})


def _detail(letter: Row, *, reveal: bool) -> LetterDetail:
    sent = outbox.outgoing(letter)
    headers = {
        masking.key(name, reveal=reveal): masking.header(name, value, reveal=reveal) for name, value in sent.headers
    }
    subject = masking.key(letter.subject, reveal=reveal)
    return LetterDetail.of(letter, subject=subject, headers=headers, value=masking.shown(sent.value, reveal=reveal))
