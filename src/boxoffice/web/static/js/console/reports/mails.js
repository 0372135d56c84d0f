// Reports by mail: how often the user gets the totals of a report.

import { call, get } from "../../lib/api.js";
import { h, uniqueId } from "../../lib/dom.js";
import { dateTime, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { chosenOrganization } from "../team/organizations.js";

const FREQUENCIES = ["none", "daily", "weekly"];
const HOUR = 8;

/** The card about mails of one report. */
export async function mailCard({ report, signal }) {
  const path = `/v1/admin/organizations/${chosenOrganization().organization_id}/report-mails`;
  const { items } = await get(path, { signal });
  const own = items.find((one) => one.report === report);
  const zone = own?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const next = h("p", { class: "muted small", role: "status" });
  const show = (mail) => { next.textContent = mail ? t("reports.nextMail", { when: dateTime(mail.next_at) }) : ""; };
  show(own);
  const id = uniqueId("frequency");
  const frequency = h("select", { id, class: "input" }, FREQUENCIES.map((one) => h("option", {
    value: one, selected: one === (own?.frequency ?? "none"),
  }, t(`reports.frequency.${one}`))));
  const fields = {
    hour: new Field({
      label: t("reports.hour"), hint: t("reports.hourHint", { zone }), type: "number", min: 1, max: 23, value: own?.hour ?? HOUR,
      required: true, inputmode: "numeric",
    }),
  };
  const submit = async ({ hour }) => {
    const body = { report, frequency: frequency.value, hour: Number(hour), time_zone: zone };
    const changed = await call("PUT", path, { body });
    show(changed.items.find((one) => one.report === report));
    announcer.notify(t("reports.saved"), "good");
  };
  return h("details", { class: "card", open: Boolean(own) }, h("summary", {}, h("h2", {}, t("reports.mail"))),
    h("p", { class: "muted" }, t("reports.mailLead")),
    form({
      fields, label: t("reports.save"), submit,
      children: [h("div", { class: "field" }, h("label", { for: id }, t("reports.frequency")), frequency)],
    }),
    next);
}
