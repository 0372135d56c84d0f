"""Free top-ups are for demos; elsewhere they are refused."""

import pytest

from boxoffice.app import open_services
from boxoffice.errors import TopUpUnavailable
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings, load


async def test_no_wallet_is_topped_up_unless_that_is_wanted(
    settings: Settings, db: Database
) -> None:
    plain = load(
        {}, database_url=settings.database.database_url, valkey_url=settings.valkey.valkey_url
    )
    async with open_services(plain) as shop:
        user_id = await shop.services.accounts.sign_up("a@example.test", "a-long-password-1", "A")
        assert not shop.services.payments.can_top_up
        with pytest.raises(TopUpUnavailable):
            await shop.services.payments.top_up(user_id, "k", 10_000_000)
    [row] = await db.fetch(
        "SELECT balance_minor, (SELECT count(*) FROM transfers t WHERE t.user_id = w.user_id)"
        "  FROM wallets w WHERE w.user_id = $1",
        user_id,
    )
    assert tuple(row) == (0, 0)
    async with open_services(settings) as demo:
        # Negative control: the same call where it is wanted.
        assert demo.services.payments.can_top_up
        assert (await demo.services.payments.top_up(user_id, "k", 10)).balance_minor == 10
