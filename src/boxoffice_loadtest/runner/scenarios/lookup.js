// Lookup: people look at concerts, schedules and seat maps, and ask again for what has not changed.
import { constant, lookAround, options as shared, visit } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(300));

export default function () {
  visit((person) => lookAround(person));
}
