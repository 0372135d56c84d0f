// What a page believes, and how often it has read the keys, while the shop signs with its next key.
async ([module]) => {
  const { BoardVerifier } = await import(module);
  const { Problem } = await import(module.replace("board-signature.js", "api.js"));
  const plain = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const make = async (kid) => {
    const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const header = plain(new TextEncoder().encode(JSON.stringify({ alg: "EdDSA", kid, b64: false, crit: ["b64"] })));
    const signed = await crypto.subtle.sign("Ed25519", privateKey, new TextEncoder().encode(`${header}.board`));
    return { jwk: { ...(await crypto.subtle.exportKey("jwk", publicKey)), kid }, signature: `${header}..${plain(signed)}` };
  };
  const [old, next] = [await make("old"), await make("next")];
  let at = 0;
  performance.now = () => at;
  let keys = [old.jwk];
  let loaded = 0;
  let isAway = false;
  const loadKeys = async () => {
    loaded += 1;
    if (isAway) throw new Problem(503, "unavailable");
    return { keys };
  };
  const verifier = new BoardVerifier(loadKeys);
  const found = [];
  const ask = async (seconds, one) => {
    at = seconds * 1000;
    found.push([await verifier.isGenuine("board", one.signature), loaded]);
  };
  await ask(0, old);
  await ask(1, next);
  keys = [next.jwk];
  await ask(2, next);
  await ask(6, next);
  await ask(7, old);
  await ask(12, old);
  await ask(13, next);
  keys = [];
  await ask(311, next);
  isAway = true;
  await ask(312, next);
  isAway = false;
  await ask(611, next);
  await ask(612, next);
  return found;
}
