"""The board's signature, as a client gets it from a cache that may change or swap answers."""

from tests.support.board_signature import is_verified, verified_board

from .client import Api, Person, expect
from .conftest import on_sale, open_room

KEYS = "/v1/board-keys"


def test_a_board_is_of_this_shop_and_schedule_and_says_when(api: Api, organizer: Person) -> None:
    keys = expect(api.get(KEYS), 200)
    assert keys.headers["cache-control"] == "max-age=0, s-maxage=5, public"
    sales = [on_sale(organizer, 10) for _ in range(2)]
    open_room(organizer, sales[0])
    first, second = (
        expect(api.get(f"/v1/schedules/{sale.schedule_id}/queue/board"), 200) for sale in sales
    )
    signatures = [one.headers["jws-signature"] for one in (first, second)]
    for sale, answer, signature in zip(sales, (first, second), signatures, strict=True):
        board = verified_board(answer.raw, signature, keys.json)
        assert board["schedule_id"] == str(sale.schedule_id)
        assert board["as_of"].endswith("Z")
        assert isinstance(board["epoch"], int)
    # A cache that swaps answers is found by the schedule, and one that changes them by the signature.
    assert is_verified(second.raw, signatures[1], keys.json)
    assert not is_verified(first.raw, signatures[1], keys.json)
    changed = first.raw.replace(b'"epoch":', b'"epoch":1')
    assert not is_verified(changed, signatures[0], keys.json)
    assert not is_verified(first.raw, signatures[0], {"keys": []})


def test_304_and_head_have_the_signature(api: Api, organizer: Person) -> None:
    path = f"/v1/schedules/{on_sale(organizer, 10).schedule_id}/queue/board"
    found = expect(api.get(path), 200)
    same = api.get(path, headers={"If-None-Match": found.headers["etag"]})
    # The bytes of a board that does not change stand still until the next ten seconds begin.
    if same.status == 200:
        found, same = same, api.get(path, headers={"If-None-Match": same.headers["etag"]})
    expect(same, 304)
    assert same.headers["jws-signature"] == found.headers["jws-signature"]
    assert api.call("HEAD", path).headers.get("jws-signature")
