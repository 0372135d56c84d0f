// Addresses and pages. A page is a function `(context) => {title, view, close?}`, or a promise of that;
// `context` has `params`, `query`, `signal` (ends when the page is left or drawn again), `go(path)` and `refresh()`.

// Below this a progress bar would only flicker.
const SLOW_MS = 150;
const LEFT = new DOMException("left", "AbortError");

export class Router {
  #routes = [];
  #loading = null;
  // The page that is shown: `{path, address, owner, leaving, close, isError, isEnded}`.
  #shown = null;
  #present;
  #failed;
  #stale;
  #waiting;
  #left;
  #unused;
  #owner;
  #at = location.pathname;

  /**
   * `present(page)` shows a page, `failed(error)` returns one for an error. `waiting(isSlow)` is called when a
   * page is slow and when it is loaded, `left()` before another page is shown. A page that is loaded again is shown
   * after `unused(signal)`, and stays as it is where a temporary error prevents that, which `stale(error)` is told.
   * `owner()` names whose data the pages show: what one owner has typed is not kept for another.
   */
  constructor({ present, failed, stale = () => {}, waiting = () => {}, left = () => {}, unused = () => {}, owner = () => "" }) {
    this.#present = present;
    this.#failed = failed;
    this.#stale = stale;
    this.#waiting = waiting;
    this.#left = left;
    this.#unused = unused;
    this.#owner = owner;
    addEventListener("popstate", () => this.refresh({ isOther: location.pathname + location.search !== this.#shown?.address }));
    document.addEventListener("click", (event) => this.#onClick(event));
  }

  /**
   * Adds a route: `template` like `/concerts/{concert_id}`; `load` returns (a promise of) the page's function. A page
   * with `ownDocument` has headers of its own, so the browser loads it and the page after it anew. What a page with
   * `endsFirst` has begun must end before the page is loaded again.
   */
  add(template, load, { ownDocument = false, endsFirst = false } = {}) {
    const names = [];
    const pattern = template.replace(/\{(\w+)\}/g, (_, name) => {
      names.push(name);
      return "([^/]+)";
    }).replace(/\/\*$/, "(?:/.*)?");
    this.#routes.push({ pattern: new RegExp(`^${pattern}$`), names, load, ownDocument, endsFirst });
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

  /**
   * Loads the page of the current address again. A page that is shown at this address goes on until then, and keeps
   * what its user has done; `isOther` says that the page is about something else now.
   */
  async refresh({ moved = false, isOther = false } = {}) {
    const isHere = !moved && !isOther && this.#shown?.path === location.pathname;
    const stays = isHere && this.#shown.owner === this.#owner() && !this.#shown.isEnded && !this.#endsFirst();
    this.#loading?.abort(LEFT);
    if (!stays) this.#end();
    if (location.pathname !== this.#at) this.#left();
    this.#at = location.pathname;
    const leaving = new AbortController();
    this.#loading = leaving;
    const slow = setTimeout(() => this.#waiting(true), SLOW_MS);
    leaving.signal.addEventListener("abort", () => clearTimeout(slow), { once: true });
    const page = await this.#open(leaving.signal, stays && !this.#shown.isError);
    clearTimeout(slow);
    if (!leaving.signal.aborted) this.#waiting(false);
    // The user may have logged in while the page was loaded.
    const owner = this.#owner();
    const isSame = isHere && this.#shown.owner === owner;
    if (page && isSame) await this.#unused(leaving.signal);
    if (leaving.signal.aborted) {
      page?.close?.();
      return;
    }
    this.#loading = null;
    if (!page) {
      // Ends what the page had begun before it failed.
      leaving.abort(LEFT);
      return;
    }
    this.#end();
    this.#shown = { path: location.pathname, address: location.pathname + location.search, owner, leaving, close: page.close, isError: page.isError };
    this.#present(page, { moved, isSame });
  }

  #endsFirst() {
    return this.#routes.some(({ pattern, endsFirst }) => endsFirst && pattern.test(location.pathname));
  }

  // Ends what the shown page does.
  #end() {
    this.#shown?.leaving.abort(LEFT);
    this.#shown?.close?.();
    if (this.#shown) Object.assign(this.#shown, { close: null, isEnded: true });
  }

  // Returns null where the page is left meanwhile, or stays as it is.
  async #open(signal, stays) {
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
      if (stays && error.isTemporary) {
        this.#stale(error);
        return null;
      }
      return { ...this.#failed(error, context), isError: true };
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
