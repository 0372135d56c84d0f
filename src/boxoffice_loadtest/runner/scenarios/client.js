// Shared by all scenarios: calls to the shop, and the log of the answers.
//
// Run a scenario by hand: k6 run -e BASE_URL=http://127.0.0.1:8000 -e CONCERT_ID=… -e SCHEDULE_ID=… \
//            -e TOKENS=/path/tokens.jsonl reserve.js
// `boxoffice seed` prints CONCERT_ID and SCHEDULE_ID, and writes TOKENS.
// RATE multiplies the arrivals, DURATION_S is the length, VUS the number of virtual users.
//
// Each iteration prints one line of JSON, [user, request…], where a request is
// [what, started_ms, took_ms, status, code, …]. This log is compared with the database.
import http from 'k6/http';
import exec from 'k6/execution';
import { randomSeed, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Counter, Rate } from 'k6/metrics';

const BASE = (__ENV.BASE_URL || 'http://127.0.0.1:8000').replace(/\/+$/, '');
const CONCERT = __ENV.CONCERT_ID || '';
const SCHEDULE = __ENV.SCHEDULE_ID || '';
const RUN = __ENV.RUN_ID || `hand-${Date.now().toString(36)}`;
const TIMEOUT = __ENV.TIMEOUT || '15s';
const RATE = Number(__ENV.RATE || 1);

export const DURATION_S = Number(__ENV.DURATION_S || 20);
export const VUS = Number(__ENV.VUS || 200);

const tokens = new SharedArray('tokens', () =>
  open(__ENV.TOKENS || './tokens.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).access_token),
);

// Refusals by business rules are correct answers.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 402, 409, 410));

const integrity = new Rate('integrity');
const rejected = new Counter('rejected');

const etags = {};
let expected = 0;
let requests = [];
let seeded = false;

// The options of a scenario: an open model, and the thresholds that all scenarios share.
export function options({ planned, ...executor }, more = {}) {
  expected = Math.round(planned);
  const scenario = {
    // A virtual user that is allocated on demand starts too late.
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
      // Nearly all planned iterations started.
      dropped_iterations: [`count<=${Math.floor(0.05 * planned)}`],
      ...more,
    },
    // Fewer tags take less of k6's CPU per request.
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

// Stages are [rate, seconds], each with a constant rate.
export const steps = (stages) => ({
  executor: 'ramping-arrival-rate',
  startRate: scaled(stages[0][0]),
  stages: stages.flatMap(([rate, seconds]) => [
    { target: scaled(rate), duration: '0s' },
    { target: scaled(rate), duration: `${seconds}s` },
  ]),
  planned: stages.reduce((sum, [rate, seconds]) => sum + scaled(rate) * seconds, 0),
});

// Looks up the seats of the schedule once, before the load.
export function setup() {
  const answer = http.get(`${BASE}/v1/schedules/${SCHEDULE}/seats`, {
    headers: { 'Accept-Encoding': 'gzip' },
    tags: { name: 'setup' },
  });
  if (answer.status !== 200) {
    exec.test.abort(`the seats of schedule ${SCHEDULE} cannot be read: ${answer.status}`);
  }
  return { seats: answer.json('seats').map((seat) => seat.seat_id) };
}

// Runs one iteration of one user and prints its log line.
export function iterate(journey) {
  if (!seeded && __ENV.SEED) {
    randomSeed(Number(__ENV.SEED) * 1000 + exec.vu.idInTest);
  }
  seeded = true;
  const number = exec.scenario.iterationInTest;
  if (number === 0) {
    console.log(JSON.stringify(['start', exec.scenario.startTime, expected]));
  }
  const user = (number + Number(__ENV.OFFSET || 0)) % tokens.length;
  requests = [];
  journey(user, number);
  console.log(JSON.stringify([user, ...requests]));
}

const key = (what) => `${RUN}-${what}-${exec.vu.idInTest}-${exec.vu.iterationInInstance}-${requests.length}`;
// An edge in front of several pods routes by it.
const routed = { 'Schedule-Id': SCHEDULE };
const isLost = (status) => status === 0 || status >= 500;

function call(what, method, path, user, { body = null, idempotency = null, lookup = false, known = '', more = {} } = {}) {
  const headers = { Authorization: `Bearer ${tokens[user]}`, ...more };
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
    timeout: TIMEOUT,
  });
  const entry = [what, started, answer.timings.duration, answer.status, codeOf(answer)];
  if (!answer.status) entry[2] = Date.now() - started;
  requests.push(entry);
  if (answer.status >= 400 && answer.status < 500) rejected.add(1, { code: entry[4] });
  return { answer, entry };
}

