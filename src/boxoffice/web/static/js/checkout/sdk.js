// Loads a provider's script. The Content-Security-Policy of the checkout page says which ones may run.

import { Problem } from "../lib/api.js";

const TIMEOUT_MS = 15_000;
const loading = new Map();

/** Loads the script at `url` once; throws a `Problem` where the network fails. */
export function loadScript(url) {
  if (!loading.has(url)) loading.set(url, load(url).catch((error) => { loading.delete(url); throw error; }));
  return loading.get(url);
}

function load(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const fail = () => { clearTimeout(timer); script.remove(); reject(new Problem(0, "provider_unavailable")); };
    const timer = setTimeout(fail, TIMEOUT_MS);
    script.addEventListener("load", () => { clearTimeout(timer); resolve(); });
    script.addEventListener("error", fail);
    script.src = url;
    document.head.append(script);
  });
}
