// The waiting room: position, estimate and admission. The place survives a reload and a closed tab. The page reads the
// board, which is the same for all, and polls personally when `PersonalPolls` says so.

import { call, get, newKey, pause, post, Problem, ignoreProblem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { countdown, inLanguage, number, roughly, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { countDown, now, synchronize } from "../lib/clock.js";
import { BoardVerifier } from "../lib/board-signature.js";
import { etaOf, PersonalPolls, positionOf } from "../lib/queue-board.js";
import { redraw } from "../lib/redraw.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { chime } from "../components/chime.js";
import { QueueAccount } from "../components/queue-account.js";
import { storeQueuePlace, queuePlace, ticketHeaders } from "../components/queue-pass.js";
import { errorText } from "../components/problem.js";
import { saleState } from "../lib/sale.js";

const POLL_S = 3;

/** The waiting room of a schedule. */
export async function queue({ params, signal, go, refresh }) {
  const id = params.schedule_id;
  const [schedule] = await Promise.all([get(`/v1/schedules/${id}`, { signal, anonymous: true }), synchronize()]);
  const status = h("div", { class: "queue-state", role: "status" });
  const leave = h("button", { type: "button", class: "button", onclick: () => room.leave() }, t("queue.leave"));
  const hint = h("p", { class: "hint" }, t("queue.hint"));
  const account = new QueueAccount(() => room.askAgain());
  const view = h("section", { class: "card queue" },
    h("p", { class: "muted" }, inLanguage(schedule.concert, "title"), " · ", performanceText(schedule.starts_at, schedule.time_zone)),
    h("h1", {}, t("queue.title")), status, account.view, hint, h("div", { class: "actions" }, leave));
  const room = new Room({ id, schedule, signal, go, refresh, status, hint, account, leaveButton: leave });
  session.addEventListener("change", () => room.askAgain(), { signal });
  room.run();
  return { title: t("queue.title"), view, brand: schedule.brand };
}

class Room {
  #path;
  #title = document.title;
  #clock = null;
  #polls = new PersonalPolls();
  #verifier = new BoardVerifier(() => get("/v1/board-keys", { signal: this.signal, anonymous: true, tries: 1 }));
  #isCalled = false;

  constructor(parts) {
    Object.assign(this, parts);
    this.#path = `/v1/schedules/${parts.id}/queue`;
  }

  /** Follows the board until admission, or until the page is left. */
  async run() {
    try {
      await this.#join();
      for (let waitS = 0; !this.signal.aborted && waitS !== null; waitS = await this.#step()) {
        await pause(1000 * waitS, this.signal);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Asks for the own position at once, where an account can redeem the place of this browser. */
  async askAgain() {
    if (!session.isLoggedIn || !queuePlace(this.id).secret || !queuePlace(this.id).ticket) return;
    try {
      await this.#ask();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error) {
    if (this.signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    if (error.code === "unauthenticated") this.#needsLogin();
    else this.#over(error);
  }

  #needsLogin() {
    setChildren(this.status, h("a", { class: "button primary", href: `/login?to=/schedules/${this.id}/queue` }, t("account.logIn")));
  }

  /** Reads the board and polls personally if that is due; returns the seconds to the next step, null at the end. */
  async #step() {
    const board = await this.#readBoard();
    let standing = board && this.#standing(board);
    if (this.#polls.isDue(board, now())) standing = await this.#ask();
    else if (standing) this.#show(standing);
    return standing?.state === "ADMITTED" ? null : this.#polls.waitS(board, standing?.eta_s ?? null, now());
  }

  /** Returns the board; null if it cannot be read, is not signed by this shop, or is of another schedule. */
  async #readBoard() {
    const accepts = (text, headers) => this.#verifier.isGenuine(text, headers.get("JWS-Signature"));
    try {
      const board = await get(`${this.#path}/board`, { signal: this.signal, anonymous: true, tries: 1, accepts });
      return board.schedule_id === this.schedule.schedule_id ? board : null;
    } catch (error) {
      if (!(error instanceof Problem) || this.signal.aborted) throw error;
      return null;
    }
  }

  #standing(board) {
    if (board.state === "OFF") return null;
    const place = this.#polls.place(board);
    const position = place === null ? null : Math.max(1, positionOf(board, place));
    const { state, notice, opens_at } = board;
    return { state, notice, opens_at, position, eta_s: etaOf(board, position ?? 0, now()) };
  }

  /** Leaves the queue. */
  async leave() {
    const headers = ticketHeaders(this.id);
    storeQueuePlace(this.id, null);
    if (headers["Queue-Ticket"]) await call("DELETE", this.#path, { headers, tries: 2 }).catch(ignoreProblem);
    this.go(`/concerts/${this.schedule.concert.concert_id}`);
  }

  // Joining is idempotent per user, and without an account per browser: after a lost answer, on another device of the
  // user or in another tab the place is the same.
  async #join() {
    const { ticket, email, secret, number: stored, epoch, answeredAt = 0 } = queuePlace(this.id);
    if (ticket && (secret || email === session.email)) {
      this.#showAccount();
      // The ticket has grown older while the page was closed.
      if (stored && !(secret && session.isLoggedIn)) this.#polls.answered({ number: stored, epoch, poll_after_s: 0 }, now(), Math.min(answeredAt, now()));
      return;
    }
    // The place of an account that has logged out: a new one would be behind it.
    if (ticket && email && !session.isLoggedIn) {
      if (await session.renew("unauthenticated")) await this.#join();
      else if (!this.signal.aborted) await this.#joinAnew(null);
      return;
    }
    await this.#joinAnew(secret);
  }

  async #joinAnew(secret) {
    const joined = session.isLoggedIn ? await this.#joinAsUser() : await this.#joinAsBrowser(secret ?? newKey());
    this.#answered(joined);
    this.#showAccount();
    this.#show({ state: "WAITING", ...joined });
  }

  async #joinAsUser() {
    storeQueuePlace(this.id, null);
    const joined = await post(this.#path, undefined, { signal: this.signal, tries: 5 });
    storeQueuePlace(this.id, { ticket: joined.queue_ticket, email: session.email });
    return joined;
  }

  // Where the organizer wants accounts, the user logs in first.
  async #joinAsBrowser(secret) {
    storeQueuePlace(this.id, null);
    storeQueuePlace(this.id, { secret });
    try {
      const joined = await post(this.#path, undefined, { signal: this.signal, tries: 5, anonymous: true, headers: { "Queue-Secret": secret } });
      // With its secret: another tab may have stored one of its own meanwhile.
      storeQueuePlace(this.id, { secret, ticket: joined.queue_ticket });
      return joined;
    } catch (error) {
      if (error.code !== "unauthenticated" && error.status !== 429) throw error;
      if (!(await session.renew(error.code))) throw error;
      return this.#joinAsUser();
    }
  }

  #showAccount() {
    const isAnonymous = Boolean(queuePlace(this.id).secret);
    if (!isAnonymous) this.#isCalled = false;
    this.account.show(isAnonymous ? "account" : null);
  }

  #answered(standing) {
    storeQueuePlace(this.id, { number: standing.number, epoch: standing.epoch, answeredAt: now() });
    this.#polls.answered(standing, now());
  }

  async #ask() {
    try {
      const standing = await get(this.#path, { signal: this.signal, headers: ticketHeaders(this.id) });
      // It was asked before the log-in, and a later poll has redeemed the place.
      if (standing.anonymous && !queuePlace(this.id).secret) return null;
      if (standing.queue_ticket) storeQueuePlace(this.id, { ticket: standing.queue_ticket });
      if (queuePlace(this.id).secret && !standing.anonymous) storeQueuePlace(this.id, { secret: null, email: session.email });
      this.#answered(standing);
      this.#showAccount();
      this.#show(standing);
      return standing;
    } catch (error) {
      if (!(error instanceof Problem) || this.signal.aborted) throw error;
      if (error.isTemporary || error.status === 429) {
        setChildren(this.status, h("p", {}, t("queue.noAnswer")));
        this.#polls.refused(Math.max(POLL_S, error.retryAfterS), now());
        return null;
      }
      if (error.code === "queue_account_required" || error.code === "email_not_verified") return this.#missing(error);
      if (error.code === "queue_place_taken") return this.#joinOwn();
      if (error.code === "queue_ticket_invalid" || error.code === "queue_ticket_expired") {
        storeQueuePlace(this.id, null);
        throw error;
      }
      throw error;
    }
  }

  // The server keeps the turn for the grace, and after that lets the place go first.
  #missing(error) {
    this.#polls.refused(POLL_S, now());
    if (error.code === "email_not_verified") this.account.show("address");
    else {
      if (!this.#isCalled) chime();
      this.#isCalled = true;
      document.title = t("queue.turnTitle");
      setChildren(this.status, h("p", { class: "queue-number" }, t("queue.turn")));
      this.account.show("account-now", error.body.come_within_s);
    }
    return null;
  }

  // The account has joined elsewhere, or had its turn.
  async #joinOwn() {
    announcer.notify(t("queue.ownPlace"));
    const joined = await this.#joinAsUser();
    this.#answered(joined);
    this.#showAccount();
    this.#show({ state: "WAITING", ...joined });
    return null;
  }

  #show(standing) {
    if (standing.state === "ADMITTED") return this.#admit(standing);
    if (this.#isCalled && standing.notice !== "sale_ended") return null;
    if (standing.notice === "sale_ended") return this.#ended();
    const isLobby = standing.state === "LOBBY";
    const opens = standing.opens_at && this.#opens(standing.opens_at);
    setChildren(this.status, isLobby ? this.#lobby(opens) : this.#waiting(standing, opens), standing.notice && h("p", { class: "notice warn" }, t(`queue.notice.${standing.notice}`)));
    document.title = isLobby || standing.position === null ? this.#title : `${number(standing.position)} · ${t("queue.title")}`;
  }

  // The waiting room's opening is its own: the organizer may set it before or after the sale's.
  #lobby(opens) {
    return [opens && h("p", { class: "queue-number" }, opens), h("p", {}, t("queue.lobby"))];
  }

  /** Returns the countdown to the opening; all updates share one. */
  #opens(at) {
    if (this.#clock?.at !== at) {
      this.#clock?.stop.abort();
      const view = h("span", { class: "clock", role: "timer" });
      const stop = new AbortController();
      this.signal.addEventListener("abort", () => stop.abort(), { once: true });
      this.#clock = { at, view, stop };
      const opened = () => setChildren(view, h("span", { class: "queue-opening" }, t("queue.opening")));
      countDown(at, stop.signal, (left) => setChildren(view, countdown(left)), opened);
    }
    return this.#clock.view;
  }

  // The sale has ended; the page goes on polling, as the organizer may open it again.
  #ended() {
    document.title = this.#title;
    redraw(this.status, h("p", { class: "notice warn" }, t("queue.notice.sale_ended")), this.#elsewhere());
  }

  #elsewhere(first = null) {
    return h("div", { class: "actions" }, first,
      h("a", { class: "button", href: `/schedules/${this.id}?look` }, t("concert.look")),
      h("a", { class: "button", href: `/concerts/${this.schedule.concert.concert_id}` }, t("queue.otherDates")));
  }

  #waiting({ position, eta_s: eta }, opens) {
    const hasEta = eta !== null && eta !== undefined;
    return [
      h("p", { class: "muted" }, t("queue.position")),
      h("p", { class: "queue-number number" }, position === null ? "…" : number(position)),
      opens ? h("p", {}, opens) : hasEta && h("p", {}, t("queue.eta", { time: roughly(eta) })),
    ];
  }

  #admit({ queue_pass: pass, expires_at: until, leaves_at: leavesAt }) {
    storeQueuePlace(this.id, { pass, until, leavesAt });
    document.title = t("queue.turnTitle");
    chime();
    announcer.notify(t("queue.turn"), "good", { forNextPage: true });
    this.go(`/schedules/${this.id}`, { replace: true });
  }

  #over(error) {
    this.leaveButton.hidden = this.hint.hidden = true;
    this.account.show(null);
    const isClosed = error.code === "queue_closed";
    const said = isClosed && saleState(this.schedule) === "closed" ? t("queue.notice.sale_ended") : errorText(error);
    setChildren(this.status, h("p", {}, said), this.#elsewhere(
      !isClosed && h("button", { type: "button", class: "button primary", onclick: () => this.refresh() }, t("queue.rejoin"))));
  }
}
