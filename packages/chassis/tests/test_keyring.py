"""API keys of requests: what is stored, how soon a revoked key stops working, and what strangers cost."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.chassis import chassis_only, eventually
from support.keys import add_key, create_table

from oms_chassis.db import Database
from oms_chassis.http import groupcommit
from oms_chassis.http.identity import apikeys
from oms_chassis.http.identity.callers import Caller
from oms_chassis.http.identity.keyring import REMEMBERED, Keyring
from oms_chassis.http.identity.problems import CredentialsInvalid, IdentityUnavailable
from oms_chassis.statements import Rows

BELIEVED = 0.5  # seconds

Ask = Callable[[str], Caller]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = chassis_only(database_url)
    create_table(database)
    yield database
    database.dispose()


@pytest.fixture
def keyring(database: Database) -> Iterator[Keyring]:
    keyring = Keyring(database, BELIEVED)
    thread = threading.Thread(target=keyring.lookups.run)
    thread.start()
    yield keyring
    keyring.lookups.stop()
    thread.join()


@pytest.fixture
def ask(keyring: Keyring) -> Iterator[Ask]:
    """Look a key up as requests do: in one event loop."""
    with asyncio.Runner() as runner:
        yield lambda key: runner.run(keyring.caller(key))


def refuses(ask: Ask, key: str) -> bool:
    try:
        ask(key)
    except CredentialsInvalid:
        return True
    return False


def test_a_key_identifies_its_owner_and_scopes(database: Database, ask: Ask) -> None:
    key = add_key(database, "shop", "orders:read", "operator")
    assert ask(key) == Caller("shop", frozenset({"orders:read", "operator"}))


def test_nothing_is_stored_from_which_a_key_could_be_recovered(database: Database) -> None:
    key = add_key(database, "shop")
    (row,) = database.execute("SELECT api_key::text AS everything FROM api_key")
    assert key.split("_", 2)[2] not in row.everything
    assert len({apikeys.new().text for _ in range(1000)}) == 1000


def test_a_revoked_key_works_no_longer_than_it_is_cached(database: Database, ask: Ask) -> None:
    key = add_key(database, "shop")
    assert ask(key).subject == "shop"
    database.execute("UPDATE api_key SET revoked_at = now()")
    revoked = time.monotonic()
    eventually(lambda: refuses(ask, key))
    assert time.monotonic() - revoked < BELIEVED + 5  # of which five seconds are a busy machine's
    database.execute("UPDATE api_key SET revoked_at = NULL")
    eventually(lambda: not refuses(ask, key))


def test_the_age_of_a_cached_key_counts_from_the_lookup_and_not_from_its_answer(
    database: Database, keyring: Keyring
) -> None:
    """Otherwise a slow answer would prolong the life of a revoked key."""
    key = add_key(database, "shop")
    began = time.monotonic()
    (found,) = keyring.find([apikeys.digest(key)])
    assert not isinstance(found, Exception)
    assert began <= found.at <= time.monotonic()


def test_a_key_expires_by_itself_even_while_it_is_cached(database: Database, ask: Ask) -> None:
    key = add_key(database, "shop", seconds=2)
    assert ask(key).until is not None
    eventually(lambda: refuses(ask, key))
    assert refuses(ask, add_key(database, "shop", seconds=-1))


def test_while_a_key_is_replaced_the_old_and_the_new_one_work(database: Database, ask: Ask) -> None:
    first, second = add_key(database, "shop"), add_key(database, "shop")
    assert [ask(key).subject for key in (first, second)] == ["shop", "shop"]


@pytest.mark.parametrize("key", ["oms_", "oms_abcdefghij_", "oms_abcdefghij_" + "a" * 44, "oms_äbcdefghij_" + "a" * 43])
def test_a_text_without_the_form_of_a_key_never_reaches_the_database(key: str, ask: Ask, database: Database) -> None:
    database.execute("DROP TABLE api_key")
    assert refuses(ask, key)


def test_a_new_key_works_although_it_was_used_before_it_existed(database: Database, ask: Ask) -> None:
    key = add_key(database, "shop")
    database.execute("UPDATE api_key SET digest = 'x' || digest")
    assert refuses(ask, key)
    database.execute("UPDATE api_key SET digest = substr(digest, 2)")
    eventually(lambda: not refuses(ask, key))


def test_a_flood_of_unknown_keys_takes_few_statements_and_fills_no_memory(
    database: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[int] = []
    find = keyring._find_rows

    def counted(digests: list[str]) -> Rows:
        statements.append(len(digests))
        return find(digests)

    monkeypatch.setattr(keyring, "_find_rows", counted)
    key = add_key(database, "shop")

    async def flood() -> list[object]:
        strangers = (keyring.caller(apikeys.new().text) for _ in range(3000))
        return await asyncio.gather(*strangers, keyring.caller(key), return_exceptions=True)

    *refused, found = asyncio.run(flood())
    assert all(isinstance(one, CredentialsInvalid) for one in refused)
    assert found == Caller("shop", frozenset())
    assert len(statements) <= 50
    assert len(keyring._known) <= REMEMBERED


def test_while_the_database_is_unavailable_refusals_are_temporary(database: Database, ask: Ask) -> None:
    key = add_key(database, "shop")
    database.execute("ALTER TABLE api_key RENAME TO elsewhere")
    with pytest.raises(IdentityUnavailable):
        ask(key)
    database.execute("ALTER TABLE elsewhere RENAME TO api_key")
    assert ask(key).subject == "shop"


def test_a_silent_database_counts_as_unavailable(
    database: Database, keyring: Keyring, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement under way is waited for no longer than anything else."""
    key, is_over = add_key(database, "shop"), threading.Event()
    find = keyring._find_rows

    def silent(digests: list[str]) -> Rows:
        is_over.wait(10)
        return find(digests)

    monkeypatch.setattr(groupcommit, "ANSWER", 0.2)
    monkeypatch.setattr(keyring, "_find_rows", silent)
    try:
        with pytest.raises(IdentityUnavailable):
            ask(key)
    finally:
        is_over.set()
    monkeypatch.undo()
    assert ask(key).subject == "shop"


def test_the_last_use_is_written_later_and_for_many_keys_at_once(
    database: Database, keyring: Keyring, ask: Ask
) -> None:
    used, unused = add_key(database, "shop"), add_key(database, "shop")
    for _ in range(3):
        ask(used)
    assert keyring.write_uses() is None
    rows = {row.id: row.last_used_at for row in database.execute("SELECT id, last_used_at FROM api_key")}
    assert rows[used.split("_")[1]] is not None
    assert rows[unused.split("_")[1]] is None
    database.execute("UPDATE api_key SET last_used_at = now() + interval '1 day'")
    ask(used)
    keyring.write_uses()  # of another replica, which used it later
    assert len(database.execute("SELECT FROM api_key WHERE last_used_at > now() + interval '1 hour'")) == 2
