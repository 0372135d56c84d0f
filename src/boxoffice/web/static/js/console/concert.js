// One concert of the organizer: publish, add schedules, take down; and the form for a new one.

import { get, post } from "../lib/api.js";
import { synchronize } from "../lib/clock.js";
import { h } from "../lib/dom.js";
import { dateTime, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { Field, form } from "../components/forms.js";
import { performanceMoment } from "../components/performance-time.js";
import { confirmAction, creationKeys, postAction } from "./actions.js";
import { localTime, sendTimes } from "./events/local-time.js";
import { embedCard } from "./brand/embed.js";
import { featuredCard } from "./events/featured.js";
import { posterCard } from "./events/poster.js";
import { venueField, venueNamed, venuesOf } from "./events/venue-choice.js";
import { concertChip, breadcrumbs, saleChip } from "./components.js";
import { allows, ofOrganization } from "./team/organizations.js";

const HOLD_S = 300;
const TICKETS = 4;

/** The form for a new concert. */
export function newConcert({ go }) {
  const fields = {
    title: new Field({ label: t("concertForm.name"), required: true, maxlength: 200 }),
    artist: new Field({ label: t("concertForm.artist"), required: true, maxlength: 200 }),
    venue: new Field({ label: t("concertForm.venue"), required: true, maxlength: 200 }),
    description: new Field({ label: t("concertForm.description"), rows: 5, maxlength: 10_000 }),
  };
  const key = creationKeys();
  const submit = async (values) => {
    const body = { ...ofOrganization(), ...values };
    const made = await post("/v1/admin/concerts", body, { key: key(body) });
    await go(`/organizer/concerts/${made.concert_id}`);
  };
  const view = [
    breadcrumbs(),
    h("section", { class: "card console-form" },
      h("h1", {}, t("concertForm.title")), form({ fields, label: t("concertForm.create"), submit })),
  ];
  return { title: t("concertForm.title"), view };
}

/** The page of one concert. */
export async function concert({ id, signal, refresh, go }) {
  const [one] = await Promise.all([get(`/v1/admin/concerts/${encodeURIComponent(id)}`, { signal }), synchronize()]);
  const isEditor = !session.isOperator && allows(one, "events_write");
  const [places, poster] = await Promise.all([venuesOf(one, signal), isEditor && posterCard(one, signal)]);
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" },
      h("div", {},
        h("h1", {}, one.title),
        h("p", {}, `${one.artist} · ${one.venue} `, concertChip(one)),
        session.isOperator && h("p", { class: "small" }, t("own.organizer", { name: one.organizer_name })),
        one.description && h("p", { class: "description" }, one.description)),
      h("div", { class: "actions" }, isEditor && publishButton(one, refresh),
        isEditor && h("a", { class: "button", href: `/organizer/concerts/${one.concert_id}/edit` }, t("edit.concert")),
        one.status === "PUBLISHED" && !one.taken_down_at && h("a", { class: "button", href: `/concerts/${one.concert_id}` }, t("own.inShop")))),
    takenDown(one, refresh),
    isEditor && unopened(one),
    one.schedules.length ? h("ul", { class: "own-concerts" }, one.schedules.map(card)) : h("p", { class: "card" }, t("own.noSchedules")),
    poster,
    isEditor && one.status === "PUBLISHED" && !one.taken_down_at && embedCard(one),
    isEditor && h("details", { class: "card", open: one.schedules.length === 0 },
      h("summary", {}, h("h2", {}, t("own.addSchedule"))), scheduleForm(one, go, places)),
    session.isOperator && one.status === "PUBLISHED" && !one.taken_down_at && await featuredCard(one, { signal, refresh }),
    session.isOperator && !one.taken_down_at && h("details", { class: "card" },
      h("summary", {}, h("h2", {}, t("down.title"))), takeDownForm(one, refresh)),
  ];
  return { title: one.title, view };
}

function publishButton(one, refresh) {
  if (one.taken_down_at || one.status !== "DRAFT" || !one.schedules.some((schedule) => schedule.seats_total > 0)) return null;
  return h("button", { type: "button", class: "button primary", onclick: () => confirmAction({
    title: t("own.publishTitle"), detail: t("own.publishDetail"), label: t("own.publish"),
    act: () => postAction(`/v1/admin/concerts/${one.concert_id}/publish`), said: t("own.published"), done: refresh,
  }) }, t("own.publish"));
}

