"""Deliberate bugs that remove a guard: a window, a check, a mask, or a transaction around related statements."""

from collections.abc import Mapping

from chaos.accidents import BETWEEN_STATEMENTS
from chaos.mutant import Change, Mutant

_ORDER, _INVENTORY = "services/order/oms_order", "services/inventory/oms_inventory"

MUTANTS: Mapping[str, Mutant] = {
    "a cancellation is accepted too late": Mutant(
        f"{_ORDER}/domain.py",
        "(order.status is Status.CONFIRMED and confirmed_for < window)",
        "order.status is Status.CONFIRMED",
    ),
    "stock may fall below nothing": Mutant(
        f"{_INVENTORY}/domain.py",
        "        if quantity > left.get(item, 0)",
        "        if quantity > 1_000_000_000",
        also=(
            Change(
                f"{_INVENTORY}/repository/__init__.py",
                "WHERE item.id = r.id AND item.on_hand >= r.quantity",
                "WHERE item.id = r.id",
            ),
            Change(
                f"{_INVENTORY}/migrations/versions/0001_first.py",
                '        sa.CheckConstraint("on_hand >= 0", name="item_on_hand"),\n',
                "",
            ),
        ),
    ),
    "stock is reserved in a transaction of its own": Mutant(
        f"{_INVENTORY}/handlers.py",
        "    stock.take(transaction, allocated(decisions))\n",
        '    stock.take(transaction, allocated(decisions))\n    transaction.execute("COMMIT")\n',
        BETWEEN_STATEMENTS,
        times=8,
    ),
    "a card's number is logged": Mutant(
        "packages/simulators/oms_simulators/payment/gateway.py",
        "        return Token(",
        "        print(card.digits(), flush=True)\n        return Token(",
        times=1,
    ),
}
