// A picture for concerts, which have none: drawn from the id, so that each is always the same.

import { svg } from "../lib/dom.js";

/** Returns an ornament of bands around a stage; it says nothing and is hidden from screen readers. */
export function poster(id, title) {
  const random = generator(`${id}${title}`);
  const hue = Math.floor(random() * 5);
  const rings = Array.from({ length: 7 }, (_, at) => {
    const radius = 16 + at * 14 + random() * 4;
    const start = random() * Math.PI * 0.4;
    const end = Math.PI * (1 - random() * 0.4);
    return svg("path", { class: `ring ring-${at % 3}`, d: arc(60, 96, radius, start, end) });
  });
  return svg("svg", { viewBox: "0 0 120 96", class: `poster poster-${hue}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 120, height: 96 }), rings,
    svg("circle", { class: "spot", cx: 60, cy: 96, r: 7 }));
}

function arc(x, y, radius, from, to) {
  const point = (angle) => `${(x - radius * Math.cos(angle)).toFixed(1)} ${(y - radius * Math.sin(angle)).toFixed(1)}`;
  return `M${point(from)}A${radius.toFixed(1)} ${radius.toFixed(1)} 0 ${to - from > Math.PI ? 1 : 0} 1 ${point(to)}`;
}

function generator(text) {
  let state = 2166136261;
  for (const char of text) state = Math.imul(state ^ char.codePointAt(0), 16777619);
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    state ^= state >>> 12;
    return (state >>> 0) / 2 ** 32;
  };
}
