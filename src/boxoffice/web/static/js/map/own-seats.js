// The user's own seats on a map: held or bought.

/** The seats of one person; positions are those of the map. */
export class OwnSeats {
  #held = new Map();
  #sold = new Map();

  constructor(seats) {
    this.seats = seats;
  }

  /** How many there are. */
  get count() {
    return this.#held.size + this.#sold.size;
  }

  /** Sets the holds, as pairs of reservation id and seat ids; returns the positions that changed. */
  hold(pairs) {
    const before = this.#held;
    this.#held = this.#positions(pairs);
    const differs = (at) => before.get(at) !== this.#held.get(at);
    return [...new Set([...before.keys(), ...this.#held.keys()])].filter(differs);
  }

  /** Sets the bought seats. */
  buy(pairs) {
    this.#sold = this.#positions(pairs);
  }

  /** Returns `HELD`, `SOLD`, or "" for a seat of another buyer. */
  kind(at) {
    if (this.#held.has(at)) return "HELD";
    return this.#sold.has(at) ? "SOLD" : "";
  }

  /** Returns the reservation that a seat belongs to. */
  reservationOf(at) {
    return this.#held.get(at) ?? this.#sold.get(at);
  }

  /** All of them, as pairs of position and kind. */
  get all() {
    return [...this.#held.keys(), ...this.#sold.keys()].map((at) => [at, this.kind(at)]);
  }

  #positions(pairs) {
    const found = pairs.flatMap(([id, seatIds]) => seatIds.map((seat) => [this.seats.find(seat), id]));
    return new Map(found.filter(([at]) => at !== undefined));
  }
}
