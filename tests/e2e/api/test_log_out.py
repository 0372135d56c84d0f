"""Logging out, and a role that is taken away, over HTTP and over two processes."""

import asyncio

from boxoffice.app import open_services
from boxoffice.settings import Settings

from .client import Api, Person, expect, log_in, refused, sign_up
from .conftest import Running, Start, make_organizer
from .test_operations import until

REFRESH_S = "1"


def grant(server: Running, person: Person, role: str) -> None:
    """Do as `boxoffice grant` does, in a process of its own as far as the servers know."""

    async def change() -> None:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_services(settings) as application:
            await application.services.accounts.grant_role(person.email, role)

    asyncio.run(change())


def is_refused(api: Api) -> bool:
    """Whether the person of `api` is not known any more."""
    return api.get("/v1/me/wallet").code == "token_invalid"


def test_a_log_out_is_heard_of_by_every_process(start: Start) -> None:
    here, there = start(token_key_refresh_s=REFRESH_S), start(token_key_refresh_s=REFRESH_S)
    person = sign_up(here.api)
    other = here.api.of(log_in(here.api, person.email))
    expect(there.api.of(person.api.token).get("/v1/me/wallet"), 200)
    expect(person.api.call("DELETE", "/v1/sessions"), 204)
    refused(person.api.get("/v1/me/wallet"), "token_invalid")
    until(lambda: is_refused(there.api.of(person.api.token)), "the other process to hear of it")
    refused(person.api.call("DELETE", "/v1/sessions"), "token_invalid")
    for server in (here, there):
        expect(server.api.of(other.token).get("/v1/me/wallet"), 200)

    expect(there.api.of(other.token).call("DELETE", "/v1/me/sessions"), 204)
    until(lambda: is_refused(other), "every process to hear of it")
    later = log_in(here.api, person.email)
    for server in (here, there):
        expect(server.api.of(later).get("/v1/me/wallet"), 200)


def test_a_role_that_is_taken_away_ends_at_once_where_it_matters(start: Start) -> None:
    # No refresh comes within the test: it is the role in the database that decides.
    server = start(token_key_refresh_s="600")
    organizer = make_organizer(server)
    draft = {"title": "봄의 노래", "artist": "The Encores", "venue": "Hall 1"}
    expect(organizer.api.post("/v1/admin/concerts", draft), 201)
    grant(server, organizer, "buyer")
    refused(organizer.api.post("/v1/admin/concerts", draft), "token_invalid")
    refused(organizer.api.get("/v1/admin/concerts"), "token_invalid")
    # A token of the role that they have now is refused for the role.
    buyer = server.api.of(log_in(server.api, organizer.email))
    refused(buyer.get("/v1/admin/concerts"), "forbidden")


def test_a_role_that_is_taken_away_ends_everywhere_with_the_refresh(start: Start) -> None:
    server = start(token_key_refresh_s=REFRESH_S)
    organizer = make_organizer(server)
    expect(organizer.api.get("/v1/me/wallet"), 200)
    grant(server, organizer, "buyer")
    until(lambda: is_refused(organizer.api), "the process to read it")
