// Keeps the seats current: follows the event stream, and polls the seat map while the stream is down.

import { get, Problem } from "../lib/api.js";
import { AVAILABLE, BLOCKED, HELD, SOLD, statusOf } from "./seats.js";

const LETTERS = { A: AVAILABLE, H: HELD, S: SOLD, B: BLOCKED };
const STATUS = { AVAILABLE, HELD, SOLD, BLOCKED };
const BACK_MS = 1_000;
const BACK_MAX_MS = 15_000;
const ASK_MS = 4_000;
// A browser opens few connections per host: a hidden tab closes its stream.
const UNSEEN_MS = 20_000;
// Until the server has named its heartbeat interval.
const SILENCE_MS = 6_500;
// One event may be late; two are missed.
const MISSED = 2.5;
// A large map is polled less often.
const ASK_MS_PER_SEAT = 0.5;

/**
 * Follows the seats of a schedule until `signal`. Calls `changed(positions)`, `state(name)` with `live`,
 * `asking` or `lost`, and `replaced()` where the map has become another one.
 */
export function follow(scheduleId, seats, calls) {
  const follower = new Follower(scheduleId, seats, calls);
  calls.signal.addEventListener("abort", () => follower.stop(), { once: true });
  document.addEventListener("visibilitychange", () => follower.seen(document.visibilityState === "visible"), { signal: calls.signal });
  follower.connect();
  return follower;
}

class Follower {
  #source = null;
  #seq = null;
  #pause = BACK_MS;
  #again = 0;
  #asking = 0;
  #unseen = 0;
  #silence = 0;
  #silenceMs = SILENCE_MS;

  constructor(scheduleId, seats, calls) {
    this.path = `/v1/schedules/${scheduleId}/seats`;
    this.seats = seats;
    this.calls = calls;
  }

  /** Opens the stream; its first event is a snapshot. */
  connect() {
    this.#source?.close();
    this.#seq = null;
    const source = new EventSource(`${this.path}/events`);
    this.#source = source;
    source.addEventListener("snapshot", (event) => this.#told(event, (data) => this.#snapshot(data)));
    source.addEventListener("changes", (event) => this.#told(event, (data) => this.#changes(data)));
    source.addEventListener("sale", (event) => this.#told(event, (data) => this.calls.sale?.(data)));
    source.addEventListener("alive", (event) => this.#alive(JSON.parse(event.data)));
    source.addEventListener("error", () => this.#cut());
    this.#listen();
  }

  /** Closes the stream and stops polling. */
  stop() {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#again);
    clearTimeout(this.#asking);
    clearTimeout(this.#unseen);
    clearTimeout(this.#silence);
    this.#asking = 0;
  }

  /** Takes whether the page is visible. */
  seen(isSeen) {
    clearTimeout(this.#unseen);
    if (!isSeen) this.#unseen = setTimeout(() => this.stop(), UNSEEN_MS);
    else if (!this.#source) this.connect();
  }

  #told(event, take) {
    const data = JSON.parse(event.data);
    if (this.#seq !== null && data.seq !== this.#seq + 1) {
      // An event is missing: start again with a snapshot.
      this.connect();
      return;
    }
    this.#seq = data.seq;
    this.#heard();
    this.seats.version = data.version;
    take(data);
  }

  // A heartbeat: no change. Before the first event it proves nothing.
  #alive({ next_within_ms: within }) {
    this.#silenceMs = MISSED * within;
    if (this.#seq !== null) this.#heard();
  }

  #heard() {
    this.#pause = BACK_MS;
    clearTimeout(this.#asking);
    this.#asking = 0;
    this.calls.state("live");
    this.#listen();
  }

  // A dead connection looks like a quiet one; the timeout tells them apart.
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#silent(), this.#silenceMs);
  }

  #silent() {
    this.calls.state("asking");
    if (!this.#asking) this.#ask();
    this.connect();
  }

  #snapshot({ states, layout_version: layoutVersion }) {
    if (this.#isReplaced(states.length, layoutVersion)) {
      this.calls.replaced();
      return;
    }
    this.#show(this.seats.replace(Uint8Array.from(states, (letter) => LETTERS[letter])));
  }

  // Seats were added, or prices or grades changed.
  #isReplaced(count, layoutVersion) {
    // A pod of the previous release knows no versions of layouts.
    const version = layoutVersion ?? this.seats.layoutVersion;
    return count !== this.seats.count || version !== this.seats.layoutVersion;
  }

  #changes({ seats }) {
    const changes = Object.entries(seats).flatMap(([name, positions]) => positions.map((at) => [at, STATUS[name]]));
    this.#show(this.seats.apply(changes));
  }

  #show(changed) {
    if (changed.length) this.calls.changed(changed);
  }

  // The browser reconnects with the last event id unless the server refused.
  #cut() {
    this.#seq = null;
    clearTimeout(this.#silence);
    if (this.calls.signal.aborted) return;
    this.calls.state("asking");
    if (!this.#asking) this.#ask();
    if (this.#source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.connect(), this.#pause * (0.7 + 0.6 * Math.random()));
    this.#pause = Math.min(2 * this.#pause, BACK_MAX_MS);
  }

  #ask() {
    this.#asking = setTimeout(async () => {
      try {
        const map = await get(this.path, { signal: this.calls.signal, anonymous: true, tries: 1 });
        if (!this.#asking) return;
        if (this.#isReplaced(map.seats.length, map.layout_version)) this.calls.replaced();
        else this.#show(this.seats.replace(statusOf(map)));
        this.calls.state("asking");
      } catch (error) {
        if (this.calls.signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        this.calls.state("lost");
      }
      if (this.#asking) this.#ask();
    }, ASK_MS + this.seats.count * ASK_MS_PER_SEAT * 0.1);
  }
}
