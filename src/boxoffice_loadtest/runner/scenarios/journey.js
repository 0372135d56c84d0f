// The whole way of one buyer: look up, hold, try elsewhere when taken, then pay, release or walk away.
import { chance, hold, lookConcerts, lookSchedules, lookSeats, pay, pick, release, think } from './client.js';

const TRIES = 4;
// Front seats are wanted most: half of all wishes fall on the first tenth of the house.
const FRONT = 0.1;

function wish(seats, count) {
  const until = chance(0.5) ? Math.max(count, Math.floor(seats.length * FRONT)) : seats.length;
  const first = Math.floor(Math.random() * Math.max(1, until - count + 1));
  return seats.slice(first, first + count);
}

export function journey(person, seats, pause) {
  lookConcerts(person);
  lookSchedules(person);
  lookSeats(person);
  if (pause) think(0.1, pause);
  let held = null;
  for (let tried = 0; tried < TRIES && !held; tried += 1) {
    if (tried) lookSeats(person);
    // Who was refused twice lets the shop choose.
    held = hold(person, tried < 2 ? wish(seats, pick([1, 1, 2])) : 1);
  }
  if (!held) return;
  if (pause) think(0.1, pause);
  const draw = Math.random();
  if (draw < 0.8) pay(person, held);
  else if (draw < 0.9) release(person, held);
}
