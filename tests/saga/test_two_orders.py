"""Two orders of one item, and anything that can happen to them, in any sequence: the invariants hold."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from saga.model import PRICE, World
from saga.rules import check_always, check_at_rest

ORDERS = ("a", "b")
EVENTS = 60  # after this many, none is published again


class Saga(RuleBasedStateMachine):
    """The possible actions of customers, clocks, workers and the network, one at a time."""

    @initialize(stock=st.integers(0, 2), declined=st.sets(st.sampled_from(ORDERS)), window=st.sampled_from([0.0, 1.0]))
    def begin(self, stock: int, declined: set[str], window: float) -> None:
        self.world, self.window = World(stock), window
        for order in ORDERS:
            self.world.place(order, is_declined=order in declined)

    @precondition(lambda self: self.world.network)
    @rule(data=st.data(), again=st.lists(st.booleans(), min_size=1, max_size=4))
    def deliver(self, data: st.DataObject, again: list[bool]) -> None:
        for stays in again:
            if self.world.network:
                self.world.deliver(data.draw(st.sampled_from(self.world.network)), again=stays)

    @precondition(lambda self: self.world.charge_jobs)
    @rule(data=st.data(), dies=st.booleans())
    def charge(self, data: st.DataObject, dies: bool) -> None:
        self.world.charge(data.draw(st.sampled_from(sorted(self.world.charge_jobs))), dies=dies)

    @precondition(lambda self: self.world.refund_jobs)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        self.world.refund(data.draw(st.sampled_from(sorted(self.world.refund_jobs))))

    @rule(order=st.sampled_from(ORDERS))
    def cancel(self, order: str) -> None:
        if not self.world.cancel(order, window=self.window):
            assert self.world.orders[order].reason != "customer", "a repeated cancellation was refused"

    @precondition(lambda self: self.world.requested_jobs)
    @rule(data=st.data())
    def make_refund(self, data: st.DataObject) -> None:
        self.world.make_refund(data.draw(st.sampled_from(sorted(self.world.requested_jobs))))

    @precondition(lambda self: self.world.requested and self.world.events < EVENTS)
    @rule(data=st.data(), is_retry=st.booleans())
    def send_back_or_retry(self, data: st.DataObject, is_retry: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.requested)))
        (self.world.retry_refund if is_retry else self.world.send_back)(name)

    @rule(order=st.sampled_from(ORDERS), amount=st.sampled_from([40, PRICE]))
    def ask_refund(self, order: str, amount: int) -> None:
        if self.world.ask_refund(order, amount):
            assert sum(one.amount for one in self.world.refunds_of(order)) <= PRICE

    @rule(order=st.sampled_from(ORDERS))
    def time_out(self, order: str) -> None:
        self.world.time_out(order)

    @precondition(lambda self: self.world.network and self.world.events < EVENTS)
    @rule(data=st.data())
    def publish_again(self, data: st.DataObject) -> None:
        """Publish an event that is on its way again under another id, as after a restore."""
        one = data.draw(st.sampled_from(self.world.network))
        self.world.events += 1
        self.world.network.append(replace(one, number=self.world.events))

    @invariant()
    def holds_always(self) -> None:
        if hasattr(self, "world"):
            check_always(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.come_to_rest()
            check_at_rest(self.world)


TestSaga = Saga.TestCase
TestSaga.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
