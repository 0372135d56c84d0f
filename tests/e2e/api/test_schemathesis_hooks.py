"""What the hooks of the schema test let through, and no more: a small shop that can be wrong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from .test_schemathesis import CONFIG, STILL_THERE, forgiven, run

RESERVATION = "/v1/reservations/{reservation_id}"
ROOM = "/v1/schedules/{schedule_id}/queue"
PREVIEW = "/v1/admin/schedules/{schedule_id}/seats/preview"
ACCEPTED = "Schema-violating request accepted"


class Desk:
    """A shop of three things; `left` is what it says of a released hold and of a left room."""

    def __init__(self, left: dict[str, str]) -> None:
        self.statuses: dict[str, str] = {}
        self._left = left

    def answer(self, method: str, path: str) -> tuple[int, dict[str, Any] | None]:
        """Return a status and a body."""
        if not path.startswith("/v1/"):
            return 404, None
        kind = path.split("/")[2]
        if path.endswith("/preview"):
            return 200, {"acceptable": False}
        if method == "POST":
            made = f"/v1/reservations/{uuid4()}" if path.endswith("/reservations") else path
            self.statuses[made] = "HELD"
            return 201, {
                "reservation_id": made.rpartition("/")[2],
                "schedule_id": path.split("/")[3],
            }
        if path not in self.statuses:
            return 404, None
        if method == "GET":
            return 200, {"status": self.statuses[path]}
        del self.statuses[path]
        if kind in self._left:
            self.statuses[path] = self._left[kind]
        return 204, None


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """Serve it on loopback; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = desk.answer(self.command, self.path)
            raw = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            if raw:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 — http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


def operation(name: str, path: str, success: int, **more: Any) -> dict[str, Any]:
    """Describe one call."""
    param = path.partition("{")[2].partition("}")[0]
    answers = {str(success): {"description": "done"}, "404": {"description": "none"}}
    where = {"name": param, "in": "path", "required": True, "schema": {"type": "string"}}
    return {"operationId": name, "parameters": [where], "responses": answers, **more}


def making(name: str, path: str, then: tuple[str, str], param: str) -> dict[str, Any]:
    """Describe a call that makes something, with links to what can be done with it."""
    made = operation(name, path, 201)
    parameters = {param: f"$response.body#/{param}"}
    made["responses"]["201"]["links"] = {
        one: {"operationId": one, "parameters": parameters} for one in then
    }
    return made


def document(map_schema: dict[str, Any]) -> dict[str, Any]:
    """Describe the small shop; `map_schema` is what its preview is said to take."""
    csv = {"required": True, "content": {"text/csv": {"schema": map_schema}}}
    paths = {
        "/v1/schedules/{schedule_id}/reservations": {
            "post": making(
                "hold", "/v1/schedules/{schedule_id}", ("release", "look"), "reservation_id"
            )
        },
        RESERVATION: {
            "get": operation("look", RESERVATION, 200),
            "delete": operation("release", RESERVATION, 204),
        },
        ROOM: {
            "post": making("join", ROOM, ("leave", "place"), "schedule_id"),
            "get": operation("place", ROOM, 200),
            "delete": operation("leave", ROOM, 204),
        },
        PREVIEW: {"post": operation("preview", PREVIEW, 200, requestBody=csv)},
    }
    return {"openapi": "3.1.0", "info": {"title": "desk", "version": "1"}, "paths": paths}


def found(folder: Path, desk: Desk, map_schema: dict[str, Any]) -> tuple[int, str]:
    """Return the exit code, and what was said."""
    (folder / CONFIG.name).write_text("[generation]\ndeterministic = true\nmax-examples = 40\n")
    (folder / "desk.json").write_text(json.dumps(document(map_schema)))
    with serving(desk) as url:
        done = run(folder, "desk.json", "--url", url, "--phases", "fuzzing,stateful")
    return done.returncode, done.stdout + done.stderr


def test_what_the_contract_wants_is_no_finding(tmp_path: Path) -> None:
    # A preview that is said to take anything, as ours is, has nothing to be forgiven.
    code, said = found(tmp_path, Desk({"reservations": "CANCELLED"}), {})
    assert code == 0, said
    assert STILL_THERE not in said
    assert set(forgiven(tmp_path)) == {f"{STILL_THERE}: DELETE {RESERVATION}"}


def test_everything_else_is_found(tmp_path: Path) -> None:
    """The control: a hold that was not released, a room that one has left, nonsense taken for a map."""
    desk = Desk({"reservations": "HELD", "schedules": "CANCELLED"})
    code, said = found(tmp_path, desk, {"type": "string"})
    assert code == 1, said
    assert STILL_THERE in said, said
    assert "was deleted with `DELETE /v1/reservations/" in said, said
    assert "was deleted with `DELETE /v1/schedules/" in said, said
    assert ACCEPTED in said, said
    assert not forgiven(tmp_path)
