// The drawn seats, kept as a picture somewhat larger than the window, so that moving the map means moving
// a picture. It is drawn anew where the window leaves it or the scale has come to rest at another value.

const MARGIN_PX = 220;
// More seats than these are drawn faster all at once than one by one.
const DIRTY_MAX = 2_000;

export class Layer {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { alpha: false });
  #area = null;
  #dirty = new Set();

  constructor(painter) {
    this.painter = painter;
  }

  /** The picture is of no more use: other colours, another choice of grade. */
  forget() {
    this.#area = null;
  }

  /** These seats look different now. */
  touch(positions) {
    for (const at of positions) this.#dirty.add(at);
    if (this.#dirty.size > DIRTY_MAX) this.forget();
  }

  /** Draws the picture for a window, where needed; says whether it was drawn. */
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

  /** Copies the picture to where it belongs in the window. */
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
