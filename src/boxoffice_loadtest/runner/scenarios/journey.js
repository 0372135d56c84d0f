// The whole journey of one buyer: look up, hold, try other seats after a refusal, pay or release.
import { chance, concerts, hold, pay, pick, release, schedules, seatMap, think } from './client.js';

const TRIES = 4;
// Front seats are wanted most: half of all requests are for the first tenth of the seats.
const FRONT = 0.1;

function wanted(seats, count) {
  const until = chance(0.5) ? Math.max(count, Math.floor(seats.length * FRONT)) : seats.length;
  const first = Math.floor(Math.random() * Math.max(1, until - count + 1));
  return seats.slice(first, first + count);
}

export function journey(user, seats, pause) {
  concerts(user);
  schedules(user);
  seatMap(user);
  if (pause) think(0.1, pause);
  let held = null;
  for (let tried = 0; tried < TRIES && !held; tried += 1) {
    if (tried) seatMap(user);
    // After two refusals the user takes any seat.
    held = hold(user, tried < 2 ? wanted(seats, pick([1, 1, 2])) : 1);
  }
  if (!held) return;
  if (pause) think(0.1, pause);
  const draw = Math.random();
  if (draw < 0.8) pay(user, held);
  else if (draw < 0.9) release(user, held);
}
