// Queue: more people than the waiting room lets in; they wait, hold with their pass, and pay.
import { sleep } from 'k6';
import { askPlace, constant, hold, join, options as shared, pay, visit } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(40));

// Nobody waits for ever: after so many questions they go home.
const ASKS_MAX = 40;

export default function () {
  visit((person) => {
    let ticket = join(person);
    for (let asked = 0; ticket && asked < ASKS_MAX; asked += 1) {
      const told = askPlace(person, ticket);
      if (!told) return;
      ticket = told.queue_ticket || ticket;
      if (told.state === 'ADMITTED') {
        const held = hold(person, 1, told.queue_pass);
        if (held) pay(person, held);
        return;
      }
      sleep(Math.min(told.poll_after_s, 1));
    }
  });
}
