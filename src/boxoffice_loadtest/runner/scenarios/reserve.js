// Reserve: many people want the same few seats at once. Who is refused tries elsewhere; one in five lets
// the shop choose, and so learns when nothing is left.
import { chance, constant, hold, options as shared, pick, visit } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(150));

const TRIES = 3;

export default function (data) {
  visit((person) => {
    if (chance(0.2)) {
      hold(person, 1);
      return;
    }
    for (let tried = 0; tried < TRIES && !hold(person, [pick(data.seats)]); tried += 1);
  });
}
