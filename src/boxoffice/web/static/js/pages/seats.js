// Seat selection: the map, the list, and the hold.

import { all, get, pause, ignoreProblem } from "../lib/api.js";
import { countDown, synchronize } from "../lib/clock.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { countdown, inLanguage, list as inWords, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { hasStarted, saleState } from "../lib/sale.js";
import { session } from "../lib/session.js";
import { Selection } from "../map/selection.js";
import { follow } from "../map/seat-events.js";
import { legend } from "../map/legend.js";
import { SeatList } from "../map/seat-list.js";
import { SeatMap } from "../map/seat-map.js";
import { OwnSeats } from "../map/own-seats.js";
import { Seats } from "../map/seats.js";
import { names } from "../map/labels.js";
import { announcer } from "../components/announcer.js";
import { HoldFlow } from "../components/hold-flow.js";
import { ICONS } from "../components/icons.js";
import { ownHolds } from "../components/own-holds.js";
import { queuePlace } from "../components/queue-pass.js";
import { passTimer } from "../components/pass-timer.js";
import { accessCard } from "../offers/access-card.js";
import { loadOffers } from "../offers/offers.js";
import { bestSeats, selectionPanel } from "../components/selection-panel.js";
import { performanceMoment, venueName } from "../components/performance-time.js";
import { scheduleNotice } from "../components/schedule-notice.js";
import { waitingListCard } from "../waiting-list/card.js";

const NEWS_MS = 2_500;

