// Presales and codes beside the map: when the sale needs none, and the field for one.

import { countDown, secondsUntil } from "../lib/clock.js";
import { h, setChildren, uniqueId } from "../lib/dom.js";
import { countdown, money, t } from "../lib/i18n.js";
import { keepState } from "../lib/redraw.js";
import { performanceText } from "../lib/performance-time.js";
import { session } from "../lib/session.js";
import { errorText } from "../components/problem.js";

/** The card, or null for a schedule without codes and presales; `changed()` after the code has changed. */
export function accessCard({ offers, schedule, signal, typed, changed, refresh }) {
  const { shown } = offers;
  const isPresale = shown.public_from !== null && secondsUntil(shown.public_from) > 0;
  if (!isPresale && !shown.takes_codes) return null;
  const zone = schedule.time_zone;
  return h("section", { class: "card stack access-card", "aria-label": t("offers.access") },
    h("h2", {}, t(isPresale ? "offers.presale" : "offers.code")),
    isPresale && presale(shown, zone, signal, refresh),
    codeForm({ offers, signal, typed, changed }));
}

function presale(shown, zone, signal, refresh) {
  const clock = h("strong", { class: "clock", role: "timer" });
  countDown(shown.public_from, signal, (left) => setChildren(clock, countdown(left)), refresh);
  return [
    h("p", {}, t("offers.publicFrom", { when: performanceText(shown.public_from, zone) }), " ", clock),
    shown.presales.length > 0 && h("ul", { class: "small" }, shown.presales.map((one) => h("li", {}, window(one, zone)))),
  ];
}

function window({ name, opens_at: opensAt, closes_at: closesAt }, zone) {
  const when = (moment) => performanceText(moment, zone);
  if (opensAt && closesAt) return t("offers.presaleBetween", { name, from: when(opensAt), until: when(closesAt) });
  if (opensAt) return t("offers.presaleFrom", { name, from: when(opensAt) });
  return closesAt ? t("offers.presaleUntil", { name, until: when(closesAt) }) : name;
}

function codeForm({ offers, signal, typed, changed }) {
  const id = uniqueId("code");
  const input = h("input", { id, class: "input", name: "code", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 64, required: true, value: typed });
  const said = h("p", { class: "small", role: "status" });
  const clear = h("button", { type: "button", class: "button plain", hidden: true, onclick: () => drop() }, t("offers.remove"));
  const drop = () => {
    offers.forget();
    clear.hidden = true;
    input.value = "";
    setChildren(said);
    changed();
    input.focus();
  };
  // An accepted code is asked about again.
  keepState(clear, { get: () => offers.code, set: () => clear.closest("form").requestSubmit() });
  const onsubmit = async (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    if (!session.isLoggedIn && !(await session.renew("unauthenticated"))) return;
    try {
      await offers.apply(input.value.trim(), signal);
      setChildren(said, granted(offers));
      clear.hidden = false;
    } catch (error) {
      if (signal.aborted) return;
      offers.forget();
      clear.hidden = true;
      setChildren(said, h("span", { class: "field-error" }, errorText(error)));
      input.focus();
    }
    changed();
  };
  return h("form", { class: "code-form", onsubmit },
    h("div", { class: "field" }, h("label", { for: id }, t("offers.codeLabel")), input),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "button" }, t("offers.apply")), clear), said);
}

function granted(offers) {
  const { name, percent_off: percent, amount_off: amount, is_presale: isPresale, seats_max: seatsMax } = offers.grant;
  const parts = [t("offers.accepted", { name })];
  if (percent) parts.push(t("offers.percentOff", { n: percent }));
  if (amount) parts.push(t("offers.amountOff", { amount: money(amount, offers.shown.currency) }));
  if (isPresale) parts.push(t("offers.admits"));
  if (seatsMax) parts.push(t("offers.seatsMax", { n: seatsMax }));
  return parts.join(" ");
}
