// The board of a waiting room: the position of a number, and when to poll personally. Pure: no clock, no chance.

import { drawnPlace } from "./draw.js";

const READ_MAX_S = 10;
const READ_AGAIN_S = 3;
const STEP_MIN_S = 0.2;
const WITHOUT_BOARD_AFTER = 3;
const OLD_AFTER_S = 30;
// A shorter grace may end before a board has said that the place was called.
const SHORT_GRACE_S = 8;
// Browsers run the timers of a hidden page once a minute.
const LATE_S = 5;
const ETA_MAX_S = 86_400;

/** Returns the place of a number in the order; null before the draw. */
export function placeOf(board, number) {
  if (board.state !== "WAITING") return null;
  return board.draw_seed ? drawnPlace(board.draw_seed, board.lobby_size, number) : number;
}

/** Returns how many are called up to this place, itself included; 0 once it is called (`waiting_room/rules.py`). */
export function positionOf(board, place) {
  const { called, gaps } = board;
  if (place <= called) return 0;
  const drawn = board.lobby_size ?? 0;
  let ahead = place - called - vacant(gaps, Math.max(called, drawn), place);
  if (called < drawn) {
    const share = (Math.min(place, drawn) - called) / drawn;
    ahead -= Math.round(vacant(gaps, 0, drawn + 1) * share);
  }
  return Math.max(1, ahead);
}

function vacant(gaps, after, before) {
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.to, before - 1) - Math.max(gap.after, after)), 0);
}

/** Returns the estimated wait in seconds at a position (0 in a lobby), null when unknown; `now` in milliseconds. */
export function etaOf(board, position, now) {
  if (board.notice && board.notice !== "not_open") return null;
  const isFull = !board.notice && position > board.places_free && board.measured_rate_per_s !== null;
  const rate = isFull ? board.measured_rate_per_s : board.rate_per_s;
  if (rate <= 0) return null;
  const opens = board.opens_at ? Math.max(0, new Date(board.opens_at).getTime() - now) / 1000 : 0;
  return Math.min(ETA_MAX_S, Math.round(opens + position / rate));
}

/** Returns in how many seconds to read the board again; `chance` is from 0 to 1. */
export function readAfterS(eta, graceS, chance) {
  const most = Math.max(1, Math.min(READ_MAX_S, Math.floor(graceS / 3)));
  const wanted = eta === null ? most : Math.max(1, Math.min(most, Math.floor(eta / 4)));
  return wanted * (0.75 + 0.5 * chance);
}

/**
 * What a waiting user knows of the own ticket, and when the next personal poll is due. Times are in milliseconds;
 * `chance()` is from 0 to 1.
 */
export class PersonalPolls {
  #chance;
  #number = null;
  #epoch = 0;
  #place = { key: null, place: null };
  #spreadS = 1;
  #failures = 0;
  #graceS = 60;
  #notBefore = 0;
  #answeredAt = 0;
  #renewalAt = Infinity;
  #step = { at: 0, nextAt: Infinity };
  // The seconds since the step before this one if this one was late, else 0.
  #lateGapS = 0;
  // When the poll for a reason that all users have is due, by the reason.
  #spreadOver = { reason: null, at: Infinity };

  constructor(chance = Math.random) {
    this.#chance = chance;
  }

  /** Takes over a personal answer, which came `at`: its number and epoch, and the next poll it allows. */
  answered({ number, epoch, poll_after_s: afterS }, now, at = now) {
    this.#number = number;
    this.#epoch = epoch;
    this.#spreadOver = { reason: null, at: Infinity };
    this.#answeredAt = at;
    this.#renewalAt = Infinity;
    this.#notBefore = now + afterS * 1000;
  }

  /** Postpones the next poll, after one that was not answered. */
  refused(afterS, now) {
    this.#notBefore = now + afterS * 1000;
  }

  /** Returns the own place on a board; null before the draw. */
  place(board) {
    const key = `${board.state} ${board.draw_seed} ${board.lobby_size} ${this.#number}`;
    if (this.#place.key !== key) this.#place = { key, place: placeOf(board, this.#number) };
    return this.#place.place;
  }

  /** Takes over a board, null if it could not be read; returns whether to poll personally now. */
  isDue(board, now) {
    const isOld = board && now - new Date(board.as_of).getTime() > OLD_AFTER_S * 1000;
    this.#failures = board && !isOld ? 0 : this.#failures + 1;
    this.#graceS = board?.grace_s || this.#graceS;
    this.#lateGapS = now > this.#step.nextAt + LATE_S * 1000 ? (now - this.#step.at) / 1000 : 0;
    return this.#dueAt(board, now) <= now;
  }

  /** Returns the seconds to the next step, after `isDue` and a poll that was due; `eta` is null when unknown. */
  waitS(board, eta, now) {
    const readS = board ? readAfterS(eta, this.#graceS, this.#chance()) : READ_AGAIN_S * (0.75 + 0.5 * this.#chance());
    const afterS = Math.max(STEP_MIN_S, Math.min(readS, (this.#dueAt(board, now) - now) / 1000));
    this.#step = { at: now, nextAt: now + afterS * 1000 };
    return afterS;
  }

  #dueAt(board, now) {
    if (this.#number === null) return this.#notBefore;
    if (board === null) return this.#failures >= WITHOUT_BOARD_AFTER ? this.#notBefore : Infinity;
    this.#spreadS = Math.max(this.#spreadS, board.spread_s);
    if (this.#renewalAt === Infinity) this.#renewalAt = this.#answeredAt + board.ask_every_s * 1000 * (0.75 + 0.25 * this.#chance());
    if (this.#isTurn(board) || this.#failures >= WITHOUT_BOARD_AFTER) return Math.max(now, this.#notBefore);
    const due = Math.min(this.#renewalAt, this.#dueWithAll(board, now));
    this.#spreadS = board.state === "OFF" ? this.#spreadS : board.spread_s;
    return Math.max(due, this.#notBefore);
  }

  #isTurn(board) {
    const place = this.place(board);
    if (place === null) return false;
    const near = Math.max(0, SHORT_GRACE_S + this.#lateGapS - board.grace_s) * board.rate_per_s;
    return place <= board.called || positionOf(board, place) <= near;
  }

  #dueWithAll(board, now) {
    const isOver = board.state === "OFF" || (board.epoch > this.#epoch && board.notice !== "delayed");
    const reason = isOver ? `${board.state} ${board.epoch}` : null;
    if (reason !== this.#spreadOver.reason) {
      this.#spreadOver = { reason, at: isOver ? now + this.#chance() * this.#spreadS * 1000 : Infinity };
    }
    return this.#spreadOver.at;
  }
}
