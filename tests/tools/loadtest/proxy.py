"""A proxy between k6 and the shop that changes some answers."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web

# Given method, path, status and body of a true answer, returns the status and body to send.
Lie = Callable[[str, str, int, bytes], tuple[int, bytes]]
_DROPPED = frozenset({"transfer-encoding", "content-length", "content-encoding", "connection"})


@contextmanager
def lying(target: str, lie: Lie) -> Iterator[str]:
    """Run the proxy in a thread; yields its address."""
    ready: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            application = web.Application()
            application.router.add_route("*", "/{path:.*}", _handler(session, target, lie))
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            await ready.put(f"http://{host}:{port}")
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(ready.get(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def _handler(
    session: aiohttp.ClientSession, target: str, lie: Lie
) -> Callable[[web.Request], "asyncio.Future[web.Response]"]:
    async def handle(request: web.Request) -> web.Response:
        headers = {name: text for name, text in request.headers.items() if name.lower() != "host"}
        async with session.request(
            request.method, target + request.raw_path, headers=headers, data=await request.read()
        ) as answer:
            body = await answer.read()
            status, said = lie(request.method, request.path, answer.status, body)
            kept = {
                name: text
                for name, text in answer.headers.items()
                if name.lower() not in _DROPPED or (said is body and name == "Content-Encoding")
            }
        return web.Response(status=status, body=said, headers=kept)

    return handle  # type: ignore[return-value]
