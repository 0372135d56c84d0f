"""Which addresses are counted as one."""

import pytest

from boxoffice.platform.client_addresses import address_bucket


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:C000:0207", "192.0.2.7"),
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("192.0.2.07", "192.0.2.07"),
        ("unknown", "unknown"),
        ("", ""),
        ("x" * 1_000, "x" * 64),
    ],
)
def test_a_bucket_is_what_one_subscriber_has(address: str, bucket: str) -> None:
    assert address_bucket(address) == bucket


def test_neighbours_in_a_64_share_a_bucket_and_neighbours_beside_it_do_not() -> None:
    inside = {address_bucket(f"2001:db8::{host:x}") for host in range(1, 1_000)}
    beside = {address_bucket(f"2001:db8:0:{net:x}::1") for net in range(1_000)}
    assert inside == {"2001:db8::/64"}
    assert len(beside) == 1_000
