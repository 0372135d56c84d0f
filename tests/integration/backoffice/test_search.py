"""One search: whose orders it shows, by what it finds them, and what it leaves in the activity log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from boxoffice.activity_log import ReadLog
from boxoffice.backoffice.search.rules import words
from boxoffice.backoffice.search.service import OrderSearch, SearchLimits, SearchResult
from boxoffice.backoffice.search.store import SearchStore
from boxoffice.errors import OrganizationNotFound
from boxoffice.order_numbers import rules as order_number
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.postgres.runtime_role import grant
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.integration.inventory.test_issues import GUEST, issue
from tests.support.hall import Hall, open_hall

ROOT = Path(__file__).parents[3]

NAMES = ["김민준", "Minjun Kim", "René Featherstonehaugh", "박서연 Featherstone"]
EMAILS = ["minjun.kim84@", "kimmj@", "r_featherston@", "seoyeon@"]


@dataclass(frozen=True)
class Searching:
    """A person who searches in some organizations, None: in all."""

    organization_ids: Sequence[UUID] | None
    user_id: UUID


def search(db: Database, *, newest: int = 1_000, people: int = 500) -> OrderSearch:
    store = SearchStore(db, "Asia/Seoul")
    return OrderSearch(store, ReadLog(db), SearchLimits(newest, people))


async def find(
    hall: Hall, text: str, *, limit: int = 20, newest: int = 1_000, people: int = 500
) -> SearchResult:
    mine = Searching([hall.schedule_id], hall.schedule_id)
    return await search(hall.db, newest=newest, people=people).find(mine, text, limit)


async def found(hall: Hall, text: str, *, newest: int = 1_000) -> list[UUID]:
    result = await find(hall, text, newest=newest)
    return [] if result.is_similar else [one.reservation_id for one in result.orders]


@pytest.fixture
async def named(hall: Hall) -> Hall:
    """A hall whose people have names; each has bought the seat of their place."""
    for person, name, email in zip(hall.people, NAMES, EMAILS, strict=True):
        await hall.db.fetch(
            "UPDATE users SET name = $2, email = $3 WHERE user_id = $1",
            person,
            name,
            f"{email}{uuid4().hex[:10]}.example.org",
        )
    return hall


async def bought(hall: Hall) -> list[UUID]:
    orders = [await hall.held(*pair) for pair in zip(hall.people, hall.seat_ids, strict=False)]
    for person, order in zip(hall.people, orders, strict=True):
        await hall.pay(person, order)
    return orders


@pytest.mark.parametrize("newest", [1_000, 1])
async def test_beginnings_of_names_and_addresses_find_an_order(named: Hall, newest: int) -> None:
    """With and without the index: a single newest order is not enough."""
    kim, romanized, rene, park = await bought(named)

    async def by(text: str) -> list[UUID]:
        return await found(named, text, newest=newest)

    assert await by("김민준") == [kim]
    assert await by("김미") == [kim]
    assert await by("minjun kim") == [romanized, kim]
    assert await by("KIMMJ") == [romanized]
    assert await by("minjun.kim84@") == [kim]
    assert await by("feather") == [park, rene]
    assert await by("rene feather") == await by("Featherstonehaugh, RENÉ") == [rene]
    assert await by("서연") == []
    assert await by("박서연") == [park]
    assert await by("100%") == []
    assert await by("m_njun") == []


@pytest.mark.parametrize("newest", [1_000, 1])
async def test_nothing_that_matches_means_similar_ones(named: Hall, newest: int) -> None:
    kim, _, rene, _ = await bought(named)
    for text, order in (("featherstonehuagh", rene), ("minjn.kim84", kim), ("김민쥰", kim)):
        result = await find(named, text, newest=newest)
        assert result.is_similar, text
        assert result.orders[0].reservation_id == order, text
    nothing = await find(named, "zzyzx qwv", newest=newest)
    assert (list(nothing.orders), nothing.is_similar) == ([], False)


@pytest.mark.parametrize("newest", [1_000, 1])
async def test_only_orders_of_the_organization_are_found(
    named: Hall, db: Database, newest: int
) -> None:
    orders = await bought(named)
    other = await open_hall(db, balance_minor=5_000)
    word = f"elsewhere{uuid4().hex[:8]}"
    await db.fetch(
        "UPDATE users SET name = 'Minjun ' || $2 WHERE user_id = $1", other.people[0], word
    )
    foreign = (await other.pay(other.people[0], await other.held(other.people[0], "S001"))).payment
    assert foreign is not None
    number = foreign.order_number or ""
    for text in (word, f"x{word}", number, number[:6], "S001"):
        assert await found(named, text, newest=newest) == ([orders[0]] if text == "S001" else [])
        shown = (await find(other, text, newest=newest)).orders
        assert [one.reservation_id for one in shown] == [foreign.reservation_id], text
    assert await found(named, "S001", newest=newest) == [orders[0]]
    both = search(db, newest=newest)
    operator = Searching(None, other.schedule_id)
    shown = (await both.find(operator, f"minjun {word}", 20)).orders
    assert [one.reservation_id for one in shown] == [foreign.reservation_id]
    assert (shown[0].organization_id, shown[0].order_number) == (other.schedule_id, number)
    mine = Searching([named.schedule_id, other.schedule_id], other.schedule_id)
    only = await both.find(mine, "S001", 20, organization_id=named.schedule_id)
    assert [one.reservation_id for one in only.orders] == [orders[0]]
    with pytest.raises(OrganizationNotFound):
        await both.find(mine, "S001", 20, organization_id=uuid4())


async def test_orders_of_others_are_not_shown_by_their_ids(named: Hall) -> None:
    order, *_ = await bought(named)
    store, own = SearchStore(named.db, "Asia/Seoul"), ScopedId(named.schedule_id, order)
    assert len(await store.orders([named.schedule_id], [own])) == 1
    assert await store.orders([uuid4()], [own]) == []
    assert await store.orders(None, [ScopedId(uuid4(), order)]) == []


async def test_numbers_and_seats_find_an_order(named: Hall) -> None:
    orders = await bought(named)
    [row] = await named.db.fetch(
        "SELECT order_number FROM order_numbers WHERE reservation_id = $1", orders[1]
    )
    number = row["order_number"]
    shown = order_number.shown(number) or ""
    for text in (number, shown, shown.lower(), number[:7], number[:3] + number[4:], number[:8]):
        assert await found(named, text) == [orders[1]], text
    assert await found(named, "s002") == [orders[1]]
    assert await found(named, "1-2") == [orders[1]]
    await named.db.fetch(
        "UPDATE seats SET seat_id = 'S-1-2' WHERE schedule_id = $1 AND seat_id = 'S002'",
        named.schedule_id,
    )
    assert await found(named, "s-1-2") == await found(named, "S 1 2") == [orders[1]]
    assert await found(named, "1-9") == await found(named, "2-2") == []


async def test_a_seat_without_an_order_finds_nothing(named: Hall) -> None:
    held = await named.held(named.people[0], "S001")
    assert await found(named, "1-1") == [held]
    await named.release(named.people[0], held)
    assert await found(named, "1-1") == []


@pytest.mark.parametrize("newest", [1_000, 1])
async def test_a_guest_is_found_by_name_and_the_house_account_is_not(
    named: Hall, newest: int
) -> None:
    made = await issue(named, GUEST)
    await issue(named, replace(GUEST, name="Mr Nobleman", seat_ids=("S003",)))
    await named.pay(named.people[0], await named.held(named.people[0], "S005"))
    result = await find(named, "ms gue", newest=newest)
    [order] = result.orders
    assert (order.reservation_id, order.name, order.email) == (made.reservation_id, "Ms Guest", "")
    similar = await find(named, "ms guesst", newest=newest)
    assert [one.name for one in similar.orders] == ["Ms Guest"]


async def test_what_was_left_out_is_said(named: Hall) -> None:
    orders = await bought(named)
    two = await find(named, "minjun", limit=1)
    assert ([one.reservation_id for one in two.orders], two.has_more) == ([orders[1]], True)
    assert not (await find(named, "minjun", limit=2)).has_more
    # One order and one person are read, of two that match.
    cut = await find(named, "minjun", newest=1, people=1)
    assert cut.has_more
    assert len(cut.orders) <= 2


async def test_a_search_is_a_read_of_personal_data(named: Hall) -> None:
    await bought(named)
    await find(named, "minjun")
    await find(named, "nobody at all")
    rows = await named.db.fetch(
        "SELECT action, actor_id, schedule_id, details::text AS details FROM logbook"
        " WHERE organizer_id = $1 ORDER BY entry_id",
        named.schedule_id,
    )
    assert [tuple(row) for row in rows] == [
        (
            "orders.read",
            named.schedule_id,
            named.schedule_id,
            '{"rows": 2, "filters": ["text"]}',
        )
    ]


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("김민준", "minjun.kim-84@naver.com"),
        ("René  Müller", "a_b+c@x.example"),
        ("Åse Ñandú Ștefan", "q@x.y"),
        ("Nguyễn Văn", "q@x.y"),
    ],
)
async def test_the_index_and_the_search_know_the_same_words(
    db: Database, name: str, email: str
) -> None:
    [row] = await db.fetch("SELECT search_text($1, $2) AS text", name, email)
    typed = [*name.split(), email]
    assert row["text"].startswith(" ")
    assert {word for one in typed for word in words(one + " xx")} - {"xx"} <= set(
        row["text"].split()
    )


async def test_the_faster_text_is_the_one_that_the_indexes_hold(db: Database) -> None:
    """Migration 0026 keeps the indexes of migration 0024, so no text may differ."""
    [path] = (ROOT / "migrations").glob("0024_*.sql")
    formula = path.read_text().partition("RETURN ")[2].partition(";")[0]
    signs = (
        *range(1, 0x250),
        *range(0x300, 0x370),
        *range(0x1E00, 0x1F00),
        0xAC00,
        0xD55C,
        0x130,
        0x3A3,
    )
    texts = [
        *(f"{chr(sign)}a{chr(sign)}Z {chr(sign)}" for sign in signs),
        "",
        " ",
        "김민준",
        "A.B@C_+-/,()",
    ]
    rows = await db.fetch(
        f"""SELECT p_name, p_email FROM unnest($1::text[]) p_name
             CROSS JOIN unnest($2::text[] || NULL::text) p_email
             WHERE search_text(p_name, p_email) IS DISTINCT FROM ({formula})""",  # noqa: S608 - ours
        texts,
        [*texts[::50], *texts[-4:]],
    )
    assert rows == []


async def test_the_owner_of_a_database_migrates_without_being_a_superuser(
    servers: Servers, settings: Settings
) -> None:
    name = f"owner_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'of-this-test'")
    await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    try:
        host = servers.database_url.rpartition("@")[2].rpartition("/")[0]
        url = f"postgresql://{name}:of-this-test@{host}/{name}"
        assert await migrate(settings.replace(database_url=url)) > 0
        await grant(settings.replace(database_url=url), f"{name}_serves", password="of-this-test")
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"DROP ROLE IF EXISTS {name}_serves")
        await connection.execute(f"DROP ROLE {name}")
        await connection.close()


async def test_any_text_can_be_searched(named: Hall) -> None:
    await bought(named)
    texts = [
        "\\",
        "%_",
        "🎫 🎫",
        "a" * 100,
        "()",
        "'\"",
        "0-0",
        "A-9999",
        "９９-１",
        "٣-٣",
        "²-²",
        "\u0301\u0301",
    ]
    for text in texts:
        assert (await find(named, text, newest=1)).orders is not None, text
