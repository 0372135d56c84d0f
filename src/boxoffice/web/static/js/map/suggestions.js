// Suggestions before the server decides: seats that a selection would leave single, and the nearest free
// seats to those that are taken.

/**
 * Returns the free seats that `chosen` (a set of positions) would leave alone between taken seats, and
 * that are not alone without it.
 */
export function orphans(seats, chosen) {
  const found = new Set();
  for (const at of chosen) {
    for (const step of [-1, 1]) {
      const left = seats.beside(at, step);
      if (left === undefined || !seats.isFree(left) || chosen.has(left)) continue;
      const beyond = seats.beside(left, step);
      if (isTaken(seats, beyond, chosen)) found.add(left);
    }
  }
  return found;
}

function isTaken(seats, at, chosen) {
  return at === undefined || chosen.has(at) || !seats.isFree(at);
}

/**
 * Returns the free neighbours that are as many as `wanted` and nearest to them, the same grade before
 * another one; empty where there are none. `where` returns the place of a seat: `{x, y}`.
 */
export function nearest(seats, wanted, where) {
  const center = middle(wanted.map(where));
  const grade = seats.grade[wanted[0]];
  let best = [];
  let least = Infinity;
  for (const row of seats.rows) {
    for (const run of runs(seats, row.seats, wanted.length)) {
      const away = distance(middle([where(run[0]), where(run.at(-1))]), center);
      const cost = away + (seats.grade[run[0]] === grade ? 0 : OTHER_GRADE);
      if (cost < least) {
        least = cost;
        best = run;
      }
    }
  }
  return best;
}

// The same grade outweighs this distance, in seats.
const OTHER_GRADE = 8;

function* runs(seats, row, length) {
  let run = [];
  for (const at of row) {
    const goesOn = run.length && seats.numbers[at] === seats.numbers[run.at(-1)] + 1;
    if (!seats.isFree(at)) run = [];
    else if (goesOn) run.push(at);
    else run = [at];
    if (run.length >= length) yield run.slice(-length);
  }
}

function middle(places) {
  const sum = places.reduce((all, place) => ({ x: all.x + place.x, y: all.y + place.y }), { x: 0, y: 0 });
  return { x: sum.x / places.length, y: sum.y / places.length };
}

function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
