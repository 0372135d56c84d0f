// Spike: a quiet hour, then ten times as many people within a second, and quiet again.
import { DURATION_S, options as shared, staircase, visit } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';

const third = DURATION_S / 3;
export const options = shared(
  staircase([
    [10, third],
    [100, third],
    [10, third],
  ]),
);

export default function (data) {
  visit((person) => journey(person, data.seats, 0));
}
