// The poster of a concert: upload, describe, remove.

import { call, get, ignoreProblem } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { redraw } from "../../lib/redraw.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { poster } from "../../components/poster.js";
import { errorText } from "../../components/problem.js";

const TIMEOUT_MS = 60_000;
const KINDS = ["image/jpeg", "image/png", "image/webp"];

/** A card with the poster of a concert and its forms. */
export async function posterCard(concert, signal) {
  const path = `/v1/admin/concerts/${concert.concert_id}/poster`;
  const shown = h("div", { class: "poster-preview" });
  const texts = h("div", { class: "stack" });
  const input = h("input", { id: "poster-file", type: "file", class: "input", accept: KINDS.join(",") });
  const status = h("p", { role: "status", class: "small" });

  function show(picture) {
    setChildren(shown, picture && poster({ ...concert, poster: picture }, { sizes: "180px" }));
    redraw(texts, picture && describeForm(path, picture, show), picture && removeButton(path, () => show(null)));
  }

  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    setChildren(status, t("busy"));
    try {
      show(await call("PUT", path, { raw: file, type: file.type, timeoutMs: TIMEOUT_MS }));
      setChildren(status, t("poster.set"));
    } catch (error) {
      setChildren(status, reason(error));
    }
    input.value = "";
  });

  const found = await get(path, { signal, tries: 1 }).catch(ignoreProblem);
  show(found?.poster ?? null);
  return h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("poster.title"))),
    h("div", { class: "form" },
      h("p", { class: "hint" }, t("poster.hint")), shown,
      h("div", { class: "field" }, h("label", { for: "poster-file" }, t("poster.file")), input), status, texts));
}

function reason(error) {
  const kind = error.code === "media_type_unsupported" || error.code === "body_too_large" ? error.code : error.body?.reason;
  return t({
    animated: "poster.animated", too_many_pixels: "poster.tooLarge", body_too_large: "poster.tooLarge",
    too_small: "poster.tooSmall", too_narrow: "poster.tooNarrow", not_a_picture: "poster.noPicture", media_type_unsupported: "poster.noPicture",
  }[kind] ?? "poster.failed", { why: errorText(error) });
}

function describeForm(path, picture, show) {
  const fields = Object.fromEntries(["alt", "alt_en", "alt_ko"].map((name) => [name, new Field({
    label: t(`poster.${name}`), value: picture[name] ?? "", required: name === "alt", maxlength: 200,
  })]));
  const submit = async ({ alt, alt_en: en, alt_ko: ko }) => {
    show(await call("PATCH", path, { body: { alt, alt_en: en || null, alt_ko: ko || null } }));
    announcer.notify(t("poster.described"), "good");
  };
  return form({ fields, label: t("poster.describe"), submit });
}

function removeButton(path, done) {
  return h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: async () => {
    try {
      await call("DELETE", path);
      announcer.notify(t("poster.removed"), "good");
      done();
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
  } }, t("poster.remove")));
}
