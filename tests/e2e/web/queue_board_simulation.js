// Users who wait before a board that is up to `stale_s` old, by the pages' own rule. Times are in seconds. A call is
// answered by the first poll after it; `missed` are those whose poll came after the grace.
async ([module, plan]) => {
  const { PersonalPolls, positionOf, etaOf } = await import(module);
  let state = plan.seed;
  const chance = () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
  const step = 0.2;
  const steps = Math.round(plan.seconds / step);
  const calledAt = new Float64Array(plan.users + 1).fill(Infinity);
  const worlds = [];
  let called = 0;
  for (let at = 0; at < steps; at += 1) {
    const now = at * step;
    // Places become free in bursts: the leader calls as many as the rate allows in a second, at once.
    const burst = at % 5 === 0 ? plan.rate_per_s : 0;
    for (let number = called + 1; number <= Math.min(plan.users, called + burst); number += 1) calledAt[number] = now;
    called = Math.min(plan.users, called + burst);
    const waiting = plan.users - called;
    worlds.push({
      as_of: new Date(now * 1000).toISOString(),
      state: now >= plan.off_at_s ? "OFF" : "WAITING",
      epoch: now >= plan.epoch_at_s ? 2 : 1,
      called, gaps: [], draw_seed: null, lobby_size: 0, notice: null, opens_at: null,
      rate_per_s: plan.rate_per_s, measured_rate_per_s: plan.rate_per_s, places_free: 0,
      grace_s: plan.grace_s,
      spread_s: 2 ** Math.ceil(Math.log2(Math.max(1, waiting / plan.asks_per_s))),
      ask_every_s: 21_600,
    });
  }
  const polls = new Int32Array(plan.seconds + 1);
  const before = { polls: 0, missed: 0, unanswered: 0, reads: 0 };
  const due = Array.from({ length: steps + 1 }, () => []);
  for (let number = 1; number <= plan.users; number += 1) {
    const personal = new PersonalPolls(chance);
    personal.answered({ number, epoch: 1, poll_after_s: 0 }, 0);
    due[Math.floor(chance() * Math.min(10, plan.grace_s / 3) / step)].push({ number, personal, at: 0 });
  }
  for (let at = 0; at < steps; at += 1) {
    const now = at * step;
    for (const user of due[at]) {
      const seen = worlds[Math.max(0, at - Math.floor(chance() * plan.stale_s / step))];
      before.reads += 1;
      if (user.personal.isDue(seen, now * 1000)) {
        polls[Math.floor(now)] += 1;
        const { epoch, state: room } = worlds[at];
        if (room === "OFF" || user.number <= worlds[at].called) {
          if (room !== "OFF" && now - calledAt[user.number] > plan.grace_s) before.missed += 1;
          calledAt[user.number] = Infinity;
          continue;
        }
        before.polls += 1;
        const eta = (user.number - worlds[at].called) / plan.rate_per_s;
        const most = Math.max(1, Math.min(30, Math.floor(plan.grace_s / 3)));
        user.personal.answered({ number: user.number, epoch, poll_after_s: Math.max(1, Math.min(most, Math.floor(eta / 4))) }, now * 1000);
      }
      const eta = etaOf(seen, Math.max(1, positionOf(seen, user.number)), now * 1000);
      const wait = user.personal.waitS(seen, eta, now * 1000);
      due[Math.min(steps, at + Math.max(1, Math.ceil(wait / step)))].push(user);
    }
  }
  before.unanswered = calledAt.filter((one) => one < plan.seconds - plan.grace_s).length;
  return { ...before, called, most: Math.max(...polls), total: polls.reduce((sum, one) => sum + one, 0) };
}
