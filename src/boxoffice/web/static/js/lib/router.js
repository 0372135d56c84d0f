// Addresses and pages. A page is a function `(context) => {title, view, close?}`, or a promise of that;
// `context` has `params`, `query`, `signal` (ends when the page is left), `go(path)` and `refresh()`.

// Below this a progress bar would only flicker.
const SLOW_MS = 150;

export class Router {
  #routes = [];
  #outlet;
  #leaving = null;
  #close = null;
  #present;
  #failed;
  #waiting;
  #left;
  #at = location.pathname;

  /**
   * `present(page)` shows a page, `failed(error)` returns one for an error. `waiting(isSlow)` is called when a
   * page is slow and when it is loaded, `left()` before another page is shown.
   */
  constructor({ present, failed, waiting = () => {}, left = () => {} }) {
    this.#present = present;
    this.#failed = failed;
    this.#waiting = waiting;
    this.#left = left;
    addEventListener("popstate", () => this.refresh());
    document.addEventListener("click", (event) => this.#onClick(event));
  }

  /**
   * Adds a route: `template` like `/concerts/{concert_id}`; `load` returns (a promise of) the page's function. A page
   * with `ownDocument` has headers of its own, so the browser loads it and the page after it anew.
   */
  add(template, load, { ownDocument = false } = {}) {
    const names = [];
    const pattern = template.replace(/\{(\w+)\}/g, (_, name) => {
      names.push(name);
      return "([^/]+)";
    }).replace(/\/\*$/, "(?:/.*)?");
    this.#routes.push({ pattern: new RegExp(`^${pattern}$`), names, load, ownDocument });
  }

  /** Goes to `path`, which begins with a slash. */
  go(path, { replace = false } = {}) {
    if (this.#isOtherDocument(new URL(path, location.href).pathname)) {
      if (replace) location.replace(path);
      else location.assign(path);
      return Promise.resolve();
    }
    if (replace) history.replaceState(null, "", path);
    else history.pushState(null, "", path);
    return this.refresh({ moved: true });
  }

  /** Reloads the page of the current address. */
  async refresh({ moved = false } = {}) {
    this.#leaving?.abort(new DOMException("left", "AbortError"));
    this.#close?.();
    this.#close = null;
    if (location.pathname !== this.#at) this.#left();
    this.#at = location.pathname;
    const leaving = new AbortController();
    this.#leaving = leaving;
    const slow = setTimeout(() => this.#waiting(true), SLOW_MS);
    leaving.signal.addEventListener("abort", () => clearTimeout(slow), { once: true });
    const page = await this.#open(leaving.signal);
    clearTimeout(slow);
    if (leaving.signal.aborted) {
      page?.close?.();
      return;
    }
    this.#waiting(false);
    this.#close = page.close ?? null;
    this.#present(page, { moved });
  }

  async #open(signal) {
    const context = {
      signal,
      params: {},
      query: new URLSearchParams(location.search),
      go: (path, options) => this.go(path, options),
      refresh: () => this.refresh(),
    };
    try {
      for (const { pattern, names, load } of this.#routes) {
        const match = pattern.exec(location.pathname);
        const values = match && decoded(match.slice(1));
        if (!values) continue;
        context.params = Object.fromEntries(names.map((name, at) => [name, values[at]]));
        return await (await load())(context);
      }
      return await this.#failed(null, context);
    } catch (error) {
      if (signal.aborted) return null;
      return this.#failed(error, context);
    }
  }

  #isOtherDocument(path) {
    const isOwn = (one) => this.#routes.some(({ pattern, ownDocument }) => ownDocument && pattern.test(one));
    return path !== location.pathname && (isOwn(path) || isOwn(location.pathname));
  }

  #onClick(event) {
    const link = event.target.closest?.("a[href]");
    const special = event.defaultPrevented || event.button || event.metaKey || event.ctrlKey
      || event.shiftKey || event.altKey;
    if (!link || special || link.target || link.hasAttribute("download")) return;
    const to = new URL(link.href);
    const isHere = to.origin === location.origin && this.#routes.some(({ pattern }) => pattern.test(to.pathname));
    if (!isHere || (to.hash && to.pathname === location.pathname)) return;
    event.preventDefault();
    this.go(to.pathname + to.search);
  }
}

/** Returns the parts of a path without their percent-encoding, null where that is broken. */
function decoded(parts) {
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return null;
  }
}
