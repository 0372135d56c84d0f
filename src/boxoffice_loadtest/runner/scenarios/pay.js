// Pay: each user holds a seat and pays. Some retry the payment, which must have the same answer, and some
// pay twice, which must be refused.
import { chance, constant, hold, options as shared, pay, paymentKey, iterate } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(80));

export default function (data) {
  iterate((user, number) => {
    const held = hold(user, [data.seats[number % data.seats.length]]) || hold(user, 1);
    if (!held) return;
    const idempotency = paymentKey();
    pay(user, held, idempotency);
    if (chance(0.05)) pay(user, held, idempotency);
    else if (chance(0.05)) pay(user, held);
  });
}
