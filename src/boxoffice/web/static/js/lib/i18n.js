// Texts, numbers, money and dates in the user's language.

import { DECIMALS } from "./currencies.js";
import { localStore } from "./storage.js";

export const LANGUAGES = { ko: "한국어", en: "English" };

const texts = { ko: {}, en: {} };
let language = localStore.get("language") ?? preferred();
if (!(language in LANGUAGES)) language = preferred();

function preferred() {
  return (navigator.languages ?? []).map(primary).find((code) => code in LANGUAGES) ?? "en";
}

// The subtag that names the language (RFC 5646): `kok-IN` is Konkani and has nothing to do with `ko`.
function primary(tag) {
  return tag.split("-")[0].toLowerCase();
}

/** Adds the texts of one part of the pages: `{ko: {key: text}, en: {key: text}}`. */
export function addTexts(more) {
  for (const code of Object.keys(LANGUAGES)) Object.assign(texts[code], more[code]);
}

/** The texts of each language, for the test that compares them. */
export function allTexts() {
  return texts;
}

/** Returns the language that is shown: `ko` or `en`. */
export function currentLanguage() {
  return language;
}

/** Sets the language, also for the next visit. */
export function chooseLanguage(code) {
  showIn(code);
  localStore.set("language", code);
}

/** Sets the language of this page alone; what is no language of ours changes nothing. */
export function showIn(code) {
  if (!(code in LANGUAGES)) return;
  language = code;
  document.documentElement.lang = code;
}

/**
 * Returns the text `key` with `{name}` replaced by the values. A text may be a list of two, for one and
 * for many; `n` chooses.
 */
export function t(key, values = {}) {
  let text = texts[language][key];
  if (text === undefined) {
    console.error(`no text for ${key}`);
    return key;
  }
  if (Array.isArray(text)) text = text[values.n === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : value ?? whole;
  });
}

/** Says whether there is a text `key`. */
export function hasText(key) {
  return key in texts[language];
}

const formats = new Map();

function format(kind, options) {
  const key = `${language}${kind.name}${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new kind(language, options));
  return formats.get(key);
}

/** Returns a localized number. */
export function number(value) {
  return format(Intl.NumberFormat, {}).format(value);
}

/** Returns the number of decimals of a currency (ISO 4217; browsers use fewer for some). */
export function decimals(currency) {
  return DECIMALS[currency] ?? 2;
}

/** Returns a localized amount; `amount` is in minor units. */
export function money(amount, currency) {
  const digits = decimals(currency);
  const shape = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return format(Intl.NumberFormat, shape).format(amount / 10 ** digits);
}

/** Returns a price range, or one price where both ends agree. */
export function moneyRange(low, high) {
  if (!low) return "";
  if (!high || low.amount === high.amount) return money(low.amount, low.currency);
  return `${money(low.amount, low.currency)} – ${money(high.amount, high.currency)}`;
}

/** Returns a moment in the user's language; `options` as those of `Intl.DateTimeFormat`. */
export function moment(at, options) {
  return format(Intl.DateTimeFormat, options).format(new Date(at));
}

/** Returns a text of a record in the user's language, where the record has one, else the record's own. */
export function inLanguage(record, member) {
  return record[`${member}_${language}`] ?? record[member];
}

/** Returns a moment with weekday, date and time, of the user's own day: no performance. */
export function dateTime(moment) {
  return format(Intl.DateTimeFormat, {
    year: "numeric", month: "long", day: "numeric", weekday: "short", hour: "numeric", minute: "2-digit",
  }).format(new Date(moment));
}

/** Returns a date. */
export function date(moment) {
  return format(Intl.DateTimeFormat, { year: "numeric", month: "long", day: "numeric", weekday: "short" })
    .format(new Date(moment));
}

/** Returns a time with seconds. */
export function timeOfDay(moment) {
  return format(Intl.DateTimeFormat, { hour: "numeric", minute: "2-digit", second: "2-digit" })
    .format(new Date(moment));
}

/** Returns a list in words: "A, B and C". */
export function list(words) {
  return format(Intl.ListFormat, { type: "conjunction" }).format(words);
}

/** Returns seconds as a clock shows them: 4:05, 1:00:05, or with days in words. */
export function countdown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60;
  const two = (value) => String(value).padStart(2, "0");
  const clock = days || hours
    ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return days ? t("time.days", { n: days, clock }) : clock;
}

/** Returns about how long something takes, in words. */
export function roughly(seconds) {
  if (seconds < 90) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("time.minutes", { n: Math.round(seconds / 60) });
  return t("time.hours", { n: Math.round(seconds / 3600) });
}

document.documentElement.lang = language;
