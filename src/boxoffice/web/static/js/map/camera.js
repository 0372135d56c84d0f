// Which part of the hall is seen: the corner in units and the pixels per unit. Numbers only.

const SEAT_MAX_PX = 46;
const SEAT_MIN_PX = 2;
// So much of the hall stays in sight, in pixels.
const KEEP_PX = 80;

export class Camera {
  constructor(extent) {
    this.extent = extent;
    this.left = 0;
    this.top = 0;
    this.scale = 1;
    this.width = 1;
    this.height = 1;
  }

  /** The window has another size now; the middle stays where it is. */
  resize(width, height) {
    const x = this.left + this.width / this.scale / 2;
    const y = this.top + this.height / this.scale / 2;
    this.width = width;
    this.height = height;
    this.left = x - width / this.scale / 2;
    this.top = y - height / this.scale / 2;
  }

  /** Shows everything. */
  fit() {
    this.scale = this.#fitting();
    this.left = (this.extent.width - this.width / this.scale) / 2;
    this.top = (this.extent.height - this.height / this.scale) / 2;
  }

  /** Multiplies the scale by `factor`; the point at pixel (x, y) stays there. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const at = this.toHall(x, y);
    const least = Math.min(this.#fitting(), SEAT_MIN_PX);
    this.scale = Math.min(SEAT_MAX_PX, Math.max(least, this.scale * factor));
    this.left = at.x - x / this.scale;
    this.top = at.y - y / this.scale;
    this.#keep();
  }

  /** Moves by pixels. */
  pan(dx, dy) {
    this.left -= dx / this.scale;
    this.top -= dy / this.scale;
    this.#keep();
  }

  /** Puts a point of the hall into the middle, at `scale` pixels per seat at least. */
  goTo(x, y, scale) {
    this.scale = Math.min(SEAT_MAX_PX, Math.max(this.scale, scale));
    this.left = x - this.width / this.scale / 2;
    this.top = y - this.height / this.scale / 2;
    this.#keep();
  }

  /** Moves as little as is needed to see a point of the hall. */
  reveal(x, y) {
    const margin = 40;
    const px = (x - this.left) * this.scale;
    const py = (y - this.top) * this.scale;
    this.pan(push(px, margin, this.width), push(py, margin, this.height));
  }

  /** Returns the point of the hall at a pixel. */
  toHall(x, y) {
    return { x: this.left + x / this.scale, y: this.top + y / this.scale };
  }

  #fitting() {
    return Math.min(this.width / this.extent.width, this.height / this.extent.height, SEAT_MAX_PX);
  }

  #keep() {
    const x = KEEP_PX / this.scale;
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    this.left = within(this.left, x - this.width / this.scale, this.extent.width - x);
    this.top = within(this.top, x - this.height / this.scale, this.extent.height - x);
  }
}

function push(at, margin, size) {
  if (at < margin) return margin - at;
  return at > size - margin ? size - margin - at : 0;
}
