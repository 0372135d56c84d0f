// Files of the API, which need the session's token: a plain link cannot send it.

import { Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { errorText } from "../components/problem.js";

/** Saves the file at `path` as `name`; says `failed` where that is not possible, or what the server says. */
export async function download(path, name, { signal, failed }) {
  try {
    const response = await fetch(path, { headers: { Authorization: `Bearer ${session.token}` }, signal });
    if (!response.ok) throw await problemOf(response);
    const url = URL.createObjectURL(await response.blob());
    h("a", { href: url, download: name }).click();
    URL.revokeObjectURL(url);
  } catch (error) {
    if (!signal.aborted) announcer.notify(error instanceof Problem ? errorText(error) : failed, "bad");
  }
}

async function problemOf(response) {
  const body = await response.json();
  return new Problem(response.status, body.code, body, Number(response.headers.get("Retry-After")) || 0);
}

/** Buttons that save a report as CSV and as XLSX; `path` takes a query with the format. */
export function fileButtons({ path, query, name, labels, signal, failed }) {
  const save = async (event, format) => {
    const button = event.currentTarget;
    button.disabled = true;
    await download(`${path}?${new URLSearchParams({ ...query, format })}`, `${name}.${format}`, { signal, failed });
    button.disabled = false;
  };
  return ["csv", "xlsx"].map((format) => h("button", {
    type: "button", class: "button", onclick: (event) => save(event, format),
  }, labels[format]));
}
