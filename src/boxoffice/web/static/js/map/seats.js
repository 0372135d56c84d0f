// The seats of a schedule, packed: 60,000 of them must be there at once. Positions in the arrays are the
// API's order, in which the best seats come first.

/** What a seat's state is, as the arrays have it. */
export const STATES = ["AVAILABLE", "HELD", "SOLD", "BLOCKED"];
export const [AVAILABLE, HELD, SOLD, BLOCKED] = [0, 1, 2, 3];

const CODES = new Map(STATES.map((name, code) => [name, code]));

export class Seats {
  /** `map` is the answer of `GET /v1/schedules/{schedule_id}/seats`. */
  constructor(map) {
    const { seats } = map;
    this.count = seats.length;
    this.currency = map.currency;
    this.version = map.version;
    this.layoutVersion = map.layout_version;
    this.ids = new Array(this.count);
    this.numbers = new Int32Array(this.count);
    this.prices = new Float64Array(this.count);
    this.grade = new Uint8Array(this.count);
    this.section = new Uint16Array(this.count);
    this.row = new Uint32Array(this.count);
    this.status = new Uint8Array(this.count);
    this.sections = [];
    this.rows = [];
    this.grades = [];
    this.#read(seats);
    this.#orderGrades();
    this.#index = null;
  }

  #index;
  #free = null;

  #read(seats) {
    const sections = new Map();
    const grades = new Map();
    let last = null;
    for (let at = 0; at < seats.length; at += 1) {
      const seat = seats[at];
      this.ids[at] = seat.seat_id;
      this.numbers[at] = seat.number;
      this.prices[at] = seat.price.amount;
      this.status[at] = CODES.get(seat.status) ?? BLOCKED;
      if (last === null || last.name !== seat.section) last = this.#sectionOf(sections, seat.section);
      this.section[at] = last.at;
      const row = this.#rowOf(last, seat.row);
      this.row[at] = row.at;
      row.seats.push(at);
      this.grade[at] = this.#gradeOf(grades, seat.grade, seat.price.amount);
    }
    for (const row of this.rows) row.seats.sort((a, b) => this.numbers[a] - this.numbers[b]);
  }

  #sectionOf(known, name) {
    let section = known.get(name);
    if (!section) {
      section = { at: this.sections.length, name, rows: [], byName: new Map() };
      known.set(name, section);
      this.sections.push(section);
    }
    return section;
  }

  #rowOf(section, name) {
    let row = section.byName.get(name);
    if (!row) {
      row = { at: this.rows.length, name, section, seats: [] };
      section.byName.set(name, row);
      section.rows.push(row);
      this.rows.push(row);
    }
    return row;
  }

  #gradeOf(known, name, price) {
    let grade = known.get(name);
    if (!grade) {
      grade = { at: this.grades.length, name, low: price, high: price, color: 0 };
      known.set(name, grade);
      this.grades.push(grade);
    }
    grade.low = Math.min(grade.low, price);
    grade.high = Math.max(grade.high, price);
    return grade.at;
  }

  // The dearest grade has the first colour.
  #orderGrades() {
    this.gradesByPrice = [...this.grades].sort((a, b) => b.high - a.high || (a.name < b.name ? -1 : 1));
    this.gradesByPrice.forEach((grade, place) => { grade.color = place; });
  }

  /** Returns the position of the seat with this id, undefined for none. */
  find(id) {
    this.#index ??= new Map(this.ids.map((one, at) => [one, at]));
    return this.#index.get(id);
  }

  isFree(at) {
    return this.status[at] === AVAILABLE;
  }

  /** Takes over what changed: pairs of position and state. Returns the positions that really changed. */
  apply(changes) {
    const changed = [];
    for (const [at, status] of changes) {
      if (at < this.count && this.status[at] !== status) {
        this.status[at] = status;
        changed.push(at);
      }
    }
    if (changed.length) this.#free = null;
    return changed;
  }

  /** Takes over the state of every seat (one number each); returns the positions that changed. */
  replace(status) {
    const changed = [];
    for (let at = 0; at < this.count; at += 1) {
      if (this.status[at] !== status[at]) {
        this.status[at] = status[at];
        changed.push(at);
      }
    }
    if (changed.length) this.#free = null;
    return changed;
  }

  /** Returns how many seats are free, of one grade or of all. */
  free(grade = -1) {
    this.#free ??= this.#countFree();
    return grade < 0 ? this.#free.all : this.#free.byGrade[grade];
  }

  // Asked for by several after each change, so all grades are counted at once.
  #countFree() {
    const byGrade = new Uint32Array(this.grades.length);
    for (let at = 0; at < this.count; at += 1) if (this.status[at] === AVAILABLE) byGrade[this.grade[at]] += 1;
    return { all: byGrade.reduce((sum, count) => sum + count, 0), byGrade };
  }

  /** Returns the seat beside `at` in its row, `step` numbers further; undefined where there is none. */
  beside(at, step) {
    const { seats } = this.rows[this.row[at]];
    const place = this.#placeInRow(seats, at);
    const other = seats[place + step];
    return other !== undefined && this.numbers[other] === this.numbers[at] + step ? other : undefined;
  }

  #placeInRow(seats, at) {
    let low = 0;
    let high = seats.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.numbers[seats[middle]] < this.numbers[at]) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Returns the states of a map's answer as numbers, in its order. */
export function statusOf(map) {
  return Uint8Array.from(map.seats, (seat) => CODES.get(seat.status) ?? BLOCKED);
}
