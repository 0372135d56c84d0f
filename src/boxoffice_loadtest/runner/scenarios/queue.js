// Queue: more users than the waiting room admits; they wait, hold with their pass, and pay.
import { sleep } from 'k6';
import { queuePosition, constant, hold, join, options as shared, pay, iterate } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(40));

// A user leaves after so many polls.
const POLLS_MAX = 40;

export default function () {
  iterate((user) => {
    let ticket = join(user);
    for (let polled = 0; ticket && polled < POLLS_MAX; polled += 1) {
      const position = queuePosition(user, ticket);
      if (!position) return;
      ticket = position.queue_ticket || ticket;
      if (position.state === 'ADMITTED') {
        const held = hold(user, 1, position.queue_pass);
        if (held) pay(user, held);
        return;
      }
      sleep(Math.min(position.poll_after_s, 1));
    }
  });
}
