// The organizer's concerts.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { concertChip, pagedList } from "./components.js";
import { searchBox } from "./search/page.js";
import { chosenOrganization, may, ofOrganization, organizationSwitch } from "./team/organizations.js";

const LIMIT = 20;

/** The list of the organizer's concerts, drafts too. */
export async function home({ signal, refresh, go }) {
  const load = (cursor) => get(`/v1/admin/concerts?${new URLSearchParams({ limit: LIMIT, ...ofOrganization(), ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  const list = h("ul", { class: "own-concerts" });
  const more = pagedList(first, load, (items) => items.map(card), list);
  const view = [
    h("div", { class: "console-head" },
      h("div", {}, h("h1", {}, t("console.title")), h("p", { class: "muted" }, t(session.isOperator ? "console.leadAll" : "console.lead"))),
      h("div", { class: "actions" },
        organizationSwitch(refresh),
        may("events_write") && h("a", { class: "button primary", href: "/organizer/new" }, t("console.new")))),
    parts(),
    searchBox(go),
    first.items.length ? list : h("p", { class: "card" }, t(session.isOperator ? "console.noneAll" : "console.none")),
    more,
  ];
  return { title: t("console.title"), view };
}

function parts() {
  const everyone = [
    [may("orders_read"), "payments", t("payments.title")], [may("reports_read"), "reports", t("reports.title")], [may("events_read"), "venues", t("venues.title")],
    [may("webhooks_read"), "webhooks", t("hooks.title")], [may("activity_read"), "activity", t("console.activity")],
    [chosenOrganization() !== null, "team", t("team.title")], [may("team_read"), "brand", t("brand.title")],
  ].filter(([isShown, path]) => isShown || (session.isOperator && !["team", "brand"].includes(path))).map(([, path, name]) => [path, name]);
  const operators = [["applications", t("applications.title")], ["refunds", t("refunds.manual")], ["disputes", t("disputes.title")], ["statements", t("statements.title")], ["audit", t("console.audit")]];
  return h("nav", { class: "tabs", "aria-label": t("console.parts") },
    [...everyone, ...(session.isOperator ? operators : [])].map(([path, name]) => h("a", { href: `/organizer/${path}` }, name)));
}

function card(one) {
  return h("li", {}, h("a", { class: "own-concert card", href: `/organizer/concerts/${one.concert_id}` },
    h("div", {}, h("h2", {}, one.title), h("p", { class: "muted small" }, `${one.artist} · ${one.venue}`),
      session.isOperator && h("p", { class: "small" }, t("own.organizer", { name: one.organizer_name }))),
    h("p", { class: "own-summary" }, concertChip(one), h("span", { class: "small" }, t("own.schedules", { n: one.schedules_total })),
      one.schedules_on_sale > 0 && h("span", { class: "small" }, t("own.open", { n: one.schedules_on_sale })))));
}
