// The seat map: a canvas with pan, zoom and selection. The selection belongs to the page.

import { h } from "../lib/dom.js";
import { Camera } from "./camera.js";
import { Hall } from "./hall.js";
import { listen } from "./input.js";
import { Layer } from "./layer.js";
import { Painter, palette } from "./painter.js";

// The smallest seat that a finger can hit; a tap on a smaller one zooms in first.
const TOUCH_PX = 20;
const MOUSE_PX = 8;
const CLOSE_PX = 30;
const REST_MS = 110;

export class SeatMap {
  #frame = 0;
  #rest = 0;
  #isMoving = false;
  #mouse = null;
  #ratio = 1;
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #observer = new ResizeObserver(() => this.#resize());
  #context;
  /** The seat under the keyboard's cursor, -1 for none. */
  cursor = -1;

  /**
   * `own()` returns pairs of position and kind (`map/own-seats.js`).
   * `words` has `label`, `stage` and `section(name)`; `toggle(at)` is called for a click on a seat,
   * `look(at)` for the seat under the pointer (-1: none).
   */
  constructor(seats, { words, chosen, orphans, own = () => [], toggle, look, aspect }) {
    this.seats = seats;
    this.words = words;
    this.chosen = chosen;
    this.orphans = orphans;
    this.own = own;
    this.toggle = toggle;
    this.look = look;
    this.hall = new Hall(seats, aspect);
    this.camera = new Camera(this.hall.extent);
    this.painter = new Painter(this.hall, palette());
    this.layer = new Layer(this.painter);
    this.view = h("canvas", { class: "seat-map", tabindex: "0", role: "application", "aria-label": words.label });
    this.#context = this.view.getContext("2d", { alpha: false });
    listen(this.view, this);
    this.#observer.observe(this.view);
    this.#scheme.addEventListener("change", this.#recolor);
    this.view.addEventListener("focus", this.#onFocus);
    this.view.addEventListener("blur", this.#onFocus);
  }

  /** Stops observers and timers. */
  close() {
    this.#observer.disconnect();
    this.#scheme.removeEventListener("change", this.#recolor);
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#rest);
  }

  /** Redraws seats whose state has changed. */
  touch(positions) {
    this.layer.touch(positions);
    this.draw();
  }

  /** Shows only the free seats of one grade, -1 for all. */
  filter(grade) {
    this.painter.only = grade;
    this.layer.forget();
    this.draw();
  }

  /** Zooms to a seat. */
  goTo(at) {
    this.camera.goTo(this.hall.x(at), this.hall.y(at), CLOSE_PX);
    this.draw();
  }

  /** Draws in the next frame. */
  draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.paint(); });
  }

  /** Draws now. */
  paint() {
    if (this.camera.width < 2) return;
    const ratio = this.#ratio;
    this.layer.prepare(this.camera, ratio, this.words, { isMoving: this.#isMoving });
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.painter.colors.floor;
    context.fillRect(0, 0, this.view.width, this.view.height);
    this.layer.show(context, this.camera, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const cursor = document.activeElement === this.view ? this.cursor : -1;
    this.painter.overlay(context, { chosen: this.chosen(), orphans: this.orphans(), own: this.own(), cursor }, this.camera);
    if (this.#mouse) this.#point();
  }

  pan(dx, dy) {
    this.camera.pan(dx, dy);
    this.draw();
  }

  zoom(factor, x, y) {
    this.camera.zoom(factor, x, y);
    this.#moving();
    this.draw();
  }

  fit() {
    this.camera.fit();
    this.draw();
  }

  /** Redraws in full resolution once the map has stopped moving. */
  rest() {
    this.#moving();
  }

  /** Takes the pointer's pixel; negative: outside, or dragging. */
  hover(x, y) {
    this.#mouse = x < 0 ? null : { x, y };
    this.#point();
  }

  // The seat below a resting pointer changes too: seats change, and the map moves.
  #point() {
    const at = this.#mouse ? this.#at(this.#mouse.x, this.#mouse.y) : -1;
    this.view.classList.toggle("on-seat", at >= 0 && this.seats.isFree(at));
    this.look(at, this.#mouse ?? { x: -1, y: -1 });
  }

  tap(x, y, kind) {
    this.view.focus({ preventScroll: true });
    const { scale } = this.camera;
    if (scale < (kind === "mouse" ? MOUSE_PX : TOUCH_PX)) {
      this.camera.zoom(CLOSE_PX / scale, x, y);
      this.draw();
      return;
    }
    const at = this.#at(x, y);
    if (at < 0) return;
    this.cursor = at;
    this.toggle(at);
  }

  /** Moves the cursor to the next seat in a direction. */
  step(dx, dy) {
    const next = this.cursor < 0 ? this.#first() : this.#next(dx, dy);
    if (next < 0) return;
    this.cursor = next;
    if (this.camera.scale < CLOSE_PX) this.goTo(next);
    this.camera.reveal(this.hall.x(next), this.hall.y(next));
    this.look(next, null);
    this.draw();
  }

  choose() {
    if (this.cursor >= 0) this.toggle(this.cursor);
    else this.step(0, 0);
  }

  #first() {
    for (let at = 0; at < this.seats.count; at += 1) if (this.seats.isFree(at)) return at;
    return this.seats.count ? 0 : -1;
  }

  // The nearest seat that lies rather in this direction than in another one.
  #next(dx, dy) {
    const x = this.hall.x(this.cursor);
    const y = this.hall.y(this.cursor);
    let best = -1;
    let least = Infinity;
    const reach = 24;
    this.hall.within(x - reach, y - reach, x + reach, y + reach, (at) => {
      const along = (this.hall.x(at) - x) * dx + (this.hall.y(at) - y) * dy;
      const aside = Math.abs((this.hall.x(at) - x) * dy) + Math.abs((this.hall.y(at) - y) * dx);
      const cost = along + 3 * aside;
      if (along > 0.3 && aside <= along && cost < least) {
        least = cost;
        best = at;
      }
    });
    return best;
  }

  #at(x, y) {
    const point = this.camera.toHall(x, y);
    return this.hall.pick(point.x, point.y);
  }

  #moving() {
    this.#isMoving = true;
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => { this.#isMoving = false; this.draw(); }, REST_MS);
  }

  #recolor = () => {
    this.painter.colors = palette();
    this.layer.forget();
    this.draw();
  };

  #onFocus = () => this.draw();

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.view;
    if (!width || !height) return;
    const isFirst = this.camera.width < 2;
    this.#ratio = Math.min(devicePixelRatio || 1, 2.5);
    this.view.width = Math.round(width * this.#ratio);
    this.view.height = Math.round(height * this.#ratio);
    this.camera.resize(width, height);
    if (isFirst) this.camera.fit();
    this.layer.forget();
    // A canvas that was resized is empty; waiting for the next frame would let it flicker.
    this.paint();
  }
}
