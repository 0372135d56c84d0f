// What the checkout needs from a provider's script. Another provider is a file beside `toss.js` and a line here.
//
// `mount({client, box, returnUrl})` prepares the fields and resolves to `pay()`. That one sends the buyer away,
// resolves to a confirmation, or throws a `PaymentRefusal`. `returned(intent, query)` reads the address with which
// the provider sent the buyer back: `{confirmation}`, `{reason}`, or null for another address. The server compares
// a confirmation with the intent; nothing else of the address is used.

import { stripe } from "./stripe.js";
import { toss } from "./toss.js";

export const PROVIDERS = { toss, stripe };
