// Calls to the API. The result is a value or a thrown `Problem`; safe requests are retried.

import { session } from "./session.js";

const TIMEOUT_MS = 15_000;
const TRIES_MAX = 4;
const PAUSE_MS = 400;
const PAUSE_MAX_MS = 5_000;

/** A refusal or a failure: `code` is the API's, or `no_answer` where there was none. */
export class Problem extends Error {
  constructor(status, code, body = {}, retryAfterS = 0) {
    super(code);
    this.status = status;
    this.code = code;
    this.body = body;
    this.retryAfterS = retryAfterS;
  }

  /** Whether a retry may help. */
  get isTemporary() {
    return this.status === 0 || this.status === 503 || this.status === 502 || this.status === 504;
  }
}

/** For polls: returns null for a `Problem` and for an aborted page, throws any other error. */
export function ignoreProblem(error) {
  if (error instanceof Problem || error.name === "AbortError") return null;
  throw error;
}

/** Returns a fresh Idempotency-Key. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Calls `method path` and returns the decoded body (null for none).
 *
 * `body` is sent as JSON, `raw` as it is with its `type`; `key` is the Idempotency-Key; `headers` are added;
 * `scheduleId` is sent for an edge that routes by it.
 * `onRetryAfter(seconds)` is called with the header of an answer that has it. `accepts(text, headers)` says of a success
 * whether it counts; one that does not is `no_answer`. Reads and keyed writes are retried
 * after temporary errors, at most `tries` times. If the session has ended,
 * the login dialog opens once; a `noLogin` call fails instead.
 */
export async function call(method, path, options = {}) {
  const repeatable = method === "GET" || Boolean(options.key);
  const tries = options.tries ?? (repeatable ? TRIES_MAX : 1);
  let renewed = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(method, path, options);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401 && isAboutSession(error.code) && !options.anonymous && !options.noLogin && !renewed) {
        renewed = true;
        if (await session.renew(error.code)) continue;
      }
      if (!error.isTemporary || attempt >= tries || options.signal?.aborted) throw error;
      options.onRetry?.(error, attempt);
      await pause(error.retryAfterS * 1000 || Math.min(PAUSE_MS * 2 ** attempt, PAUSE_MAX_MS), options.signal);
    }
  }
}

function isAboutSession(code) {
  return code === "unauthenticated" || code === "token_invalid" || code === "token_expired";
}

/** GET; see `call`. */
export function get(path, options) {
  return call("GET", path, options);
}

/** POST; see `call`. */
export function post(path, body, options = {}) {
  return call("POST", path, { ...options, body });
}

/** DELETE; see `call`. */
export function remove(path, options) {
  return call("DELETE", path, options);
}

/** Returns every item of a paged list, up to `itemsMax`. */
export async function all(path, options = {}, itemsMax = 1_000) {
  const items = [];
  let cursor = "";
  do {
    const query = new URLSearchParams({ limit: "100", ...(cursor && { cursor }) });
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}${query}`, options);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < itemsMax);
  return items;
}

async function once(method, path, options) {
  const end = ending(options.timeoutMs ?? TIMEOUT_MS, options.signal);
  // An invalid request is a fault of the code and its error is thrown as it is; after it is built, `fetch` can
  // fail only by the network, with the same `TypeError`.
  const request = new Request(path, {
    method,
    headers: headers(options),
    body: options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body)),
    signal: end.signal,
    credentials: "omit",
  });
  let response;
  let text;
  try {
    response = await fetch(request);
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw new Problem(0, "no_answer", { detail: String(error) });
  } finally {
    end.clear();
  }
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  if (response.ok && retryAfterS) options.onRetryAfter?.(retryAfterS);
  if (response.ok && options.accepts && !(await options.accepts(text, response.headers))) throw new Problem(0, "no_answer");
  return read(response, text, retryAfterS);
}

// A signal that ends with `signal` or after `ms`: `AbortSignal.any` is newer than our oldest browsers.
function ending(ms, signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  const timer = setTimeout(() => controller.abort(new DOMException("late", "TimeoutError")), ms);
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop, { once: true });
  const clear = () => { clearTimeout(timer); signal?.removeEventListener("abort", stop); };
  return { signal: controller.signal, clear };
}

function headers({ key, body, type, headers: more, anonymous, scheduleId }) {
  const all = { Accept: "application/json", ...more };
  if (scheduleId) all["Schedule-Id"] = scheduleId;
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (type) all["Content-Type"] = type;
  if (key) all["Idempotency-Key"] = key;
  if (session.token && !anonymous) all.Authorization = `Bearer ${session.token}`;
  return all;
}

function read(response, text, retryAfterS) {
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    // A proxy answered instead of the server.
    if (response.ok) throw new Problem(0, "no_answer");
  }
  if (response.ok) return value;
  throw new Problem(response.status, value?.code ?? (response.status >= 500 ? "unavailable" : "unknown"),
    value ?? {}, retryAfterS);
}

/** Waits; ends early, with the signal's reason, where the signal is given. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
