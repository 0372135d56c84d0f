// The brand of an organization: names, colour, terms and logo, with a preview in light and dark.

import { call, get } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { errorText } from "../../components/problem.js";
import { logo, sellerMark } from "../../components/seller.js";
import { breadcrumbs } from "../components.js";
import { chosenOrganization, may, organizationSwitch } from "../team/organizations.js";

const LINES = ["name_en", "name_ko"];
const TEXTS = ["terms", "terms_en", "terms_ko"];
const KINDS = ["image/jpeg", "image/png", "image/webp"];
const TIMEOUT_MS = 60_000;
const FIRST_COLOUR = "#0b6e69";

/** The page of the brand. */
export async function brand({ signal, refresh }) {
  const organization = chosenOrganization();
  const path = `/v1/admin/organizations/${organization.organization_id}/brand`;
  const own = await get(path, { signal });
  const headers = { "If-Match": `"${own.version}"` };
  const canWrite = may("team_write");
  const view = [
    breadcrumbs(["/organizer/brand", t("brand.title")]),
    h("div", { class: "console-head" },
      h("div", {}, h("h1", {}, t("brand.title")), h("p", { class: "muted" }, t("brand.lead"))),
      h("div", { class: "actions" }, organizationSwitch(refresh))),
    preview(own),
    canWrite ? [logoCard(own, path, headers, refresh), textCard(own, path, headers, refresh), widgetCard(own, path, headers, refresh)] : h("p", { class: "notice" }, t("brand.ownersOnly")),
  ];
  return { title: `${t("brand.title")} · ${own.name}`, view };
}

function preview(own) {
  return h("section", { class: "card stack" }, h("h2", {}, t("brand.preview")),
    h("p", { class: "hint" }, t("brand.previewHint")),
    h("div", { class: "brand-previews" }, sample(own, "light", t("brand.light")), sample(own, "dark", t("brand.dark"))));
}

// The grounds of the pages, whatever the scheme of the reader.
function sample(own, kind, label) {
  const box = h("div", { class: `brand-preview ${kind}` }, h("p", { class: "small" }, label), h("p", {}, sellerMark(own)),
    h("p", {}, h("span", { class: "brand-link" }, t("brand.link"))), h("span", { class: "brand-button" }, t("brand.button")));
  if (own.accent) box.style.setProperty("--sample", own.accent[kind]);
  return box;
}

function logoCard(own, path, headers, refresh) {
  const input = h("input", { id: "logo-file", type: "file", class: "input", accept: KINDS.join(",") });
  const status = h("p", { role: "status", class: "small" });
  const send = async (method, options, said) => {
    setChildren(status, t("busy"));
    try {
      await call(method, `${path}/logo`, { headers, tries: 1, ...options });
      announcer.notify(said, "good");
      refresh();
    } catch (error) {
      setChildren(status, error.code === "logo_invalid" && error.body?.reason !== "empty" ? t("brand.noLogo") : errorText(error));
    }
    input.value = "";
  };
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) send("PUT", { raw: file, type: file.type, timeoutMs: TIMEOUT_MS }, t("brand.logoSet"));
  });
  return h("section", { class: "card stack" }, h("h2", {}, t("brand.logo")), h("p", { class: "hint" }, t("brand.logoHint")),
    own.logo && h("p", {}, logo(own.logo)),
    h("div", { class: "field" }, h("label", { for: "logo-file" }, t("brand.logoFile")), input), status,
    own.logo && h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: () => send("DELETE", {}, t("brand.logoRemoved")) }, t("brand.logoRemove"))));
}

function widgetCard(own, path, headers, refresh) {
  const fields = { origins: new Field({ label: t("brand.origins"), hint: t("brand.originsHint"), rows: 3, value: own.widget_origins.join("\n"), placeholder: `${location.protocol}//venue.example`, spellcheck: "false" }) };
  const submit = async ({ origins }) => {
    const listed = origins.split(/\s+/).filter(Boolean).map((one) => one.toLowerCase().replace(/\/+$/, ""));
    await call("PATCH", path, { body: { widget_origins: listed }, headers, tries: 1 });
    announcer.notify(t("brand.saved"), "good");
    refresh();
  };
  return h("section", { class: "card console-form" }, h("h2", {}, t("widget.title")), h("p", { class: "hint" }, t("widget.lead")), form({ fields, label: t("brand.save"), submit }));
}

function textCard(own, path, headers, refresh) {
  const accent = new Field({ label: t("brand.accent"), hint: t("brand.accentHint"), pattern: "#[0-9a-f]{6}", maxlength: 7, placeholder: FIRST_COLOUR, value: own.accent?.colour ?? "" });
  const fields = {
    ...Object.fromEntries(LINES.map((name) => [name, new Field({ label: t(`brand.${name}`), value: own[name] ?? "", maxlength: 200 })])),
    accent,
    ...Object.fromEntries(TEXTS.map((name) => [name, new Field({ label: t(`brand.${name}`), value: own[name] ?? "", rows: 6, maxlength: 10_000 })])),
  };
  const picker = h("input", { type: "color", class: "colour", "aria-label": t("brand.pick"), value: accent.value || FIRST_COLOUR });
  picker.addEventListener("input", () => { accent.input.value = picker.value; accent.complain(""); });
  accent.input.after(picker);
  const submit = async (values) => {
    const texts = Object.entries(values).map(([name, value]) => [name, value.trim() || (name === "terms" ? "" : null)]);
    await call("PATCH", path, { body: Object.fromEntries(texts), headers, tries: 1 });
    announcer.notify(t("brand.saved"), "good");
    refresh();
  };
  return h("section", { class: "card console-form" }, h("h2", {}, t("brand.texts")),
    h("p", { class: "hint" }, t("brand.nameHint", { name: own.name })), form({ fields, label: t("brand.save"), submit }));
}
