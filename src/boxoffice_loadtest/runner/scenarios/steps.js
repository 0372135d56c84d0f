// Steps: rising load in an open model. RATES has the arrivals per second of each step, comma-separated,
// and DURATION_S the length of one. The mix is that of a sale near its end: half lookups, most holds
// refused, a few accepted and paid.
import { DURATION_S, chance, hold, lookUp, options as shared, pay, steps, iterate } from './client.js';

export { setup } from './client.js';

const rates = (__ENV.RATES || '50,100,200,400,800,1200,1600').split(',').map(Number);
// The steps end in saturation, so integrity is the only threshold.
export const options = {
  ...shared(steps(rates.map((rate) => [rate, DURATION_S]))),
  thresholds: { integrity: ['rate==1'] },
};

const HOT = 50;
const OFFSET = Number(__ENV.OFFSET || 0);

export default function (data) {
  const { seats } = data;
  iterate((user, number) => {
    if (chance(0.5)) {
      // Always a new user: otherwise, the higher the load, the more answers would be an empty 304.
      lookUp(user, true);
    } else if (chance(0.88)) {
      hold(user, [seats[Math.floor(Math.random() * HOT)]]);
    } else {
      // Each iteration has a seat of its own until all seats were used once.
      const held = hold(user, [seats[HOT + ((number + OFFSET) % (seats.length - HOT))]]);
      if (held && chance(0.9)) pay(user, held);
    }
  });
}
