// Buys two seats: node example.js https://tickets.example SCHEDULE_ID
// Signs up, tops up the wallet, takes the best seats, pays, and prints the codes of the tickets.

import { randomUUID } from "node:crypto";
import { ApiError, Client, type PaymentOut } from "./boxoffice.js";

/** Returns the payment of the two best seats, of a new buyer. */
async function buy(client: Client, scheduleId: string): Promise<PaymentOut> {
  const [email, password] = [`${randomUUID()}@example.com`, randomUUID()];
  await client.call("POST /v1/users", { body: { email, password, name: "Min-seo Kim" } });
  const session = await client.call("POST /v1/sessions", { body: { email, password } });
  client.token = session.access_token;
  const held = await client.call("POST /v1/schedules/{schedule_id}/reservations", {
    path: { schedule_id: scheduleId },
    headers: { "Idempotency-Key": randomUUID() },
    body: { quantity: 2 },
  });
  await client.call("POST /v1/me/wallet/top-ups", {
    headers: { "Idempotency-Key": randomUUID() },
    body: { amount: held.amount },
  });
  const order = {
    headers: { "Idempotency-Key": randomUUID() },
    body: { reservation_id: held.reservation_id, method: "wallet" },
  };
  try {
    return await client.call("POST /v1/payments", order);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // The answer was lost. With the same key the request has its effect once.
    return client.call("POST /v1/payments", order);
  }
}

const [baseUrl = "", scheduleId = ""] = process.argv.slice(2);
const client = new Client(baseUrl);
try {
  const paid = await buy(client, scheduleId);
  const codes = await client.call("GET /v1/payments/{payment_id}/codes", {
    path: { payment_id: paid.payment_id },
  });
  console.log(paid.order_number, ...codes.items.map((code) => code.ticket_id));
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
