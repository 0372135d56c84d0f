// Pay: everybody holds a seat of their own and pays for it. Some send the same payment again, which has
// to be answered alike, and some try to pay twice, which has to be refused.
import { chance, constant, hold, options as shared, pay, paymentKey, visit } from './client.js';

export { setup } from './client.js';
export const options = shared(constant(80));

export default function (data) {
  visit((person, number) => {
    const held = hold(person, [data.seats[number % data.seats.length]]) || hold(person, 1);
    if (!held) return;
    const idempotency = paymentKey();
    pay(person, held, idempotency);
    if (chance(0.05)) pay(person, held, idempotency);
    else if (chance(0.05)) pay(person, held);
  });
}
