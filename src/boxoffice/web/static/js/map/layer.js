// An offscreen canvas somewhat larger than the viewport: panning copies it. It is redrawn when the viewport
// leaves it or the zoom has settled at another scale.

const MARGIN_PX = 220;
// Above this, a full redraw is faster than single seats.
const DIRTY_MAX = 2_000;

export class Layer {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { alpha: false });
  #area = null;
  #dirty = new Set();

  constructor(painter) {
    this.painter = painter;
  }

  /** Discards the picture: other colours, another grade filter. */
  forget() {
    this.#area = null;
  }

  /** Marks seats for redrawing. */
  touch(positions) {
    for (const at of positions) this.#dirty.add(at);
    if (this.#dirty.size > DIRTY_MAX) this.forget();
  }

  /** Draws the picture for the viewport if needed; returns whether it was drawn. */
  prepare(camera, ratio, words, { isMoving }) {
    const wanted = { scale: camera.scale, ratio };
    const fits = this.#area && this.#covers(camera) && this.#area.scale === wanted.scale && this.#area.ratio === ratio;
    if (fits || (this.#area && isMoving && this.#area.ratio === ratio)) {
      this.#freshen();
      return false;
    }
    this.#draw(camera, ratio, words);
    return true;
  }

  /** Copies the picture into the viewport. */
  show(context, camera, ratio) {
    const { left, top, scale } = this.#area;
    const zoom = camera.scale / scale;
    const x = (left - camera.left) * camera.scale * ratio;
    const y = (top - camera.top) * camera.scale * ratio;
    const [w, h] = [this.#canvas.width * zoom, this.#canvas.height * zoom];
    context.drawImage(this.#canvas, x, y, w, h);
  }

  #draw(camera, ratio, words) {
    const width = Math.ceil((camera.width + 2 * MARGIN_PX) * ratio);
    const height = Math.ceil((camera.height + 2 * MARGIN_PX) * ratio);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const margin = MARGIN_PX / camera.scale;
    this.#area = {
      left: camera.left - margin, top: camera.top - margin, scale: camera.scale, ratio,
      width: width / ratio, height: height / ratio,
    };
    this.#dirty.clear();
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.painter.paint(this.#context, { ...this.#area, words });
  }

  #freshen() {
    for (const at of this.#dirty) this.painter.repaint(this.#context, at, this.#area);
    this.#dirty.clear();
  }

  #covers(camera) {
    const { left, top, scale, width, height } = this.#area;
    return camera.left >= left && camera.top >= top
      && camera.left + camera.width / camera.scale <= left + width / scale
      && camera.top + camera.height / camera.scale <= top + height / scale;
  }
}
