// The history of one reservation.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { date, money, t, timeOfDay } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { emailText } from "../components/email-text.js";
import { chip, breadcrumbs, definitionList, fetchSchedule, timestamp } from "./components.js";

/** The page of one reservation. */
export async function history({ id, signal }) {
  const one = await get(`/v1/admin/reservations/${encodeURIComponent(id)}`, { signal });
  const schedule = await fetchSchedule(one.schedule_id, signal);
  const back = `/organizer/schedules/${one.schedule_id}`;
  const view = [
    breadcrumbs([`/organizer/concerts/${schedule.concert_id}`, schedule.concert.title], [back, performanceText(schedule.starts_at, schedule.time_zone, "date")],
      [`${back}/reservations`, t("history.back")]),
    h("div", { class: "console-head" }, h("h1", {}, t("history.title"), " ", chip(one.status)),
      one.events.some(({ what }) => what === "PAID") && h("div", { class: "actions" }, h("a", { class: "button", href: paymentOf(one) }, t("history.payment")))),
    h("section", { class: "card" }, definitionList([
      [t("history.person"), [one.name, h("div", { class: "muted small" }, emailText(one.email))]],
      [t("history.seats"), one.seat_ids.join(", ")],
      [t("history.amount"), money(one.amount, one.currency)],
      one.order_number ? [t("order.number"), h("strong", { class: "number" }, one.order_number)] : [t("history.id"), h("code", {}, one.reservation_id)],
    ])),
    h("section", { class: "card" }, h("h2", {}, t("history.events")),
      h("ol", { class: "events" }, one.events.map((event) => h("li", {},
        h("span", { class: "muted small number" }, timestamp(event.at, (at) => `${date(at)} ${timeOfDay(at)}`)),
        h("span", {}, said(event)))))),
  ];
  return { title: t("history.title"), view };
}

function paymentOf({ schedule_id: id, order_number: number }) {
  return `/organizer/schedules/${id}/payments?${new URLSearchParams({ order_number: number })}`;
}

function said({ what, details }) {
  const { amount, currency, expires_at: expires, ...rest } = details;
  return t(`history.${what}`, {
    ...rest,
    ...(currency && { amount: money(amount, currency) }),
    ...(expires && { expires: timeOfDay(expires) }),
  });
}
