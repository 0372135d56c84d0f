"""The cashier compares statements by itself: what was lost heals, and what a person did there waits."""

import pytest

from tests.support.till import YESTERDAY_S, Till


@pytest.mark.parametrize("method", ["toss", "stripe"])
async def test_the_cashier_finds_what_no_answer_and_no_notice_told(till: Till, method: str) -> None:
    pod = till.open_pod()
    provider = till.simulator(method)
    await provider.set_notices(is_paused=True)
    await provider.advance(-YESTERDAY_S)
    people, seats = till.fixtures.people, till.fixtures.seat_ids
    sold = await till.attempt(people[0], seats[0], method)
    assert (await till.confirm(sold))[0] == 200
    await provider.do("foreign_refund", payment_key=sold.payment_key, amount=1_000)
    lost = await till.attempt(people[1], seats[1], method)
    await provider.set_faults({"operation": "confirm", "fault": "drop_after"})
    assert (await till.confirm(lost))[0] == 202
    pod.kill()
    # Nothing but the statement leads to the money: neither a look-up nor the renewal of the fence.
    await till.connection.execute("DELETE FROM cashier_work")
    till.start_cashier()

    async def healed() -> bool:
        await till.hurry()
        return await till.findings() == [
            ("foreign_cancel", -1_000, None, "waits"),
            ("missing_here", lost.amount, None, "healed"),
        ]

    await till.until(healed, "one finding heals and one waits")
    await till.until_status(lost, "SUCCEEDED")
    runs = "SELECT DISTINCT kind FROM statement_runs WHERE finished_at IS NOT NULL ORDER BY kind"
    assert [row["kind"] for row in await till.connection.fetch(runs)] == ["day", "hour"]
    await till.until_idle()
    assert await till.tickets() == 2
    book = await provider.movements()
    [foreign] = [one["key"] for one in book if one["kind"] == "refund"]
    booked = await till.connection.fetch("SELECT transaction_key FROM provider_transactions")
    assert {row["transaction_key"] for row in booked} == {one["key"] for one in book} - {foreign}


async def test_a_cashier_that_is_killed_at_a_statement_leaves_it_to_the_next(till: Till) -> None:
    till.open_pod()
    provider = till.simulator("toss")
    await provider.advance(-YESTERDAY_S)
    sold = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0])
    assert (await till.confirm(sold))[0] == 200
    await provider.set_faults({"operation": "statement", "fault": "delay_after", "seconds": 30.0})
    first = till.start_cashier()
    await till.until_called("toss", "statement")
    first.kill()
    begun = "SELECT count(*) FROM statement_runs WHERE finished_at IS NULL"
    assert await till.connection.fetchval(begun) == 1
    await provider.set_faults()
    till.start_cashier()

    async def compared() -> bool:
        lines = "SELECT coalesce(sum(lines), 0) FROM statement_runs WHERE finished_at IS NOT NULL"
        left = await till.connection.fetchval(begun)
        return not left and bool(await till.connection.fetchval(lines))

    await till.until(compared, "the next cashier has compared what was begun")
    assert await till.findings() == []
    await till.require_books_agree()
