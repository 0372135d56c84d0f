// On sale: the whole journey with think time.
import { constant, options as shared, iterate } from './client.js';
import { journey } from './journey.js';

export { setup } from './client.js';
export const options = shared(constant(50));

export default function (data) {
  iterate((user) => journey(user, data.seats, 0.8));
}
