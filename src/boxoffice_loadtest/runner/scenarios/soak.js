// Soak: the whole journey at a constant rate for a long time, to find leaks.
import { constant, options as shared, iterate } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';
export const options = shared(constant(20));

export default function (data) {
  iterate((user) => journey(user, data.seats, 0.8));
}