// Publishing shows a concert; each performance is put on sale on its own page.
function unopened(one) {
  const waiting = one.schedules.filter((schedule) => schedule.status === "DRAFT" && schedule.seats_total > 0);
  if (one.status !== "PUBLISHED" || one.taken_down_at || !waiting.length) return null;
  return h("div", { class: "notice" },
    h("p", {}, t("own.unopened")),
    h("ul", {}, waiting.map((schedule) => h("li", {},
      h("a", { href: `/organizer/schedules/${schedule.schedule_id}` }, performanceMoment(schedule.starts_at, schedule.time_zone))))));
}

function takenDown(one, refresh) {
  if (!one.taken_down_at) return null;
  const restore = () => confirmAction({
    title: t("down.restoreTitle"), detail: t("down.restoreDetail"), label: t("down.restore"),
    act: () => postAction(`/v1/admin/concerts/${one.concert_id}/restore`), said: t("down.restored"), done: refresh,
  });
  return h("div", { class: "notice warn" },
    h("p", {}, h("strong", {}, t("down.is", { when: dateTime(one.taken_down_at) }))),
    h("p", {}, t("down.reason", { reason: one.taken_down_reason })),
    h("p", { class: "small" }, t("down.means")),
    session.isOperator && h("div", { class: "actions" },
      h("button", { type: "button", class: "button", onclick: restore }, t("down.restore"))));
}

function takeDownForm(one, refresh) {
  const fields = { reason: new Field({ label: t("down.why"), hint: t("down.whyHint"), required: true, maxlength: 200 }) };
  const submit = async (values) => {
    await postAction(`/v1/admin/concerts/${one.concert_id}/take-down`, { body: values });
    announcer.notify(t("down.done"), "good");
    refresh();
  };
  return [h("p", {}, t("down.detail")), form({ fields, label: t("down.take"), submit })];
}

function card(one) {
  const left = one.seats_total
    ? t("own.seats", { n: one.seats_available, total: one.seats_total }) : t("own.noSeats");
  return h("li", {}, h("a", { class: "own-concert card", href: `/organizer/schedules/${one.schedule_id}` },
    h("div", {}, h("h2", {}, performanceMoment(one.starts_at, one.time_zone)), h("p", { class: "muted small" }, t("sale.opensAt", { when: performanceText(one.sale_opens_at, one.time_zone) }))),
    h("p", { class: "own-summary" }, saleChip(one), h("span", { class: "small" }, left))));
}

function scheduleForm(one, go, places) {
  const local = (label, required, hint) => new Field({ label, type: "datetime-local", required, hint });
  const fields = {
    starts_at: local(t("scheduleForm.starts"), true, t("scheduleForm.zone")),
    sale_opens_at: local(t("scheduleForm.opens"), true),
    sale_closes_at: local(t("scheduleForm.closes"), false),
    hold_ttl_s: new Field({ label: t("scheduleForm.hold"), type: "number", min: 1, max: 86_400, value: HOLD_S, required: true, inputmode: "numeric" }),
    ticket_limit: new Field({ label: t("scheduleForm.limit"), type: "number", min: 1, max: 1000, value: TICKETS, required: true, inputmode: "numeric" }),
    ...venueField(venueNamed(one.venue, places), one.venue, places),
    seats_return_delay_max_s: new Field({ label: t("scheduleForm.delay"), hint: t("scheduleForm.delayHint"), type: "number", min: 0, max: 600, value: 0, required: true, inputmode: "numeric" }),
  };
  const key = creationKeys();
  const submit = async (values) => {
    const body = {
      starts_at: localTime(values.starts_at),
      sale_opens_at: localTime(values.sale_opens_at),
      sale_closes_at: localTime(values.sale_closes_at),
      venue_id: values.venue_id || null,
      hold_ttl_s: Number(values.hold_ttl_s),
      ticket_limit: Number(values.ticket_limit),
      seats_return_delay_max_s: Number(values.seats_return_delay_max_s),
    };
    const made = await sendTimes((sent) => post(`/v1/admin/concerts/${one.concert_id}/schedules`, sent, { key: key(sent) }), body);
    await go(`/organizer/schedules/${made.schedule_id}/seats`);
  };
  return form({ fields, label: t("scheduleForm.add"), submit });
}
