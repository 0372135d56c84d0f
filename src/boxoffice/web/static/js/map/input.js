// Pointer, wheel and keyboard input of the map.

const DRAG_PX = 6;
const WHEEL = 0.0016;
const KEY_ZOOM = 1.35;
const KEY_PAN_PX = 90;

/**
 * Listens to `element` and calls `map`: `pan(dx, dy)`, `zoom(factor, x, y)`, `tap(x, y, kind)`, `rest()`,
 * `hover(x, y)`, `step(dx, dy)`, `choose()`, `fit()`. Pixels count from the element's corner.
 */
export function listen(element, map) {
  const pointers = new Map();
  let moved = 0;

  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    moved = pointers.size > 1 ? DRAG_PX : 0;
  });

  element.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") map.hover(now.x, now.y);
      return;
    }
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (pointers.size === 2) pinch(pointers, event.pointerId, now, map);
    else if (moved >= DRAG_PX) map.pan(now.x - before.x, now.y - before.y);
    if (moved >= DRAG_PX) map.hover(-1, -1);
    if (moved >= DRAG_PX || pointers.size === 2) pointers.set(event.pointerId, now);
  });

  const lift = (event) => {
    const known = pointers.delete(event.pointerId);
    if (!known) return;
    if (event.type === "pointerup" && moved < DRAG_PX) {
      const { x, y } = place(event);
      map.tap(x, y, event.pointerType);
    } else if (pointers.size === 0) map.rest();
    const { x, y } = place(event);
    if (event.pointerType === "mouse" && event.type === "pointerup") map.hover(x, y);
  };
  element.addEventListener("pointerup", lift);
  element.addEventListener("pointercancel", lift);
  element.addEventListener("pointerleave", () => map.hover(-1, -1));

  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = place(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    map.zoom(Math.exp(-event.deltaY * lines * WHEEL * (event.ctrlKey ? 4 : 1)), x, y);
    map.rest();
  }, { passive: false });

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys(map, event.shiftKey)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function pinch(pointers, id, now, map) {
  const [other] = [...pointers].filter(([key]) => key !== id).map(([, value]) => value);
  const before = pointers.get(id);
  const ratio = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
  map.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  map.zoom(ratio, (now.x + other.x) / 2, (now.y + other.y) / 2);
}

function keys(map, isShift) {
  const go = (dx, dy) => () => {
    if (isShift) {
      map.pan(-dx * KEY_PAN_PX, -dy * KEY_PAN_PX);
      map.rest();
    } else map.step(dx, dy);
  };
  const zoom = (factor) => () => { map.zoom(factor); map.rest(); };
  return {
    ArrowLeft: go(-1, 0), ArrowRight: go(1, 0), ArrowUp: go(0, -1), ArrowDown: go(0, 1),
    "+": zoom(KEY_ZOOM), "=": zoom(KEY_ZOOM), "-": zoom(1 / KEY_ZOOM), 0: () => map.fit(),
    Enter: () => map.choose(), " ": () => map.choose(), Escape: () => map.hover(-1, -1),
  };
}
