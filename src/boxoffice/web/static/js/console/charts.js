// Small SVG charts: one line or bars over time, redrawn with each poll.

import { h, setChildren, svg } from "../lib/dom.js";
import { t, timeOfDay } from "../lib/i18n.js";

const WIDTH = 320;
const HEIGHT = 72;

/** One series: `show(values, times)` draws it, null where a value is not known. */
export class Chart {
  #title;
  #format;
  #isBars;
  #when;
  #sum;
  #values = [];
  #times = [];
  #now = h("strong", { class: "chart-now number" });
  #note = h("span", { class: "chart-note muted small number" });
  #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart-picture" });

  /** `when` names a time; with `sum` the head shows the sum of all values instead of the last one. */
  constructor({ title, format, bars = false, note = "", when = timeOfDay, sum = false }) {
    this.#title = title;
    this.#format = format;
    this.#isBars = bars;
    this.#when = when;
    this.#sum = sum;
    this.#picture.addEventListener("pointermove", (event) => this.#point(event));
    this.#picture.addEventListener("pointerleave", () => this.#rest());
    this.view = h("figure", { class: "chart card" },
      h("figcaption", {}, h("span", {}, title, note && h("span", { class: "muted small" }, ` ${note}`)), this.#now),
      this.#picture, this.#note);
  }

  show(values, times) {
    this.#values = values;
    this.#times = times;
    const max = Math.max(1e-9, ...values.filter((value) => value !== null));
    setChildren(this.#picture, this.#isBars ? bars(values, max) : line(values, max));
    this.#rest();
    const summary = { title: this.#title, now: this.#now.textContent, max: this.#max() };
    this.#picture.setAttribute("aria-label", t("live.summary", summary));
  }

  #max() {
    const known = this.#values.filter((value) => value !== null);
    return known.length ? this.#format(Math.max(...known)) : t("live.nothing");
  }

  #rest() {
    const now = this.#sum ? this.#values.reduce((sum, value) => sum + value, 0) : this.#values.at(-1) ?? null;
    this.#now.textContent = now === null ? "–" : this.#format(now);
    this.#note.textContent = t("live.max", { max: this.#max() });
  }

  #point(event) {
    const box = this.#picture.getBoundingClientRect();
    const at = Math.min(this.#values.length - 1, Math.floor((event.clientX - box.left) / box.width * this.#values.length));
    if (at < 0) return;
    const value = this.#values[at];
    this.#note.textContent = `${this.#when(this.#times[at])}: ${value === null ? t("live.nothing") : this.#format(value)}`;
  }
}

function place(values, max) {
  const step = WIDTH / values.length;
  return (value, at) => [(at + 0.5) * step, HEIGHT - 1 - (value / max) * (HEIGHT - 6)];
}

function line(values, max) {
  const to = place(values, max);
  const runs = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (at === 0 || values[at - 1] === null) runs.push([]);
    runs.at(-1).push(to(value, at).map((one) => one.toFixed(1)).join(","));
  });
  // One value alone is a dot: a line of no length with round ends.
  for (const points of runs) if (points.length === 1) points.push(points[0]);
  return runs.map((points) => [
    svg("polygon", { class: "chart-area", points: [`${points[0].split(",")[0]},${HEIGHT}`, ...points, `${points.at(-1).split(",")[0]},${HEIGHT}`].join(" ") }),
    svg("polyline", { class: "chart-line", points: points.join(" ") }),
  ]);
}

function bars(values, max) {
  const to = place(values, max);
  const wide = Math.max(1, WIDTH / values.length - 0.8);
  return values.map((value, at) => {
    if (!value) return null;
    const [x, y] = to(value, at);
    return svg("rect", { class: "chart-bar", x: (x - wide / 2).toFixed(1), y: y.toFixed(1), width: wide.toFixed(1), height: (HEIGHT - y).toFixed(1) });
  });
}

/** Parts of a whole beside each other; `parts` are pairs of a name for the style and a count. */
export function share(parts, label) {
  const total = Math.max(1, parts.reduce((sum, [, count]) => sum + count, 0));
  let x = 0;
  return svg("svg", { class: "share", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": label },
    parts.map(([name, count]) => {
      const width = (count / total) * 1000;
      const part = svg("rect", { class: `share-${name}`, x, y: 0, width, height: 10 });
      x += width;
      return part;
    }));
}