/** The page of a schedule. */
export async function seats({ params, query, signal, go, refresh }) {
  const id = params.schedule_id;
  const path = `/v1/schedules/${id}`;
  const [schedule, map] = await Promise.all([
    get(path, { signal, anonymous: true }), get(`${path}/seats`, { signal, anonymous: true }), synchronize(),
  ]);
  if (mustWait(schedule, query)) {
    go(`/schedules/${id}/queue`, { replace: true });
    return { title: "", view: null };
  }
  const found = new Seats(map);
  const words = names(found);
  const offers = await loadOffers(id, found, signal);
  const own = new OwnSeats(found);
  own.buy(pairs(await bought(id, signal)));
  own.hold(heldHere(id));
  const room = () => Math.max(0, Math.min(schedule.ticket_limit - own.count, schedule.seats_per_hold_max));
  const selection = new Selection(id, found, room());
  const drawing = new SeatMap(found, {
    words: { label: t("seats.mapLabel"), stage: t("seats.stage"), section: (name) => t("seats.section", { name }) },
    chosen: () => selection.seats,
    orphans: () => selection.orphans,
    own: () => own.all,
    toggle: (at) => toggle(at),
    look: (at, place) => tip.show(at, place),
    aspect: matchMedia("(max-width: 720px)").matches ? 0.75 : 1.5,
  });
  const name = (at) => [words.whole(at, selection.has(at), own.kind(at)), offers.kindOf(at) && t(`offers.${offers.kindOf(at)}`), offers.noteOf(at)].filter(Boolean).join(". ");
  const seatList = new SeatList(found, { isChosen: (at) => selection.has(at), own: (at) => own.kind(at), toggle: (at) => toggle(at), name });
  const tip = seatTip(name);
  const holdFlow = new HoldFlow({ id, seats: found, selection, words, hall: drawing.hall, signal, go, onGone: (positions) => changed(positions), onLimit: () => reloadOwnSeats(), asked: (seatIds) => offers.asked(seatIds) });
  const keys = legend(found, (grade) => drawing.filter(grade));
  const isOpen = saleState(schedule) === "open";
  const panel = selectionPanel({ seats: found, selection, words, offers, toggle: (at) => toggle(at), hold: isOpen && (() => holdFlow.hold(selection.ids)), why: () => whyNot(schedule, selection) });
  const waiting = isOpen && waitingListCard({ id, seats: found, signal });
  const best = isOpen && bestSeats({ seats: found, max: () => selection.max, hold: (criteria) => holdFlow.holdBest(criteria) });

  function toggle(at) {
    if (own.kind(at)) {
      go(`/reservations/${own.reservationOf(at)}`);
      return;
    }
    const refusal = selection.toggle(at);
    if (refusal) announcer.notify(t(refusal, { n: refusal === "limit.reached" ? schedule.ticket_limit : selection.max, seat: words.short(at) }), "bad");
    else announcer.announce(name(at));
    redraw([at, ...(refusal ? [] : alongWith(at))]);
  }

  // A seat that is sold together with another one is selected, and deselected, with it.
  function alongWith(at) {
    const partner = offers.partnerOf(at);
    if (partner === undefined || selection.has(partner) === selection.has(at) || !found.isFree(partner)) return [];
    if (selection.toggle(partner)) {
      selection.toggle(at);
      announcer.notify(t("offers.pairNeedsRoom", { seat: words.short(at) }), "bad");
    } else if (selection.has(at)) announcer.notify(t("offers.pairChosen", { seat: words.short(partner) }));
    return [partner];
  }

  // The user's holds have changed, here or in another tab, or one has expired.
  const onHoldsChange = () => {
    const positions = own.hold(heldHere(id));
    redraw([...positions, ...selection.limit(room())]);
  };
  // Another user has logged in, or the server counts more seats than this page knows.
  const reloadOwnSeats = async () => {
    own.buy(pairs(await bought(id, signal)));
    await ownHolds.ask();
    drawing.draw();
    onHoldsChange();
  };
  ownHolds.addEventListener("change", onHoldsChange, { signal });
  session.addEventListener("change", () => reloadOwnSeats(), { signal });

  function redraw(positions) {
    drawing.draw();
    seatList.touch(positions);
    panel.redraw();
    if (best) best.redraw();
    if (waiting) waiting.redraw();
  }

  function changed(positions) {
    const lost = selection.drop(positions.filter((at) => !found.isFree(at)));
    drawing.touch(positions);
    redraw([...positions, ...lost]);
    keys.count();
    soldOut.hidden = found.free() > 0;
    // A running hold request reports its own outcome.
    if (lost.length && !holdFlow.isBusy) announcer.notify(t("seats.lost", { seats: inWords(lost.map((at) => words.short(at))), n: lost.length }), "bad");
  }

  const live = liveNote();
  const soldOut = h("div", { class: "notice warn", role: "status", hidden: found.free() > 0 },
    h("p", {}, t("seats.soldOut")), h("a", { href: `/concerts/${schedule.concert.concert_id}` }, t("queue.otherDates")));
  // The reloaded answers may be a second or two older than the event.
  const sale = ({ on_sale: isOpen }) => { if (isOpen !== (saleState(schedule) === "open")) pause(NEWS_MS, signal).then(refresh, () => {}); };
  follow(id, found, { signal, changed, sale, state: (state) => live.show(state), replaced: refresh });
  holdFlow.resume();

  const view = [
    head(schedule, signal, refresh), passTimer(id, signal), soldOut,
    h("div", { class: "seats-page" },
      h("div", { class: "map-panel card" },
        h("div", { class: "map-box" }, drawing.view, tip.view, zoomButtons(drawing), live.view),
        keys.view,
        h("p", { class: "hint map-help" }, t("seats.help"))),
      h("div", { class: "side" },
        waiting && waiting.view,
        panel.view,
        accessCard({ offers, schedule, signal, typed: query.get("code") ?? "", changed: () => panel.redraw(), refresh }),
        best && best.view,
        h("section", { class: "card" }, h("h2", {}, t("seats.list")), seatList.view))),
  ];
  return { title: inLanguage(schedule.concert, "title"), view, wide: true, brand: schedule.brand, close: () => drawing.close() };
}

// `?look` shows the seats without the waiting room; buyers go through it first.
function mustWait(schedule, query) {
  const isWaiting = schedule.waiting_room !== "off" && saleState(schedule) !== "closed";
  return isWaiting && !query.has("look") && !queuePlace(schedule.schedule_id).pass;
}

