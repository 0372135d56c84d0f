// The server's clock. The device's clock may be wrong by hours or jump, so only durations are measured here.

import { get, ignoreProblem } from "./api.js";

const AGAIN_MS = 300_000;
const SAMPLES = 3;

let offset = Date.now() - performance.now();
let bestRoundTrip = Infinity;
let measuredAt = -Infinity;
let measuring = null;

/** Returns the estimated server time in milliseconds since 1970. */
export function now() {
  return performance.now() + offset;
}

/** Returns how many seconds are left until `moment` (anything that `Date` reads), negative once it is past. */
export function secondsUntil(moment) {
  return (new Date(moment).getTime() - now()) / 1000;
}

/** Measures the offset, at most every five minutes; on an error the old offset stays. */
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

/**
 * Estimates the offset from an answer that contains the seconds left until a moment. They are rounded down, so
 * a measured offset is better.
 */
export function learn(moment, secondsLeft) {
  if (bestRoundTrip === Infinity) offset = new Date(moment).getTime() - secondsLeft * 1000 - performance.now();
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

// The timer may have stopped while the device slept.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    measuredAt = -Infinity;
    bestRoundTrip = Infinity;
    synchronize();
  }
});
