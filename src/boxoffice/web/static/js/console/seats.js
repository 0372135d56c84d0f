// Import of a seat map: choose a file, preview it, add it.

import { call, Problem, ignoreProblem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { hasText, moneyRange, t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { requestReference, errorText } from "../components/problem.js";
import { postAction } from "./actions.js";
import { fetchSchedule, scheduleHead, table } from "./components.js";
import { seatActions } from "./inventory/seats.js";

// A file of 100,000 lines on a busy server.
const TIMEOUT_MS = 60_000;
const TEXT_MAX = 80;
// The browser's name of CP949.
const DECODERS = { cp949: "euc-kr" };
const NAMES = { ",": "comma", ";": "semicolon", "\t": "tab" };
const EXAMPLE = "section,row,number,grade,price\nA,1,1,VIP,165000\nA,1,2,VIP,165000\nA,2,1,R,143000";

/** The page that imports a seat map. */
export async function seats({ id, signal, refresh }) {
  const schedule = await fetchSchedule(id, signal);
  const title = `${t("tabs.seats")} · ${schedule.concert.title}`;
  if (schedule.status !== "DRAFT" && !session.isOperator) {
    const actions = await seatActions(schedule, { signal, refresh });
    return { title, view: [scheduleHead(schedule, "seats", refresh), actions.view], wide: true, close: actions.close };
  }
  const view = [scheduleHead(schedule, "seats", refresh), h("section", { class: "card console-form" },
    h("h2", {}, t("import.title")),
    h("p", {}, t("import.total", { n: schedule.seats_total })),
    schedule.status === "DRAFT" && !session.isOperator ? importer(schedule, signal, refresh) : locked(schedule))];
  return { title, view, wide: true };
}

function locked(schedule) {
  return [h("p", { class: "notice" }, t("import.locked")),
    h("a", { class: "button", href: `/schedules/${schedule.schedule_id}` }, t("import.look"))];
}

function importer(schedule, signal, refresh) {
  const path = `/v1/admin/schedules/${schedule.schedule_id}/seats`;
  const result = h("div", { class: "import-result" });
  const input = h("input", { id: "seat-map-file", type: "file", class: "input", accept: ".csv,text/csv" });
  let latest = 0;
  input.addEventListener("change", async () => {
    const [file] = input.files;
    latest += 1;
    const mine = latest;
    if (!file) { setChildren(result); return; }
    setChildren(result, h("p", { role: "status" }, t("import.reading", { name: file.name })));
    const shown = await look(path, file, signal).catch((error) => problem(error));
    if (mine !== latest || signal.aborted) return;
    setChildren(result, shown.acceptable === undefined ? shown : preview(shown, () => add(path, shown, result, schedule, refresh)));
    // Choosing the corrected file again must fire `change`.
    input.value = "";
    result.querySelector(".notice")?.scrollIntoView({ block: "nearest" });
  });
  return [
    h("p", { class: "muted" }, t("import.lead")),
    h("details", {}, h("summary", {}, t("import.example")), h("pre", { class: "example" }, EXAMPLE)),
    h("div", { class: "field" }, h("label", { for: "seat-map-file" }, t("import.file")), input),
    result,
  ];
}

async function look(path, file, signal) {
  // What was looked at is what will be added, whatever becomes of the file.
  const raw = new Blob([await file.arrayBuffer()]);
  const options = { raw, type: "text/csv", signal, timeoutMs: TIMEOUT_MS, tries: 3 };
  const shown = await call("POST", `${path}/preview`, options);
  const lines = shown.errors.length ? decoded(await raw.arrayBuffer(), shown.assumed.encoding).split(/\r\n|\r|\n/) : [];
  return { ...shown, raw, texts: shown.errors.map(({ line }) => lines[line - 1] ?? "") };
}

function decoded(bytes, encoding) {
  return new TextDecoder(DECODERS[encoding] ?? encoding).decode(bytes);
}

function problem(error) {
  return h("p", { class: "notice bad", role: "alert" }, errorText(error), " ", requestReference(error));
}

function preview(shown, add) {
  if (!shown.acceptable) return [faults(shown), assumed(shown)];
  const button = h("button", { type: "button", class: "button primary", onclick: add }, t("import.add", { n: shown.seats_read }));
  return [
    h("div", { class: "notice good", role: "status" },
      h("p", {}, h("strong", {}, t("import.good", { n: shown.seats_read }))),
      h("p", {}, t("import.goodDetail", { total: shown.seats_total }))),
    assumed(shown),
    h("div", { class: "two-columns" }, grades(shown), sections(shown)),
    h("div", { class: "actions" }, button),
  ];
}

// Detected encoding and delimiter, shown so that a wrong guess is seen.
function assumed({ assumed: { encoding, delimiter, ignored_rows: rows, ignored_columns: columns } }) {
  return h("p", { class: "hint" }, t("import.assumed", { encoding: t(`encoding.${encoding}`), delimiter: t(`delimiter.${NAMES[delimiter]}`) }),
    rows > 0 && ` ${t("import.ignoredRows", { n: rows })}`, columns > 0 && ` ${t("import.ignoredColumns", { n: columns })}`);
}

function faults(shown) {
  const n = shown.errors.length;
  const rows = shown.errors.map((error, at) => [
    h("span", { class: "number" }, String(error.line)), error.column ?? "", wrong(error), h("code", {}, shown.texts[at].slice(0, TEXT_MAX))]);
  return [
    h("div", { class: "notice bad", role: "alert" },
      h("p", {}, h("strong", {}, t(shown.ended_early ? "import.badMore" : "import.bad", { n }))),
      h("p", {}, t("import.again"))),
    table([t("import.line"), t("import.column"), t("import.message"), t("import.text")], rows, t("import.message")),
  ];
}

function wrong({ reason, message, column, first_line: first }) {
  return hasText(`wrong.${reason}`) ? t(`wrong.${reason}`, { column, first }) : message;
}

function grades({ grades: list, grades_total: total }) {
  const rows = list.map((one) => [one.grade, String(one.seats), moneyRange(one.price_min, one.price_max)]);
  return h("section", {}, h("h3", {}, t("import.grades")),
    table([t("import.grade"), t("import.seats"), t("import.price")], rows, t("import.grades")), firstOf(list, total));
}

function sections({ sections: list, sections_total: total }) {
  const rows = list.map((one) => [one.section, String(one.rows), String(one.seats)]);
  return h("section", {}, h("h3", {}, t("import.sections")),
    table([t("import.section"), t("import.rows"), t("import.seats")], rows, t("import.sections")), firstOf(list, total));
}

function firstOf(list, total) {
  return list.length < total && h("p", { class: "hint" }, t("import.firstOf", { n: list.length, total }));
}

async function add(path, shown, result, schedule, refresh) {
  const button = result.querySelector(".actions .button");
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  setChildren(button, t("busy"));
  try {
    await postAction(path, { raw: shown.raw, type: "text/csv", timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!(await wasAdded(error, schedule, shown))) {
      setChildren(result, problem(error), preview(shown, () => add(path, shown, result, schedule, refresh)));
      return;
    }
  }
  announcer.notify(t("import.added", { n: shown.seats_read }), "good");
  refresh();
}

// A map is added whole or not at all, so after a lost answer the number of seats shows the outcome.
async function wasAdded(error, schedule, shown) {
  if (!(error instanceof Problem) || error.code !== "console_unsure") return false;
  const now = await fetchSchedule(schedule.schedule_id).catch(ignoreProblem);
  return now?.seats_total === shown.seats_total;
}
