// BLAKE2b with a key (RFC 7693), for numbers of 8 bytes: browsers do not have it. A word of 64 bits is two of 32, the
// lower first, because BigInt is twenty times slower.

const BLOCK_BYTES = 128;
const NUMBER_BYTES = 8;
const HALF = 0x100000000;
const IV = Uint32Array.of(
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19);
// The order of the words of a block in each round, in hexadecimal digits.
const SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d", "2c6a0b834d75fe19",
  "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0", "0123456789abcdef", "ea489fd61c02b753",
].map((row) => Array.from(row, (digit) => 2 * parseInt(digit, 16)));
const MIXES = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
].map((words) => words.map((word) => 2 * word));

/**
 * Returns a function from a number (8 bytes, the highest first) to its hash of `size` bytes, 8 or 16, as a BigInt.
 * The `salt` is a number below 256, in the last of its 16 bytes.
 */
export function keyedHash(key, size, salt = 0) {
  const start = IV.slice();
  start[0] ^= 0x01010000 | (key.length << 8) | size;
  start[11] ^= salt << 24;
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key);
  const words = new DataView(block.buffer);
  const keyed = compress(start, Uint32Array.from({ length: 32 }, (_, at) => words.getUint32(4 * at, true)), BLOCK_BYTES, false);
  return (number) => {
    const message = new Uint32Array(32);
    message[0] = swapped(Math.floor(number / HALF));
    message[1] = swapped(number);
    const hash = compress(keyed, message, BLOCK_BYTES + NUMBER_BYTES, true);
    return hash.subarray(0, size / 4).reduce((value, half) => (value << 32n) | BigInt(swapped(half)), 0n);
  };
}

function compress(state, message, bytes, isLast) {
  const v = new Uint32Array(32);
  v.set(state);
  v.set(IV, 16);
  v[24] ^= bytes;
  if (isLast) {
    v[28] = ~v[28];
    v[29] = ~v[29];
  }
  for (const order of SIGMA) {
    for (let at = 0; at < 8; at += 1) {
      const [a, b, c, d] = MIXES[at];
      mix(v, a, b, c, d, message, order[2 * at], order[2 * at + 1]);
    }
  }
  return state.map((half, at) => half ^ v[at] ^ v[at + 16]);
}

function mix(v, a, b, c, d, message, x, y) {
  add(v, a, v[b], v[b + 1]);
  add(v, a, message[x], message[x + 1]);
  turn(v, d, a, 32);
  add(v, c, v[d], v[d + 1]);
  turn(v, b, c, 24);
  add(v, a, v[b], v[b + 1]);
  add(v, a, message[y], message[y + 1]);
  turn(v, d, a, 16);
  add(v, c, v[d], v[d + 1]);
  turn(v, b, c, 63);
}

function add(v, at, low, high) {
  const sum = v[at] + low;
  v[at] = sum;
  v[at + 1] += high + (sum >= HALF ? 1 : 0);
}

/** Adds a word to another by exclusive or, and rotates it to the right. */
function turn(v, at, by, bits) {
  let low = v[at] ^ v[by];
  let high = v[at + 1] ^ v[by + 1];
  if (bits >= 32) [low, high] = [high, low];
  const right = bits % 32;
  v[at] = right ? (low >>> right) | (high << (32 - right)) : low;
  v[at + 1] = right ? (high >>> right) | (low << (32 - right)) : high;
}

function swapped(half) {
  return ((half << 24) | ((half & 0xff00) << 8) | ((half >>> 8) & 0xff00) | (half >>> 24)) >>> 0;
}
