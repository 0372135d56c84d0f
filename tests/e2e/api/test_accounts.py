"""An account over HTTP: its devices, its password, and a hold that needs a verified address."""

import asyncio
import re
from uuid import uuid4

import asyncpg

from boxoffice.accounts.credentials.link_tokens import new_link_token
from tests.integration.notifications.messengers import until

from .client import PASSWORD, Person, expect, log_in, refused, sign_up
from .conftest import Running, on_sale

NEW = "이번에는 다른 것 9"


def mailed(server: Running, purpose: str, email: str) -> str:
    """Return the token of the newest link of an address, as its mail would have it."""

    async def send() -> str:
        connection = await asyncpg.connect(server.database_url)
        query = (
            "SELECT link_id FROM account_links WHERE purpose = $1 AND email = $2"
            " ORDER BY created_at DESC LIMIT 1"
        )
        token = new_link_token(await connection.fetchval(query, purpose, email))
        query = "SELECT count(*) FROM accounts_send_link_v1($1, $2)"
        assert await connection.fetchval(query, token.row_id, token.hash) == 1
        await connection.close()
        return token.text

    return asyncio.run(send())


def test_a_hold_waits_for_a_verified_address(server: Running, organizer: Person) -> None:
    sale, person = on_sale(organizer, 4), sign_up(server.api)
    held = expect(person.api.post(sale.holds, {"seat_ids": ["A-1-1"]}, key="before"), 201)
    concert = f"/v1/admin/concerts/{sale.concert_id}"
    version = expect(organizer.api.get(concert), 200).headers["etag"]
    switched = organizer.api.call(
        "PATCH",
        concert,
        json_body={"requires_verified_email": True},
        headers={"If-Match": version},
    )
    assert expect(switched, 200).json["requires_verified_email"]
    late = sign_up(server.api)

    def is_refused() -> bool:
        answer = late.api.keyed(sale.holds, {"seat_ids": ["A-1-2"]})
        if answer.status == 201:
            expect(late.api.delete(f"/v1/reservations/{answer.json['reservation_id']}"), 204)
        return answer.code == "email_not_verified"

    asyncio.run(until(is_refused))
    refused(late.api.keyed(sale.holds, {"seat_ids": ["A-1-2"]}), "email_not_verified")
    refused(late.api.keyed(sale.holds, {"quantity": 1}), "email_not_verified")
    again = expect(person.api.post(sale.holds, {"seat_ids": ["A-1-1"]}, key="before"), 201)
    assert again.json["reservation_id"] == held.json["reservation_id"], "a repetition"
    assert not expect(late.api.get("/v1/me"), 200).json["email_verified"]
    expect(late.api.post("/v1/me/email/verification"), 202)
    token = mailed(server, "verify_email", late.email)
    done = expect(server.api.post("/v1/email-confirmations", {"token": token}), 200).json
    assert done == {"email": late.email, "outcome": "verified"}
    refused(server.api.post("/v1/email-confirmations", {"token": token}), "link_ended")
    refused(late.api.post("/v1/me/email/verification"), "already_verified")
    wanted = {"seat_ids": ["A-1-3"]}
    asyncio.run(until(lambda: late.api.keyed(sale.holds, wanted).status == 201))


def test_devices_and_password(server: Running) -> None:
    person = sign_up(server.api)
    other = server.api.of(log_in(server.api, person.email))
    listed = expect(person.api.get("/v1/me/sessions"), 200).json["items"]
    assert [one["is_current"] for one in listed] == [False, True]
    expect(person.api.delete(f"/v1/me/sessions/{listed[0]['session_id']}"), 204)
    refused(other.get("/v1/me"), "token_invalid")
    refused(person.api.delete(f"/v1/me/sessions/{uuid4()}"), "session_not_found")
    body = {"password": PASSWORD, "new_password": NEW}
    wrong = refused(
        person.api.call("PUT", "/v1/me/password", json_body={**body, "password": NEW}),
        "password_wrong",
    )
    assert wrong.json["errors"][0]["path"] == "$.password"
    changed = expect(person.api.call("PUT", "/v1/me/password", json_body=body), 200).json
    refused(person.api.get("/v1/me"), "token_invalid")
    own = expect(server.api.of(changed["access_token"]).get("/v1/me"), 200).json
    assert (own["email"], own["role"], own["name"]) == (person.email, "buyer", "김민수")


def test_a_reset_shows_nothing_and_works(server: Running) -> None:
    person = sign_up(server.api)
    unknown = {"email": f"{uuid4().hex}@example.test"}
    answers = [
        expect(server.api.post("/v1/password-resets", body), 202)
        for body in ({"email": person.email}, unknown)
    ]
    assert answers[0].raw == answers[1].raw
    changing = {"x-request-id", "date"}
    headers = [{k: v for k, v in one.headers.items() if k not in changing} for one in answers]
    assert headers[0] == headers[1]
    token = mailed(server, "reset_password", person.email)
    confirm = "/v1/password-resets/confirm"
    refused(
        server.api.post(confirm, {"token": token, "password": "password123"}), "password_common"
    )
    expect(server.api.post(confirm, {"token": token, "password": NEW}), 204)
    refused(server.api.post(confirm, {"token": token, "password": NEW}), "link_ended")
    refused(person.api.get("/v1/me"), "token_invalid")
    session = server.api.post("/v1/sessions", {"email": person.email, "password": NEW})
    own = server.api.of(expect(session, 201).json["access_token"])
    assert expect(own.get("/v1/me"), 200).json["email_verified"]
    assert not re.search(token, "".join(str(line) for line in server.requests()))
