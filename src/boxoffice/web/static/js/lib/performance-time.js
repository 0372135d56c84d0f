// Moments of a performance: in the venue's time zone with its name, and in the reader's own where it differs.

import { moment as format } from "./i18n.js";

const SHAPES = {
  moment: { year: "numeric", month: "long", day: "numeric", weekday: "short", hour: "numeric", minute: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric", weekday: "short" },
  time: { hour: "numeric", minute: "2-digit" },
};

// Browsers know the short name of a zone in the English of its region only, and of some zones nowhere.
const LOCALES = ["en-US", "en-GB", "en-AU", "en-IN"];
const NAMES = { "Asia/Seoul": "KST", "Asia/Tokyo": "JST", "Asia/Hong_Kong": "HKT", "Asia/Jakarta": "WIB" };
const OFFSET = /^(GMT|UTC)[+-]/;

/** Returns the short name of a time zone at a moment, as KST or EDT. */
export function zoneName(at, zone) {
  const names = LOCALES.map((locale) => new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: "short" })
    .formatToParts(new Date(at)).find(({ type }) => type === "timeZoneName").value);
  return names.find((name) => !OFFSET.test(name)) ?? NAMES[zone] ?? names[0];
}

/** Returns the time zone of the reader. */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * Returns a moment of a performance as `{ venue, own }`: in the time zone of the venue with its name, and in
 * the reader's own, empty where clocks show the same. `part` is `moment`, `date` or `time`.
 */
export function performanceTime(at, zone, part = "moment") {
  const here = ownZone();
  const [venue, own] = [zone, here].map((timeZone) => format(at, { ...SHAPES[part], timeZone }));
  const isSame = format(at, { ...SHAPES.moment, timeZone: zone }) === format(at, { ...SHAPES.moment, timeZone: here });
  // A date alone says the same where the day is the same.
  if (part === "date") return { venue, own: own === venue ? "" : own };
  // A zone alone on the next line would belong to no time.
  const named = (text, timeZone) => `${text}\u00a0${zoneName(at, timeZone)}`;
  return { venue: named(venue, zone), own: isSame ? "" : named(own, here) };
}

/** Returns a moment of a performance as one text, the reader's own time in brackets where it differs. */
export function performanceText(at, zone, part = "moment") {
  const { venue, own } = performanceTime(at, zone, part);
  return own ? `${venue} (${own})` : venue;
}
