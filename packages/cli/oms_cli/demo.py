"""`oms demo`: what can go wrong with an order, made to happen, and what OMS makes of it."""

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from oms_cli import sample
from oms_cli.admin import Acting, Admin
from oms_cli.client import Client, Json, Refused
from oms_cli.output import follow
from oms_platform.control import ask
from oms_platform.running import NotRunning, Running
from oms_servers.errors import LocalError

ORDER_SECONDS = 60.0
# Kafka waits 10 s for a consumer that died; the lease of a charge that it had begun ends after 60 s.
RECOVERY_SECONDS = 150.0
DECLINED_CARD = "4000000000000002"
SLOW_CARD, MID_CHARGE_SECONDS = "9999000000000001", 1.0  # a charge of it takes two seconds
SCARCE_ITEM = "Item5"
GATEWAY_FAILURES = "/admin/simulator/failures"


class UnexpectedEnd(LocalError):
    """An order did not end as it should."""


class Demo:
    """Orders in trouble, on the `oms up` of a folder."""

    def __init__(self, home: Path, console: Console) -> None:
        if not Running(home).is_ready():
            raise NotRunning(
                "OMS is not up, or not ready yet", "`make up` first, then `make demo` in a second terminal"
            )
        self._home, self._console = home, console
        self._client = Client.of_running(home)
        self._admin = Admin.of_running(home, Acting("demo", "a demonstration"))

    def run(self, *, long: bool = False) -> None:
        """Go through all of it; UnexpectedEnd or another LocalError when an order does not end as it should."""
        self._dead_service()
        self._declined_card()
        self._sold_out()
        self._cancelled()
        self._lost_answer()
        self._given_up_email()
        if long:
            self._cut_off_charge()
        self._console.print("\n[green]All orders ended as they should.[/] docs/architecture.md says how it works.")

    def _dead_service(self) -> None:
        self._title("1. The payment service is killed, and an order comes in")
        # In this order: a charge that the kill cuts off waits for the end of its lease, as in the last part.
        self._kill_payment()
        order = self._place(sample.ORDER)
        self._await_end(order, "CONFIRMED", None, RECOVERY_SECONDS)
        self._why(
            "The order was stored together with its event (transactional outbox), and Kafka kept the event until "
            "payment was back. What a service gets twice, it skips (idempotent consumer)."
        )

    def _declined_card(self) -> None:
        self._title("2. The card is declined")
        order = self._place(sample.order(card=DECLINED_CARD))
        self._await_end(order, "CANCELLED", "payment-declined")
        self._why("No service waits for another: payment publishes that the charge failed, and order cancels.")

    def _sold_out(self) -> None:
        self._title("3. Two customers want the last piece")
        left = self._last_pieces()
        orders = [self._place(sample.order(SCARCE_ITEM, left))]
        try:
            orders.append(str(self._client.place(sample.order(SCARCE_ITEM, left))["id"]))
        except Refused as refused:
            self._console.print(f"  the second was too late for that: {refused}", highlight=False)
        ends = [self._follow(order, ORDER_SECONDS) for order in orders]
        self._expect(sorted(ends), [("CANCELLED", "out-of-stock"), ("CONFIRMED", "")][-len(orders) :])
        self._await_messages(orders)
        self._why(
            "Both had paid when inventory found too little for the second: it publishes that, and payment refunds "
            "(compensation) before the order is CANCELLED. A moment later, the item is known to be sold out, and POST "
            "/order refuses it (409)."
        )

    def _cancelled(self) -> None:
        self._title("4. The customer changes their mind while the card is being charged")
        order = self._place(sample.order(card=SLOW_CARD))
        status = self._client.cancel(order, reason="changed my mind")["status"]
        self._console.print(f"  POST /order/{order}/cancel: it is {status}", highlight=False)
        self._await_end(order, "CANCELLED", "customer")
        self._why(
            "From that answer on, nothing confirms the order. Payment refunds the charge as soon as its outcome is "
            "known, or never makes it; inventory releases the stock, or never reserves it; then it is CANCELLED."
        )

    def _lost_answer(self) -> None:
        self._title("5. The gateway dies after it has charged")
        self._admin.act("payment", GATEWAY_FAILURES, "PUT", target="gateway", kind="lost-answer", times=1)
        order = self._place(sample.ORDER)
        self._await_end(order, "CONFIRMED", None)
        self._why("A call whose answer is lost is asked about before it is repeated: the customer pays once.")

    def _given_up_email(self) -> None:
        self._title("6. The mail server refuses a mail, which is given up and sent after all")
        self._client.fail({"target": "mail", "kind": "4xx"})
        try:
            order = self._place(sample.ORDER)
            self._expect([self._follow(order, ORDER_SECONDS)], [("CONFIRMED", "")])
            self._give_up(order)
        finally:
            self._client.fail_no_more()
        self._admin.act("email", f"/admin/messages/{order}/resend")
        self._console.print(f"  [dim]oms messages resend {order} --channel email[/]", highlight=False)
        self._await_messages([order])
        self._why("What is given up is kept, and an operator's act has it made again; `oms audit list` shows who did.")

    def _give_up(self, order: str) -> None:
        """An operator gives up the email about an order, as its last attempt would."""
        deadline = time.monotonic() + ORDER_SECONDS
        while not (jobs := self._admin.pages("email", "/admin/jobs", 1, subject=order, state="failing")):
            if time.monotonic() > deadline:
                raise UnexpectedEnd(f"No attempt at the email about {order} has failed", "`oms logs email` may say why")
            time.sleep(0.1)
        self._admin.act("email", "/admin/jobs/cancel", queue=jobs[0]["queue"], id=jobs[0]["id"])
        self._console.print(f"  [dim]oms jobs cancel email email {order}[/]: {jobs[0]['lastError']}", highlight=False)

    def _cut_off_charge(self) -> None:
        self._title("7. The payment service is killed in the middle of a charge")
        order = self._place(sample.order(card=SLOW_CARD))
        time.sleep(MID_CHARGE_SECONDS)
        self._kill_payment()
        self._console.print("  [dim]nobody knows whether the card was charged; the job's lease ends within 60 s[/]")
        self._await_end(order, "CONFIRMED", None, RECOVERY_SECONDS)
        self._why(
            "The charge is a job with a lease. When that ends, the job is done again with the same idempotency key, by "
            "which the gateway knows a charge that it has already made: the customer pays once."
        )

    def _kill_payment(self) -> None:
        Running(self._home).await_ready("payment", RECOVERY_SECONDS)
        self._console.print(f"  {ask(self._home, 'kill', 'payment')}")

    def _last_pieces(self) -> int:
        """How many of the scarce item there are, one at least."""
        left = int(self._client.item(SCARCE_ITEM)["onHand"])
        if left == 0:
            self._client.restock(SCARCE_ITEM, 1)
            self._console.print(f"  {SCARCE_ITEM} was sold out: restocked by one")
        return left or 1

    def _place(self, body: Json) -> str:
        placed = self._client.place_patiently(body)
        self._console.print(f"  POST /order: order {placed['id']} is {placed['status']}", highlight=False)
        return str(placed["id"])

    def _await_end(self, order: str, status: str, reason: str | None, seconds: float = ORDER_SECONDS) -> None:
        self._expect([self._follow(order, seconds)], [(status, reason or "")])
        self._await_messages([order])

    def _follow(self, order: str, seconds: float) -> tuple[str, str]:
        """The status and reason in which an order ends, with its timeline on the console."""
        with self._console.status("waiting for the order to end"):
            last = follow(self._client.events(order, seconds), as_json=False, console=self._console) or {}
        return last.get("status", ""), last.get("reason") or ""

    def _expect(self, ends: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
        if ends != expected:
            message = f"Ended {_listed(ends)}; expected was {_listed(expected)}"
            raise UnexpectedEnd(message, "`oms logs SERVICE` may say why")

    def _await_messages(self, orders: list[str]) -> None:
        for order in orders:
            kinds = {message["kind"] for message in self._client.await_messages(order, seconds=ORDER_SECONDS)}
            if kinds != {"email", "sms"}:
                raise UnexpectedEnd(f"The customer of {order} was not sent an email and a text", "See `oms messages`")
            self._console.print(f"  the customer of {order} was sent an email and a text", highlight=False)

    def _title(self, title: str) -> None:
        self._console.print(Text(f"\n{title}", "bold"))

    def _why(self, reason: str) -> None:
        self._console.print(Text(f"  Why: {reason}", "cyan"))


def _listed(ends: list[tuple[str, str]]) -> str:
    return ", ".join(f"{status} ({reason})" if reason else status for status, reason in ends)
