// Draws seats. Shape and colour both carry the state: free is a filled square, held an empty one, sold a small
// cross, blocked a dash; a selected seat has a tick.

import { AVAILABLE, BLOCKED, HELD, SOLD } from "./seats.js";

const GRADES = 6;
const SIZE = 0.76;
// Pixels per seat from which shapes, row names and numbers fit.
const SHAPES_PX = 6;
const ROWS_PX = 11;
const NUMBERS_PX = 22;
// Pixels per seat from which names fit between the sections.
const NAMES_PX = 4;
const PLATE_PX = 14;

/** Reads the colours of the page's scheme. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  return {
    grades: Array.from({ length: GRADES }, (_, at) => color(`--grade-${at}`)),
    taken: color("--seat-taken"),
    blocked: color("--seat-blocked"),
    mine: color("--seat-mine"),
    onMine: color("--on-seat-mine"),
    own: color("--seat-own"),
    onOwn: color("--on-seat-own"),
    onGrade: color("--on-grade"),
    ink: color("--ink-muted"),
    strong: color("--ink"),
    stage: color("--stage"),
    onStage: color("--on-stage"),
    floor: color("--floor"),
    warn: color("--warn"),
    accent: color("--accent"),
    font: style.getPropertyValue("--font"),
  };
}

export class Painter {
  constructor(hall, colors) {
    this.hall = hall;
    this.colors = colors;
    /** The filtered grade, -1 for all. */
    this.only = -1;
  }

  /** Draws a part of the hall: `left`, `top` in units are at the canvas' corner, `scale` pixels per unit. */
  paint(context, { left, top, scale, width, height, words }) {
    const { hall, colors } = this;
    context.fillStyle = colors.floor;
    context.fillRect(0, 0, width, height);
    const styles = this.#sorted(left, top, left + width / scale, top + height / scale);
    const to = { left, top, scale };
    for (const [style, positions] of styles) this.#draw(context, style, positions, to);
    if (scale >= ROWS_PX) this.#rowNames(context, to, width, height);
    this.#sectionNames(context, to, words);
    this.#stage(context, to, words);
    return hall;
  }

  /** Draws one seat anew, over what was there. */
  repaint(context, at, to) {
    const size = to.scale;
    context.fillStyle = this.colors.floor;
    context.fillRect((this.hall.x(at) - 0.5 - to.left) * size, (this.hall.y(at) - 0.5 - to.top) * size, size, size);
    this.#draw(context, this.#styleOf(at), [at], to);
  }

  /** Draws selection, own seats and cursor over the seats. */
  overlay(context, { chosen, orphans, own = [], cursor }, to) {
    for (const [at, kind] of own) this.#own(context, at, kind, to);
    for (const at of chosen) this.#chosen(context, at, to);
    for (const at of orphans) this.#ring(context, at, to, this.colors.warn, [3, 3]);
    if (cursor >= 0) this.#ring(context, cursor, to, this.colors.strong, []);
  }

  #sorted(left, top, right, bottom) {
    const styles = new Map();
    this.hall.within(left, top, right, bottom, (at) => {
      const style = this.#styleOf(at);
      const found = styles.get(style);
      if (found) found.push(at);
      else styles.set(style, [at]);
    });
    return styles;
  }

  // A small number: colour of the grade for free seats, and one for each other state.
  #styleOf(at) {
    const { seats } = this.hall;
    const status = seats.status[at];
    if (status !== AVAILABLE) return 100 + status;
    if (this.only >= 0 && seats.grade[at] !== this.only) return 100;
    return seats.grades[seats.grade[at]].color % GRADES;
  }

  #draw(context, style, positions, to) {
    const { scale } = to;
    if (scale < SHAPES_PX) this.#dots(context, style, positions, to);
    else if (style === 100 + SOLD) this.#crosses(context, positions, to);
    else if (style === 100 + HELD || style === 100) this.#frames(context, positions, to);
    else if (style === 100 + BLOCKED) this.#dashes(context, positions, to);
    else this.#squares(context, style, positions, to);
  }

  #dots(context, style, positions, { left, top, scale }) {
    const isFree = style < 100;
    const size = scale * (isFree ? SIZE + 0.1 : style === 100 ? 0.5 : 0.36);
    context.fillStyle = isFree ? this.colors.grades[style] : style === 100 + BLOCKED ? this.colors.blocked : this.colors.taken;
    const { hall } = this;
    for (const at of positions) {
      context.fillRect((hall.x(at) - left) * scale - size / 2, (hall.y(at) - top) * scale - size / 2, size, size);
    }
  }

  #squares(context, style, positions, to) {
    const { scale } = to;
    const size = scale * SIZE;
    context.fillStyle = this.colors.grades[style];
    context.beginPath();
    for (const at of positions) {
      const { x, y } = this.#corner(at, to, size);
      if (scale < 10) context.rect(x, y, size, size);
      else context.roundRect(x, y, size, size, size * 0.24);
    }
    context.fill();
    if (scale >= NUMBERS_PX) this.#numbers(context, positions, to, this.colors.onGrade);
  }

  #frames(context, positions, to) {
    const size = to.scale * (SIZE - 0.12);
    context.strokeStyle = this.colors.taken;
    context.lineWidth = Math.max(1, to.scale * 0.09);
    context.beginPath();
    for (const at of positions) {
      const { x, y } = this.#corner(at, to, size);
      context.rect(x, y, size, size);
    }
    context.stroke();
  }

  #crosses(context, positions, to) {
    const size = to.scale * 0.34;
    context.strokeStyle = this.colors.taken;
    context.lineWidth = Math.max(1, to.scale * 0.1);
    context.beginPath();
    for (const at of positions) {
      const { x, y } = this.#corner(at, to, size);
      context.moveTo(x, y);
      context.lineTo(x + size, y + size);
      context.moveTo(x + size, y);
      context.lineTo(x, y + size);
    }
    context.stroke();
  }

  #dashes(context, positions, to) {
    const size = to.scale * 0.5;
    context.fillStyle = this.colors.blocked;
    for (const at of positions) {
      const { x, y } = this.#corner(at, to, size);
      context.fillRect(x, y + size * 0.4, size, size * 0.2);
    }
  }

  #numbers(context, positions, to, color) {
    context.fillStyle = color;
    context.font = `600 ${Math.round(to.scale * 0.34)}px ${this.colors.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const at of positions) {
      const { x, y } = this.#corner(at, to, 0);
      context.fillText(String(this.hall.seats.numbers[at]), x, y + 0.5);
    }
  }

  #chosen(context, at, to) {
    const size = Math.max(to.scale * 0.86, 7);
    const { x, y } = this.#corner(at, to, size);
    context.fillStyle = this.colors.mine;
    context.beginPath();
    context.roundRect(x, y, size, size, size * 0.26);
    context.fill();
    context.strokeStyle = this.colors.onMine;
    context.lineWidth = Math.max(1.5, size * 0.11);
    context.beginPath();
    context.moveTo(x + size * 0.26, y + size * 0.52);
    context.lineTo(x + size * 0.44, y + size * 0.7);
    context.lineTo(x + size * 0.75, y + size * 0.32);
    context.stroke();
  }

  // Held: a square with a clock's input. Bought: a lozenge. So they differ by shape too, from each other
  // and from all that others have.
  #own(context, at, kind, to) {
    const size = Math.max(to.scale * 0.86, 8);
    const { x, y } = this.#corner(at, to, size);
    context.fillStyle = this.colors.own;
    context.beginPath();
    if (kind === "HELD") context.roundRect(x, y, size, size, size * 0.26);
    else lozenge(context, x + size / 2, y + size / 2, size * 0.56);
    context.fill();
    context.strokeStyle = this.colors.onOwn;
    context.lineWidth = Math.max(1.5, size * 0.1);
    context.beginPath();
    if (kind === "HELD") {
      context.moveTo(x + size * 0.5, y + size * 0.2);
      context.lineTo(x + size * 0.5, y + size * 0.54);
      context.lineTo(x + size * 0.74, y + size * 0.68);
    } else lozenge(context, x + size / 2, y + size / 2, size * 0.2);
    context.stroke();
  }

  #ring(context, at, to, color, dash) {
    const size = Math.max(to.scale * 1.02, 9);
    const { x, y } = this.#corner(at, to, size);
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.strokeRect(x, y, size, size);
    context.setLineDash([]);
  }

  #corner(at, { left, top, scale }, size) {
    return { x: (this.hall.x(at) - left) * scale - size / 2, y: (this.hall.y(at) - top) * scale - size / 2 };
  }

  #rowNames(context, { left, top, scale }, width, height) {
    context.fillStyle = this.colors.ink;
    context.font = `${Math.round(Math.min(scale * 0.5, 14))}px ${this.colors.font}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const block of this.hall.blocks) {
      for (const { name, line } of block.labels) {
        const x = block.x - 0.35;
        const y = block.y + line + 0.5 + this.hall.bendMax - this.hall.bend(x);
        const [px, py] = [(x - left) * scale, (y - top) * scale];
        if (px > -scale && px < width + scale && py > -scale && py < height + scale) {
          context.fillText(name, px, py, scale * 1.6);
        }
      }
    }
  }

  #sectionNames(context, to, words) {
    const { scale } = to;
    const isNear = scale >= NAMES_PX;
    context.font = `650 ${isNear ? Math.round(Math.min(Math.max(scale * 0.9, 11), 18)) : 10}px ${this.colors.font}`;
    context.textAlign = "center";
    context.textBaseline = isNear ? "alphabetic" : "middle";
    for (const block of this.hall.blocks) {
      if (isNear) this.#nameAbove(context, block, to, words);
      else this.#nameInside(context, block, to);
    }
  }

  #nameAbove(context, block, to, words) {
    const { x, y } = this.#inBlock(block, -0.7, to);
    context.fillStyle = this.colors.strong;
    context.fillText(words.section(block.section.name), x, y, block.width * to.scale);
  }

  // Zoomed out there is no space between the sections: the bare name, on a plate, where it fits.
  #nameInside(context, block, to) {
    const { name } = block.section;
    const width = context.measureText(name).width + 6;
    if (width > block.width * to.scale || block.height * to.scale < PLATE_PX) return;
    const { x, y } = this.#inBlock(block, block.height / 2, to);
    context.fillStyle = this.colors.floor;
    context.beginPath();
    context.roundRect(x - width / 2, y - PLATE_PX / 2, width, PLATE_PX, 4);
    context.fill();
    context.fillStyle = this.colors.strong;
    context.fillText(name, x, y + 0.5);
  }

  #inBlock(block, down, { left, top, scale }) {
    const x = block.x + block.width / 2;
    const y = block.y + down + this.hall.bendMax - this.hall.bend(x);
    return { x: (x - left) * scale, y: (y - top) * scale };
  }

  #stage(context, { left, top, scale }, words) {
    const { x, y, width, height } = this.hall.stage;
    const [px, py, w, h] = [(x - left) * scale, (y - top) * scale, width * scale, height * scale];
    context.fillStyle = this.colors.stage;
    context.beginPath();
    context.roundRect(px, py, w, h, [0, 0, h * 0.6, h * 0.6]);
    context.fill();
    const size = Math.min(h * 0.45, 22);
    if (size < 6) return;
    context.fillStyle = this.colors.onStage;
    context.font = `650 ${Math.round(size)}px ${this.colors.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(words.stage, px + w / 2, py + h / 2);
  }
}

function lozenge(context, x, y, half) {
  context.moveTo(x, y - half);
  context.lineTo(x + half, y);
  context.lineTo(x, y + half);
  context.lineTo(x - half, y);
  context.closePath();
}
