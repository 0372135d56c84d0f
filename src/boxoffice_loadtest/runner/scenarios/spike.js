// Spike: low load, ten times as many arrivals within a second, and low load again.
import { DURATION_S, options as shared, steps, iterate } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';

const third = DURATION_S / 3;
export const options = shared(
  steps([
    [10, third],
    [100, third],
    [10, third],
  ]),
);

export default function (data) {
  iterate((user) => journey(user, data.seats, 0));
}