// Seats can be selected before the sale opens, but not held.
function whyNot(schedule, selection) {
  const state = saleState(schedule);
  if (state === "soon") return t("selection.soon", { when: performanceText(schedule.sale_opens_at, schedule.time_zone) });
  if (state === "closed") return t("problem.not_on_sale");
  if (selection.max) return "";
  return h("span", {}, t("limit.reached", { n: schedule.ticket_limit }), " ", h("a", { href: `/me?schedule=${schedule.schedule_id}` }, t("limit.mine")));
}

function heldHere(id) {
  return ownHolds.holds.filter((one) => one.schedule_id === id).map((one) => [one.reservation_id, one.seat_ids]);
}

function pairs(reservations) {
  return reservations.map((one) => [one.reservation_id, one.seats.map((seat) => seat.seat_id)]);
}

// Without an answer the map shows them as sold to others; the server counts them all the same.
async function bought(id, signal) {
  if (!session.isLoggedIn) return [];
  const query = new URLSearchParams({ status: "CONFIRMED", schedule_id: id });
  const items = await all(`/v1/me/reservations?${query}`, { signal, noLogin: true, tries: 1 }).catch(ignoreProblem);
  return items ?? [];
}

function head(schedule, signal, refresh) {
  const note = h("p", { class: "notice warn", hidden: true });
  const state = saleState(schedule);
  if (state === "soon") {
    const clock = h("span", { class: "clock", role: "timer" });
    setChildren(note, t("concert.opens", { when: performanceText(schedule.sale_opens_at, schedule.time_zone) }), " ", clock);
    note.hidden = false;
    countDown(schedule.sale_opens_at, signal, (left) => setChildren(clock, countdown(left)), refresh);
  } else if (state === "closed" && schedule.status !== "CANCELLED") {
    setChildren(note, t(hasStarted(schedule) ? "concert.past" : "problem.not_on_sale"));
    note.hidden = false;
  }
  return h("div", { class: "seats-head" },
    h("a", { class: "back", href: `/concerts/${schedule.concert.concert_id}` }, t("seats.back")),
    h("h1", {}, inLanguage(schedule.concert, "title")),
    h("p", { class: "icon-line" }, icon(ICONS.calendar), performanceMoment(schedule.starts_at, schedule.time_zone)),
    h("p", { class: "icon-line" }, icon(ICONS.place), venueName(schedule)),
    scheduleNotice(schedule), note);
}

function zoomButtons(drawing) {
  const button = (name, path, act) => h("button", { type: "button", class: "button icon-only", "aria-label": t(name), onclick: act }, icon(path));
  return h("div", { class: "zoom" },
    button("seats.zoomIn", ICONS.plus, () => { drawing.zoom(1.5); drawing.rest(); }),
    button("seats.zoomOut", ICONS.minus, () => { drawing.zoom(1 / 1.5); drawing.rest(); }),
    button("seats.zoomFit", ICONS.fit, () => drawing.fit()));
}

// What stands seatList the pointer; for the keyboard it is said aloud.
function seatTip(name) {
  const view = h("p", { class: "seat-tip", hidden: true, "aria-hidden": "true" });
  return {
    view,
    show(at, place) {
      view.hidden = at < 0 || !place;
      if (at < 0) return;
      const text = name(at);
      if (!place) {
        announcer.announce(text);
        return;
      }
      setChildren(view, text);
      const box = view.parentElement;
      view.style.left = `${Math.min(place.x + 14, box.clientWidth - view.offsetWidth - 8)}px`;
      view.style.top = `${Math.max(4, place.y - view.offsetHeight - 12)}px`;
    },
  };
}

function liveNote() {
  const view = h("p", { class: "live-note" });
  return {
    view,
    show(state) {
      view.dataset.state = state;
      setChildren(view, t(`seats.live.${state}`));
    },
  };
}
