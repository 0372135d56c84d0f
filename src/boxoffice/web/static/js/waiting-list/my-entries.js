// The person's entries of waiting lists on my page.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { leaveOnce } from "./card.js";
import { wantedText } from "./entries.js";

/** An entry as an item of a list; `schedule` is its performance, null where it is not shown any more. */
export function entryOfList(one, schedule) {
  const about = [
    h("strong", {}, schedule?.concert.title ?? t("waitingList.mine")),
    h("span", { class: "muted small" }, schedule ? performanceText(schedule.starts_at, schedule.time_zone) : ""),
    h("span", { class: "small" }, wantedText(one)),
  ];
  const status = h("span", { class: "chip" }, t(`waitingList.status.${one.status}`, { n: one.position }));
  const href = one.reservation_id ? `/reservations/${one.reservation_id}` : `/schedules/${one.schedule_id}?look`;
  const item = h("li", {}, h("a", { class: "row-link", href }, h("span", { class: "grow" }, about), h("span", { class: "row-end" }, status)));
  if (one.status === "WAITING") item.append(leaveButton(one, status));
  return item;
}

function leaveButton(one, status) {
  const button = h("button", { type: "button", class: "button plain small" }, t("waitingList.leave"));
  button.addEventListener("click", async () => {
    if (!await leaveOnce(button, one)) return;
    status.textContent = t("waitingList.status.LEFT");
    button.remove();
  });
  return button;
}
