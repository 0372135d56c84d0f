// What every scenario shares: how to call the shop, and the record of what it answered.
//
// By hand: k6 run -e BASE_URL=http://127.0.0.1:8000 -e CONCERT_ID=… -e SCHEDULE_ID=… \
//            -e TOKENS=/path/tokens.jsonl reserve.js
// CONCERT_ID and SCHEDULE_ID are printed by `boxoffice seed`, TOKENS is the file that it writes.
// RATE is a factor on the arrivals, DURATION_S the length, VUS the most requests under way.
//
// Each iteration prints one line of JSON, [person, answer…], where an answer is
// [what, started_ms, took_ms, status, code, …]. It is the client's own record, which the audit
// compares with the database.
import http from 'k6/http';
import exec from 'k6/execution';
import { randomSeed, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Counter, Rate } from 'k6/metrics';

const BASE = (__ENV.BASE_URL || 'http://127.0.0.1:8000').replace(/\/+$/, '');
const CONCERT = __ENV.CONCERT_ID || '';
const SCHEDULE = __ENV.SCHEDULE_ID || '';
const RUN = __ENV.RUN_ID || `hand-${Date.now().toString(36)}`;
const LIMIT = __ENV.TIMEOUT || '15s';
const RATE = Number(__ENV.RATE || 1);

export const DURATION_S = Number(__ENV.DURATION_S || 20);
export const VUS = Number(__ENV.VUS || 200);

