// The draw of a lobby as the server computes it (`waiting_room/engine/shuffle.py`): from seed and number to place.

import { keyedHash } from "./blake2b.js";

const SORTED_MAX = 1_024;
const ROUNDS = 12;

/** Returns the place of a number in a lobby of `size`, `seed` in hexadecimal; a number above it is its own place. */
export function drawnPlace(seed, size, number) {
  if (number < 1 || number > size) return number;
  const key = Uint8Array.from(seed.match(/../g), (pair) => parseInt(pair, 16));
  return size <= SORTED_MAX ? sortedPlace(key, size, number) : permutedPlace(key, size, number);
}

function sortedPlace(key, size, number) {
  const hash = keyedHash(key, 16);
  const own = hash(number - 1);
  let place = 1;
  for (let at = 0; at < size; at += 1) {
    const other = hash(at);
    if (other < own || (other === own && at < number - 1)) place += 1;
  }
  return place;
}

function permutedPlace(key, size, number) {
  const columns = Math.floor(Math.sqrt(size - 1)) + 1;
  const rows = Math.ceil(size / columns);
  const hashes = Array.from({ length: ROUNDS }, (_, round) => keyedHash(key, 8, round));
  const moved = (round, from, half, count) => (from + Number(hashes[round](half) % BigInt(count))) % count;
  let at = number - 1;
  do {
    let row = Math.floor(at / columns);
    let column = at % columns;
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round % 2) column = moved(round, column, row, columns);
      else row = moved(round, row, column, rows);
    }
    at = row * columns + column;
  } while (at >= size);
  return at + 1;
}
