// A concert's poster: the uploaded picture, or a drawing from the id, so that each is always the same.

import { h, svg } from "../lib/dom.js";
import { inLanguage } from "../lib/i18n.js";

/**
 * Returns the poster of a concert in a frame of 3:4. `sizes` is its width as HTML has it; an `isFirst` one is
 * loaded at once, others when they come near the window. `isDecoration` hides it from screen readers.
 */
export function poster(concert, { sizes, isFirst = false, isDecoration = false }) {
  const { poster: picture } = concert;
  if (!picture) return drawing(concert);
  const image = h("img", {
    alt: isDecoration ? "" : inLanguage(picture, "alt") || inLanguage(concert, "title"),
    width: picture.width, height: picture.height, sizes, srcset: picture.srcset, src: picture.url,
    loading: isFirst ? "eager" : "lazy", fetchpriority: isFirst ? "high" : null, decoding: "async",
  });
  return tinted(h("div", { class: "poster" }, image), picture);
}

/** Gives an element the mean colour of a poster as `--poster`, and returns it. */
export function tinted(element, picture) {
  if (/^#[0-9a-f]{6}$/.test(picture?.colour)) element.style.setProperty("--poster", picture.colour);
  return element;
}

// Bands around a stage, with the title; it says nothing that the page does not.
function drawing(concert) {
  const random = generator(`${concert.concert_id}${concert.title}`);
  const hue = Math.floor(random() * 5);
  const rings = Array.from({ length: 8 }, (_, at) => {
    const radius = 14 + at * 12 + random() * 4;
    return svg("path", { class: `ring ring-${at % 3}`, d: arc(45, 112, radius, random() * 1.2, Math.PI - random() * 1.2) });
  });
  return h("div", { class: `poster drawn poster-${hue}`, "aria-hidden": "true" },
    svg("svg", { viewBox: "0 0 90 120", preserveAspectRatio: "xMidYMid slice", focusable: "false" },
      svg("rect", { width: 90, height: 120 }), rings, svg("circle", { class: "spot", cx: 45, cy: 112, r: 6 })),
    h("span", { class: "drawn-title" }, inLanguage(concert, "title")));
}

function arc(x, y, radius, from, to) {
  const point = (angle) => `${(x - radius * Math.cos(angle)).toFixed(1)} ${(y - radius * Math.sin(angle)).toFixed(1)}`;
  return `M${point(from)}A${radius.toFixed(1)} ${radius.toFixed(1)} 0 0 1 ${point(to)}`;
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
