// Reserve: many users want the same few seats. After a refusal they try other seats; one in five requests
// any seat.
import { chance, constant, hold, options as shared, pick, iterate } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(150));

const TRIES = 3;

export default function (data) {
  iterate((user) => {
    if (chance(0.2)) {
      hold(user, 1);
      return;
    }
    for (let tried = 0; tried < TRIES && !hold(user, [pick(data.seats)]); tried += 1);
  });
}
