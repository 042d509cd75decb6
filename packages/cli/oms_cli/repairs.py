"""The parts of `oms demo` in which an operator acts on an order."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from oms_cli import sample
from oms_cli.answers import Refused
from oms_cli.client import Json
from oms_cli.stage import RECOVERY_SECONDS, Stage, UnexpectedEnd
from oms_platform.addresses import Addresses
from oms_platform.platform import Platform

RETURNED_ITEM = "Item1"
UNFIT_ITEM, UNFIT_QUANTITY = "Item3", 13  # the mistaken release recognises its order by this amount
_MISTAKE = "ALTER TABLE payment ADD CONSTRAINT demo CHECK (amount <> {amount}) NOT VALID"
_REPAIRED = "ALTER TABLE payment DROP CONSTRAINT IF EXISTS demo"


def given_up_email(stage: Stage) -> None:
    """An operator has a mail sent that had been given up."""
    stage.client.fail({"target": "mail", "kind": "4xx"})
    try:
        order = stage.place(sample.ORDER)
        stage.expect([stage.follow(order)], [("CONFIRMED", "")])
        _give_up(stage, order)
    finally:
        stage.client.fail_no_more()
    again = partial(_resend, stage, order)
    stage.until(again, f"The email about {order} is still being sent", "`oms logs email` may say why")
    stage.say(f"[dim]oms messages resend {order} --channel email[/]")
    stage.await_messages([order])
    stage.why("What is given up is kept, and an operator's act has it made again; `oms audit list` shows who did.")


def refund(stage: Stage) -> None:
    """An operator refunds a part of an order, and puts a piece back into the stock."""
    order = stage.place(sample.order(RETURNED_ITEM, 2))
    stage.await_end(order, "CONFIRMED", None)
    before = int(stage.client.item(RETURNED_ITEM)["onHand"])
    lines = [{"id": RETURNED_ITEM, "quantity": 1}]
    asked = {"lines": lines, "restock": True, "reason": "broken"}
    made = stage.client.refund(order, asked, key=f"demo-{order}")
    again = stage.client.refund(order, asked, key=f"demo-{order}")
    stage.say(
        f"[dim]oms order refund {order} --line {RETURNED_ITEM}=1 --restock[/]: {made['amount']} is {made['status']}"
    )
    stage.until(lambda: _given(stage, order), f"Nothing of {order} was refunded", f"`oms payments show {order}`")
    if again != made or _given(stage, order) != made["amount"]:
        raise UnexpectedEnd(f"{order} was refunded twice", f"`oms payments show {order}`")
    is_back = partial(_is_back, stage, before + 1)
    stage.until(is_back, f"{RETURNED_ITEM} is not in the stock again", "`oms inventory movements Item1`")
    stage.await_messages([order], 4)
    stage.why(
        "The order's row decides how much may still go back, payment's row decides again, and the gateway knows the "
        "refund by its key: asked for twice, it is made once. The order stays CONFIRMED."
    )


def dead_letter(stage: Stage) -> None:
    """An operator has an event applied that could not be applied before."""
    amount = UNFIT_QUANTITY * int(stage.client.item(UNFIT_ITEM)["unitPrice"])
    with _mistaken_release(stage, amount):
        order = stage.place(sample.order(UNFIT_ITEM, UNFIT_QUANTITY))
        letters = partial(stage.admin.pages, "payment", "/admin/dead-letters", 1, state="dead", subject=order)
        (letter,) = stage.until(letters, f"No dead letter about {order}", "`oms logs payment`", RECOVERY_SECONDS)
        stage.say(
            f"[dim]oms deadletters list[/]: {letter['topic']} fails by {letter['error']}; everything else goes on"
        )
    stage.admin.act("payment", f"/admin/dead-letters/{letter['id']}/redrive")
    stage.say(f"[dim]oms deadletters redrive payment {letter['id']}[/]")
    stage.await_end(order, "CONFIRMED", None)
    stage.why("An event that fails alone is set aside with all that it needs, and is applied once, when it can be.")


@contextmanager
def _mistaken_release(stage: Stage, amount: int) -> Iterator[None]:
    """Make payment's database refuse orders of an amount during a block. Repairs what a killed demo has left, too."""
    database = Platform(stage.home, Addresses.local()).databases["payment"]
    database.run(_REPAIRED, "oms")
    database.run(_MISTAKE.format(amount=amount), "oms")
    try:
        yield
    finally:
        database.run(_REPAIRED, "oms")


def _give_up(stage: Stage, order: str) -> None:
    """An operator gives up the email about an order, as its last attempt would."""
    failing = partial(stage.admin.pages, "email", "/admin/jobs", 1, subject=order, state="failing")
    (job,) = stage.until(failing, f"No attempt at the email about {order} has failed", "`oms logs email` may say why")
    stage.admin.act("email", "/admin/jobs/cancel", queue=job["queue"], id=job["id"])
    stage.say(f"[dim]oms jobs cancel email email {order}[/]: {job['lastError']}")


def _resend(stage: Stage, order: str) -> bool:
    """Have the email about an order sent. Return False while a call from before it was given up may be in progress."""
    try:
        stage.admin.act("email", f"/admin/messages/{order}/resend")
    except Refused as refused:
        if refused.kind != "call-under-way":
            raise
        return False
    return True


def _given(stage: Stage, order: str) -> int:
    """Return how much of an order has been refunded."""
    shown: Json = stage.client.shown(order)
    return int(shown.get("refunded") or 0)


def _is_back(stage: Stage, expected: int) -> bool:
    """Whether a piece is back in the stock. Nobody else orders it during this demo."""
    return int(stage.client.item(RETURNED_ITEM)["onHand"]) == expected
