// Lookup: concerts, schedules and seat maps, with conditional requests.
import { constant, lookUp, options as shared, iterate } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(300));

export default function () {
  iterate((user) => lookUp(user));
}
