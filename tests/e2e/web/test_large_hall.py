"""A hall of 60,000 seats opens at once and moves without a stutter."""

from typing import Any

import pytest

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEATS = 60_000
OPEN_MAX_MS = 300
# A frame at 60 Hz. What moves is a picture, so most frames take a fraction of it.
FRAME_MAX_MS = 16
ATTEMPTS = 15

_MEASURE = """async ([base, count]) => {
  const { Seats } = await import(`${base}/map/seats.js`);
  const { SeatMap } = await import(`${base}/map/seat-map.js`);
  const { SeatList } = await import(`${base}/map/seat-list.js`);
  const { legend } = await import(`${base}/map/legend.js`);
  const states = ["AVAILABLE", "HELD", "SOLD"];
  const seats = Array.from({ length: count }, (_, at) => ({
    seat_id: `${Math.floor(at / 1000)}-${Math.floor(at / 40) % 25}-${at % 40}`,
    section: String(Math.floor(at / 1000)), row: String(Math.floor(at / 40) % 25), number: 1 + at % 40,
    grade: ["VIP", "R", "S", "A"][Math.floor(at * 4 / count)],
    price: { amount: 110000, currency: "KRW" }, status: states[(at * 7919) % 5] ?? "AVAILABLE",
  }));
  const text = JSON.stringify({ version: 1, currency: "KRW", seats });
  const box = document.querySelector("main");
  const none = new Set();
  const words = { label: "", stage: "STAGE", section: (name) => name };

  const began = performance.now();
  const found = new Seats(JSON.parse(text));
  const drawing = new SeatMap(found, {
    words, chosen: () => none, orphans: () => none, toggle() {}, look() {}, aspect: 1.5 });
  const list = new SeatList(found, { isChosen: () => false, toggle() {}, name: String });
  drawing.view.style.width = "900px";
  drawing.view.style.height = "600px";
  box.replaceChildren(drawing.view, list.view, legend(found, () => {}).view);
  await new Promise((resolve) => {
    const look = () => (drawing.camera.width > 2 ? resolve() : requestAnimationFrame(look));
    look();
  });
  drawing.view.getContext("2d").getImageData(0, 0, 1, 1);
  const open_ms = performance.now() - began;

  const frames = [];
  for (const scale of [1, 3, 8]) {
    drawing.camera.fit();
    drawing.camera.zoom(scale);
    drawing.paint();
    for (let step = 0; step < 40; step += 1) {
      const start = performance.now();
      drawing.camera.pan(step % 2 ? 5 : 4, step < 20 ? 3 : -3);
      drawing.paint();
      drawing.view.getContext("2d").getImageData(0, 0, 1, 1);
      frames.push(performance.now() - start);
    }
  }
  drawing.close();
  frames.sort((a, b) => a - b);
  return { open_ms, frame_p50_ms: frames[Math.floor(frames.length / 2)],
           frame_p95_ms: frames[Math.floor(frames.length * 0.95)] };
}"""


async def test_a_large_hall_opens_at_once_and_moves_smoothly(visit: Visit) -> None:
    """The best of a few attempts counts, as others may use the machine at the same time."""
    visitor = await visit()
    await visitor.open()
    entry = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert entry is not None
    base = entry.replace("/main.js", "")
    runs: list[dict[str, Any]] = []
    for _ in range(ATTEMPTS):
        runs.append(await visitor.page.evaluate(_MEASURE, [base, SEATS]))
        best = {name: min(run[name] for run in runs) for name in runs[0]}
        if best["open_ms"] < OPEN_MAX_MS and best["frame_p95_ms"] < FRAME_MAX_MS:
            break
    print(f"60,000 seats: {best}")
    assert best["open_ms"] < OPEN_MAX_MS, runs
    assert best["frame_p50_ms"] < FRAME_MAX_MS, runs
    assert best["frame_p95_ms"] < FRAME_MAX_MS, runs