const people = new SharedArray('people', () =>
  open(__ENV.TOKENS || './tokens.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).access_token),
);

// What the business refuses is a correct answer.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 402, 409, 410));

const integrity = new Rate('integrity');
const rejected = new Counter('rejected');

const etags = {};
let expected = 0;
let journal = [];
let seeded = false;

// The options of a scenario: open arrivals, and the thresholds that each one has to meet.
export function options({ planned, ...executor }, more = {}) {
  expected = Math.round(planned);
  const scenario = {
    // A visitor who is made only when needed comes too late.
    preAllocatedVUs: VUS,
    maxVUs: VUS,
    timeUnit: '1s',
    gracefulStop: '20s',
    ...executor,
  };
  return {
    scenarios: { [__ENV.SCENARIO || 'main']: scenario },
    thresholds: {
      http_req_failed: ['rate<0.0001'],
      http_req_duration: ['p(95)<500'],
      integrity: ['rate==1'],
      // Throughput: nearly everybody who was to come has come.
      dropped_iterations: [`count<=${Math.floor(0.05 * planned)}`],
      ...more,
    },
    // The tags decide how much of the generator's own CPU a request takes.
    systemTags: ['name', 'status', 'scenario', 'expected_response'],
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '30s',
  };
}

const scaled = (rate) => Math.max(1, Math.round(rate * RATE));

export const constant = (rate, duration = DURATION_S) => ({
  executor: 'constant-arrival-rate',
  rate: scaled(rate),
  duration: `${duration}s`,
  planned: scaled(rate) * duration,
});

// Stages are [rate, seconds]; each begins at once.
export const staircase = (stages) => ({
  executor: 'ramping-arrival-rate',
  startRate: scaled(stages[0][0]),
  stages: stages.flatMap(([rate, seconds]) => [
    { target: scaled(rate), duration: '0s' },
    { target: scaled(rate), duration: `${seconds}s` },
  ]),
  planned: stages.reduce((sum, [rate, seconds]) => sum + scaled(rate) * seconds, 0),
});

// Learns the seats of the schedule once, before anybody arrives.
export function setup() {
  const answer = http.get(`${BASE}/v1/schedules/${SCHEDULE}/seats`, {
    headers: { 'Accept-Encoding': 'gzip' },
    tags: { name: 'setup' },
  });
  if (answer.status !== 200) {
    exec.test.abort(`the seats of schedule ${SCHEDULE} cannot be looked up: ${answer.status}`);
  }
  return { seats: answer.json('seats').map((seat) => seat.seat_id) };
}

// Runs one visit of one person and prints its record.
export function visit(walk) {
  if (!seeded && __ENV.SEED) {
    randomSeed(Number(__ENV.SEED) * 1000 + exec.vu.idInTest);
  }
  seeded = true;
  const number = exec.scenario.iterationInTest;
  if (number === 0) {
    console.log(JSON.stringify(['start', exec.scenario.startTime, expected]));
  }
  const person = (number + Number(__ENV.OFFSET || 0)) % people.length;
  journal = [];
  walk(person, number);
  console.log(JSON.stringify([person, ...journal]));
}

const key = (what) => `${RUN}-${what}-${exec.vu.idInTest}-${exec.vu.iterationInInstance}-${journal.length}`;
const isLost = (status) => status === 0 || status >= 500;

function call(what, method, path, person, { body = null, idempotency = null, lookup = false, known = '', more = {} } = {}) {
  const headers = { Authorization: `Bearer ${people[person]}`, ...more };
  if (idempotency) headers['Idempotency-Key'] = idempotency;
  if (body) headers['Content-Type'] = 'application/json';
  if (lookup) {
    headers['Accept-Encoding'] = 'gzip';
    if (known) headers['If-None-Match'] = known;
  }
  const started = Date.now();
  const answer = http.request(method, BASE + path, body && JSON.stringify(body), {
    headers,
    tags: { name: what },
    responseType: lookup ? 'none' : 'text',
    timeout: LIMIT,
  });
  const entry = [what, started, answer.timings.duration, answer.status, codeOf(answer)];
  if (!answer.status) entry[2] = Date.now() - started;
  journal.push(entry);
  if (answer.status >= 400 && answer.status < 500) rejected.add(1, { code: entry[4] });
  return { answer, entry };
}

function codeOf(answer) {
  if (answer.status === 0) return `k6_${answer.error_code}`;
  if (answer.status < 400) return '';
  const found = answer.body && /"code": ?"(\w+)"/.exec(answer.body);
  return found ? found[1] : '';
}

function look(what, path, person, isNew = false) {
  const known = isNew ? '' : etags[path];
  const { answer, entry } = call(what, 'GET', path, person, { lookup: true, known });
  if (answer.status === 200) {
    etags[path] = answer.headers['Etag'];
    entry.push(Number(answer.headers['Content-Length'] || 0));
  }
}

// Who is new has nothing yet that a 304 could refer to.
export const lookConcerts = (person, isNew) => look('concerts', '/v1/concerts', person, isNew);
export const lookSchedules = (person, isNew) =>
  look('schedules', `/v1/concerts/${CONCERT}/schedules`, person, isNew);
export const lookSeats = (person, isNew) =>
  look('seats', `/v1/schedules/${SCHEDULE}/seats`, person, isNew);

// Looks something up, in the proportions of a sale: the list twice, the schedules once, the seats twice.
export function lookAround(person, isNew = false) {
  const draw = Math.random() * 5;
  if (draw < 2) lookConcerts(person, isNew);
  else if (draw < 3 && CONCERT) lookSchedules(person, isNew);
  else lookSeats(person, isNew);
}

// Holds named seats, or with a number the best ones; returns the hold or null.
export function hold(person, wish, pass = '') {
  const idempotency = key('h');
  const body = typeof wish === 'number' ? { quantity: wish } : { seat_ids: wish };
  const path = `/v1/schedules/${SCHEDULE}/reservations`;
  const { answer, entry } = call('hold', 'POST', path, person, {
    body,
    idempotency,
    more: pass ? { 'Queue-Pass': pass } : {},
  });
  if (answer.status !== 201) {
    if (isLost(answer.status)) entry.push(idempotency);
    return null;
  }
  const made = parsed(answer);
  const seats = made ? made.seats.map((seat) => seat.seat_id) : [];
  entry.push(idempotency, made && made.reservation_id, seats);
  const isAsked = typeof wish === 'number' ? seats.length === wish : sameSeats(seats, wish);
  integrity.add(Boolean(made) && isAsked && made.status === 'HELD');
  return made && { reservation_id: made.reservation_id, seats, amount: made.amount };
}

// Pays a hold of one's own; returns the payment's id or null.
export function pay(person, held, idempotency = key('p')) {
  const body = { reservation_id: held.reservation_id, method: 'wallet' };
  const { answer, entry } = call('pay', 'POST', '/v1/payments', person, { body, idempotency });
  if (answer.status !== 201) {
    if (isLost(answer.status)) entry.push(idempotency, held.reservation_id);
    return null;
  }
  const made = parsed(answer);
  entry.push(idempotency, held.reservation_id, made && made.payment_id, made && made.amount);
  const tickets = made ? made.tickets.map((ticket) => ticket.seat_id) : [];
  integrity.add(Boolean(made) && made.amount === held.amount && sameSeats(tickets, held.seats));
  return made && made.payment_id;
}

// Joins the waiting room; returns the ticket or ''.
export function join(person) {
  const { answer } = call('join', 'POST', `/v1/schedules/${SCHEDULE}/queue`, person);
  const told = answer.status === 201 && parsed(answer);
  integrity.add(answer.status !== 201 || Boolean(told && told.queue_ticket));
  return told ? told.queue_ticket : '';
}

// Asks for one's place; returns what is told, or null.
export function askPlace(person, ticket) {
  const path = `/v1/schedules/${SCHEDULE}/queue`;
  const { answer } = call('place', 'GET', path, person, { more: { 'Queue-Ticket': ticket } });
  return answer.status === 200 ? parsed(answer) : null;
}

// Gives a hold of one's own back.
export function release(person, held) {
  const path = `/v1/reservations/${held.reservation_id}`;
  const { entry } = call('release', 'DELETE', path, person);
  entry.push(held.reservation_id);
}

export const paymentKey = () => key('p');

function parsed(answer) {
  try {
    return answer.json();
  } catch (_) {
    return null;
  }
}

const sameSeats = (one, other) => [...one].sort().join() === [...other].sort().join();

export const pick = (list) => list[Math.floor(Math.random() * list.length)];
export const chance = (share) => Math.random() < share;

// Thinks for a moment, between `from` and `to` seconds.
export const think = (from, to) => sleep(from + Math.random() * (to - from));
