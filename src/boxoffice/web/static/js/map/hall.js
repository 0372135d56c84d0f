// Where seats stand on the drawing. A seat map names sections, rows and numbers but no places, so the hall
// is laid out from them: a block per section, the stage above, rows bent a little around it. One unit is
// the distance of two seats.

const SECTION_GAP = 2;
const TIER_GAP = 3.8;
const STAGE = 5;
const LINE_MAX = 100;
// Numbers that jump further than this leave no gap as wide as the jump.
const SPARSE = 3;
const BEND = 0.07;
const MARGIN = 2;

export class Hall {
  /** `aspect` is width by height of the drawing that is to be filled. */
  constructor(seats, aspect) {
    this.seats = seats;
    this.blocks = seats.sections.map((section) => new Block(seats, section));
    this.blockOf = new Uint16Array(seats.count);
    this.column = new Uint16Array(seats.count);
    this.line = new Uint16Array(seats.count);
    this.blocks.forEach((block, at) => block.place(this, at));
    arrange(this.blocks, bestWidth(this.blocks, aspect));
    this.width = Math.max(...this.blocks.map((block) => block.x + block.width)) + 2 * MARGIN;
    this.center = this.width / 2;
    this.#center();
    this.height = Math.max(...this.blocks.map((block) => block.y + block.height)) + MARGIN;
    this.#fix();
    this.stage = { x: this.center * 0.55, y: this.bendMax * 0.35, width: this.width * 0.45, height: STAGE - 2 + this.bendMax * 0.3 };
  }

  #center() {
    const tiers = new Map();
    for (const block of this.blocks) {
      const tier = tiers.get(block.tier) ?? [];
      tier.push(block);
      tiers.set(block.tier, tier);
    }
    for (const tier of tiers.values()) {
      const end = Math.max(...tier.map((block) => block.x + block.width));
      for (const block of tier) block.x += this.center - end / 2;
    }
  }

  /** By how much a point at `x` is drawn higher than its row's middle. */
  bend(x) {
    const share = (x - this.center) / this.center;
    return BEND * this.width * share * share;
  }

  /** The largest bend of all. */
  get bendMax() {
    return BEND * this.width;
  }

  #xs;
  #ys;

  #fix() {
    const { count } = this.seats;
    this.#xs = new Float32Array(count);
    this.#ys = new Float32Array(count);
    for (let at = 0; at < count; at += 1) {
      const block = this.blocks[this.blockOf[at]];
      const x = block.x + this.column[at] + 0.5;
      this.#xs[at] = x;
      this.#ys[at] = block.y + this.line[at] + 0.5 + this.bendMax - this.bend(x);
    }
  }

  /** The middle of a seat. */
  x(at) {
    return this.#xs[at];
  }

  y(at) {
    return this.#ys[at];
  }

  /** Returns the seat at a point of the hall, -1 for none. */
  pick(x, y) {
    const flat = y - this.bendMax + this.bend(x);
    for (const block of this.blocks) {
      const column = Math.floor(x - block.x);
      const line = Math.floor(flat - block.y);
      if (column >= 0 && line >= 0 && column < block.width && line < block.height) return block.at(column, line);
    }
    return -1;
  }

  /** Calls `each(position)` for the seats of a rectangle, and some around it. */
  within(left, top, right, bottom, each) {
    for (const block of this.blocks) {
      const fromColumn = Math.max(0, Math.floor(left - block.x));
      const toColumn = Math.min(block.width, Math.ceil(right - block.x));
      const fromLine = Math.max(0, Math.floor(top - this.bendMax - block.y));
      const toLine = Math.min(block.height, Math.ceil(bottom - block.y) + 1);
      for (let line = fromLine; line < toLine; line += 1) {
        for (let column = fromColumn; column < toColumn; column += 1) {
          const at = block.at(column, line);
          if (at >= 0) each(at);
        }
      }
    }
  }

  /** The size of the whole drawing in units. */
  get extent() {
    return { width: this.width, height: this.height + this.bendMax };
  }
}

class Block {
  constructor(seats, section) {
    this.section = section;
    this.x = 0;
    this.y = 0;
    this.tier = 0;
    this.labels = [];
    const rows = section.rows.map((row) => columnsOf(seats, row));
    this.width = Math.min(LINE_MAX, Math.max(...rows.map((row) => row.columns.at(-1) + 1)));
    this.#rows = rows;
    this.height = rows.reduce((sum, row) => sum + lines(row, this.width), 0);
    this.#cells = new Int32Array(this.width * this.height).fill(-1);
  }

  #rows;
  #cells;

  place(hall, own) {
    let first = 0;
    for (const { row, columns } of this.#rows) {
      this.labels.push({ name: row.name, line: first });
      // A row that is narrower than its section stands in the middle of it.
      const indent = columns.at(-1) < this.width ? Math.floor((this.width - columns.at(-1) - 1) / 2) : 0;
      columns.forEach((column, place) => {
        const at = row.seats[place];
        const line = first + Math.floor((column + indent) / this.width);
        hall.blockOf[at] = own;
        hall.column[at] = (column + indent) % this.width;
        hall.line[at] = line;
        this.#cells[line * this.width + hall.column[at]] = at;
      });
      first += lines({ columns }, this.width);
    }
  }

  at(column, line) {
    return this.#cells[line * this.width + column];
  }
}

function columnsOf(seats, row) {
  const first = seats.numbers[row.seats[0]];
  const span = seats.numbers[row.seats.at(-1)] - first + 1;
  const isSparse = span > SPARSE * row.seats.length;
  return { row, columns: row.seats.map((at, place) => (isSparse ? place : seats.numbers[at] - first)) };
}

function lines({ columns }, width) {
  return Math.ceil((columns.at(-1) + 1) / width);
}

function arrange(blocks, width) {
  let x = 0;
  let y = STAGE;
  let tier = 0;
  let height = 0;
  for (const block of blocks) {
    if (x > 0 && x + block.width > width) {
      x = 0;
      y += height + TIER_GAP;
      height = 0;
      tier += 1;
    }
    block.x = x;
    block.y = y;
    block.tier = tier;
    x += block.width + SECTION_GAP;
    height = Math.max(height, block.height);
  }
}

// The number of sections side by side that comes nearest to the wanted shape.
function bestWidth(blocks, aspect) {
  let best = blocks[0].width;
  let least = Infinity;
  let width = 0;
  for (const block of blocks.slice(0, 40)) {
    width += block.width + (width ? SECTION_GAP : 0);
    arrange(blocks, width);
    const right = Math.max(...blocks.map((one) => one.x + one.width));
    const bottom = Math.max(...blocks.map((one) => one.y + one.height));
    const off = Math.abs(Math.log(right / (bottom * (1 + BEND)) / aspect));
    if (off < least) {
      least = off;
      best = width;
    }
  }
  return best;
}
