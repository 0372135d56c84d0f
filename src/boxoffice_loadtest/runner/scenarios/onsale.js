// On sale: the doors open, and people go the whole way, with moments to think in between.
import { constant, options as shared, visit } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';
export const options = shared(constant(50));

export default function (data) {
  visit((person) => journey(person, data.seats, 0.8));
}
