// The page on which a concert is changed, unpublished or deleted.

import { call, get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Choice, Field, form } from "../../components/forms.js";
import { confirmAction } from "../actions.js";
import { breadcrumbs } from "../components.js";

const LINES = ["title", "title_en", "title_ko", "artist", "artist_en", "artist_ko", "venue", "organizer_contact"];
const TEXTS = ["description", "description_en", "description_ko", "notices", "notices_en", "notices_ko", "faq", "faq_en", "faq_ko", "refund_notes", "refund_notes_en", "refund_notes_ko"];
const NUMBERS = { running_time_min: 1440, intermission_min: 240 };
const GENRES = ["concert", "pop", "rock", "hiphop", "jazz", "classical", "musical", "theatre", "festival", "fan_meeting", "trot", "other"];
const AGES = ["all", "7", "12", "15", "19"];
const NEEDED = ["title", "artist", "venue"];

/** The page. */
export async function editConcert({ id, signal, go, refresh }) {
  const path = `/v1/admin/concerts/${encodeURIComponent(id)}`;
  const one = await get(path, { signal });
  const headers = { "If-Match": `"${one.version}"` };
  const back = `/organizer/concerts/${one.concert_id}`;
  const verified = h("input", { type: "checkbox", checked: one.requires_verified_email });
  const submit = async (values) => {
    const body = { ...bodyOf(values), requires_verified_email: verified.checked };
    await call("PATCH", path, { body, headers, tries: 1 });
    announcer.notify(t("edit.saved"), "good", { forNextPage: true });
    await go(back);
  };
  const view = [
    breadcrumbs([back, one.title]),
    h("section", { class: "card console-form" }, h("h1", {}, t("edit.concert")), h("p", { class: "muted small" }, t("edit.languages")),
      form({ fields: fieldsOf(one), children: [h("div", { class: "choices" }, h("label", {}, verified, t("edit.requires_verified_email")))], label: t("edit.save"), submit })),
    ending(one, path, headers, { go, refresh, back }),
  ];
  return { title: t("edit.concert"), view };
}

function fieldsOf(one) {
  const line = (name) => [name, new Field({ label: t(`edit.${name}`), value: one[name] ?? "", maxlength: 200, required: NEEDED.includes(name) })];
  const text = (name) => [name, new Field({ label: t(`edit.${name}`), value: one[name] ?? "", rows: 4, maxlength: 10_000 })];
  const number = ([name, max]) => [name, new Field({ label: t(`edit.${name}`), type: "number", min: name === "running_time_min" ? 1 : 0, max, value: one[name] ?? "", inputmode: "numeric" })];
  const genre = new Choice({ label: t("edit.genre"), value: one.genre ?? "", options: [["", t("edit.notSaid")], ...GENRES.map((name) => [name, t(`genre.${name}`)])] });
  const age = new Choice({ label: t("edit.age_rating"), value: one.age_rating ?? "", options: [["", t("edit.notSaid")], ...AGES.map((name) => [name, name === "all" ? t("concert.age.all") : t("concert.age", { age: Number(name) })])] });
  return Object.fromEntries([...LINES.map(line), ["genre", genre], ["age_rating", age], ...Object.entries(NUMBERS).map(number), ...TEXTS.map(text)]);
}

function bodyOf(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => {
    if (name in NUMBERS) return [name, value === "" ? null : Number(value)];
    if (name === "description") return [name, value];
    return [name, value.trim() === "" ? null : value];
  }));
}

function ending(one, path, headers, { go, refresh, back }) {
  const isDraft = one.status === "DRAFT";
  const remove = () => confirmAction({
    title: t("edit.deleteTitle"), detail: t("edit.deleteDetail"), label: t("edit.delete"), danger: true,
    act: () => call("DELETE", path, { headers, tries: 1 }), said: t("edit.deleted"), done: () => go("/organizer"),
  });
  const unpublish = () => confirmAction({
    title: t("edit.unpublishTitle"), detail: t("edit.unpublishDetail"), label: t("edit.unpublish"), danger: true,
    act: () => call("POST", `${path}/unpublish`, { headers, tries: 1 }), said: t("edit.unpublished"), done: () => go(back).then(refresh),
  });
  return h("section", { class: "card" }, h("h2", {}, t(isDraft ? "edit.delete" : "edit.unpublish")),
    h("p", {}, t(isDraft ? "edit.deleteDetail" : "edit.unpublishDetail")),
    h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: isDraft ? remove : unpublish }, t(isDraft ? "edit.delete" : "edit.unpublish"))));
}