function codeOf(answer) {
  if (answer.status === 0) return `k6_${answer.error_code}`;
  if (answer.status < 400) return '';
  const found = answer.body && /"code": ?"(\w+)"/.exec(answer.body);
  return found ? found[1] : '';
}

function look(what, path, user, isNew = false) {
  const known = isNew ? '' : etags[path];
  const { answer, entry } = call(what, 'GET', path, user, { lookup: true, known });
  if (answer.status === 200) {
    etags[path] = answer.headers['Etag'];
    entry.push(Number(answer.headers['Content-Length'] || 0));
  }
}

// A new user has no ETag to send.
export const concerts = (user, isNew) => look('concerts', '/v1/concerts', user, isNew);
export const schedules = (user, isNew) =>
  look('schedules', `/v1/concerts/${CONCERT}/schedules`, user, isNew);
export const seatMap = (user, isNew) =>
  look('seats', `/v1/schedules/${SCHEDULE}/seats`, user, isNew);

// Sends one lookup in the proportions of a sale: concerts 2, schedules 1, seats 2.
export function lookUp(user, isNew = false) {
  const draw = Math.random() * 5;
  if (draw < 2) concerts(user, isNew);
  else if (draw < 3 && CONCERT) schedules(user, isNew);
  else seatMap(user, isNew);
}

// Holds the given seats, or with a number the best ones; returns the hold or null.
export function hold(user, wanted, pass = '') {
  const idempotency = key('h');
  const body = typeof wanted === 'number' ? { quantity: wanted } : { seat_ids: wanted };
  const path = `/v1/schedules/${SCHEDULE}/reservations`;
  const { answer, entry } = call('hold', 'POST', path, user, {
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
  const isAsWanted = typeof wanted === 'number' ? seats.length === wanted : sameSeats(seats, wanted);
  integrity.add(Boolean(made) && isAsWanted && made.status === 'HELD');
  return made && { reservation_id: made.reservation_id, seats, amount: made.amount };
}

// Pays a hold; returns the payment's id or null.
export function pay(user, held, idempotency = key('p')) {
  const body = { reservation_id: held.reservation_id, method: 'wallet' };
  const { answer, entry } = call('pay', 'POST', '/v1/payments', user, { body, idempotency, more: routed });
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

// Joins the waiting room; returns the queue ticket or ''.
export function join(user) {
  const { answer } = call('join', 'POST', `/v1/schedules/${SCHEDULE}/queue`, user);
  const joined = answer.status === 201 && parsed(answer);
  integrity.add(answer.status !== 201 || Boolean(joined && joined.queue_ticket));
  return joined ? joined.queue_ticket : '';
}

// Polls the queue position; returns the answer or null.
export function queuePosition(user, ticket) {
  const path = `/v1/schedules/${SCHEDULE}/queue`;
  const { answer } = call('position', 'GET', path, user, { more: { 'Queue-Ticket': ticket } });
  return answer.status === 200 ? parsed(answer) : null;
}

// Releases a hold.
export function release(user, held) {
  const path = `/v1/reservations/${held.reservation_id}`;
  const { entry } = call('release', 'DELETE', path, user, { more: routed });
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

// Waits between `from` and `to` seconds.
export const think = (from, to) => sleep(from + Math.random() * (to - from));
