// The shop's clock. This machine's may be wrong by hours and jump; only the time between two moments is
// taken from here.

import { get, ignoreProblem } from "./api.js";

const AGAIN_MS = 300_000;
const SAMPLES = 3;

let offset = Date.now() - performance.now();
let bestRoundTrip = Infinity;
let measuredAt = -Infinity;
let measuring = null;

/** Returns the shop's time in milliseconds since 1970, as well as it is known. */
export function now() {
  return performance.now() + offset;
}

/** Returns how many seconds are left until `moment` (anything that `Date` reads), negative once it is past. */
export function secondsUntil(moment) {
  return (new Date(moment).getTime() - now()) / 1000;
}

/** Asks the shop for the time, unless that was done a moment ago; never fails, the old offset is localStore. */
export function synchronize() {
  if (performance.now() - measuredAt < AGAIN_MS) return Promise.resolve();
  measuring ??= measure().catch(ignoreProblem).finally(() => { measuring = null; });
  return measuring;
}

async function measure() {
  bestRoundTrip = Infinity;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const before = performance.now();
    const { now: told } = await get("/v1/clock", { anonymous: true, tries: 1 });
    const after = performance.now();
    if (after - before < bestRoundTrip) {
      bestRoundTrip = after - before;
      offset = new Date(told).getTime() - (before + after) / 2;
    }
  }
  measuredAt = performance.now();
}

/** Learns the time from an answer that says how many seconds are left until a moment. */
export function learn(moment, secondsLeft) {
  if (measuredAt === -Infinity) offset = new Date(moment).getTime() - secondsLeft * 1000 - performance.now();
}

/**
 * Calls `show(secondsLeft)` now and each second until `moment`, and `done` once it is there; stops with
 * `signal`.
 */
export function countDown(moment, signal, show, done = () => {}) {
  let timer = 0;
  const tick = () => {
    if (signal.aborted) return;
    const left = secondsUntil(moment);
    show(Math.max(0, left));
    if (left <= 0) {
      done();
      return;
    }
    const toNext = (left % 1) * 1000 || 1000;
    timer = setTimeout(tick, Math.min(1000, toNext + 5));
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  tick();
}

// A machine that slept may have stood still.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    measuredAt = -Infinity;
    synchronize();
  }
});
