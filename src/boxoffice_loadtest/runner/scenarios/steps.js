// Steps: an open-model staircase. RATES names the arrivals per second of each stair, with commas
// between, and DURATION_S the length of one. The mix is that of a sale that is nearly over: half lookups,
// most holds refused, a few accepted and paid.
import { DURATION_S, chance, hold, lookAround, options as shared, pay, staircase, visit } from './client.js';

export { setup } from './client.js';

const rates = (__ENV.RATES || '50,100,200,400,800,1200,1600').split(',').map(Number);
// Where the stairs end is what is looked for, so only the integrity is a threshold.
export const options = {
  ...shared(staircase(rates.map((rate) => [rate, DURATION_S]))),
  thresholds: { integrity: ['rate==1'] },
};

const HOT = 50;
const OFFSET = Number(__ENV.OFFSET || 0);

export default function (data) {
  const { seats } = data;
  visit((person, number) => {
    if (chance(0.5)) {
      // Always somebody new: else the busier the stair, the more answers would be an empty 304.
      lookAround(person, true);
    } else if (chance(0.88)) {
      hold(person, [seats[Math.floor(Math.random() * HOT)]]);
    } else {
      // Everybody has a seat of their own until the house has been gone through once.
      const held = hold(person, [seats[HOT + ((number + OFFSET) % (seats.length - HOT))]]);
      if (held && chance(0.9)) pay(person, held);
    }
  });
}
