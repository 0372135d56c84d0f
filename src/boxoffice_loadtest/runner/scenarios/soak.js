// Soak: the whole way at an even pace for a long time, to see what grows.
import { constant, options as shared, visit } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';
export const options = shared(constant(20));

export default function (data) {
  visit((person) => journey(person, data.seats, 0.8));
}
