// Whether a browser believes a board of the shop, the same with changes, and one that it cannot verify.
async ([module, path, foreign]) => {
  const { BoardVerifier } = await import(module);
  const read = async (address) => {
    const answer = await fetch(address);
    return [await answer.text(), answer.headers.get("JWS-Signature")];
  };
  let loaded = 0;
  const loadKeys = async () => { loaded += 1; return (await fetch("/v1/board-keys")).json(); };
  const verifier = new BoardVerifier(loadKeys);
  const [text, signature] = await read(path);
  const [, other] = await read(foreign);
  const [header, , signed] = signature.split(".");
  const unknown = btoa(JSON.stringify({ ...JSON.parse(atob(header)), kid: "unknown" })).replace(/=+$/, "");
  const tried = {
    genuine: [text, signature],
    changed: [text.replace('"epoch":', '"epoch":1'), signature],
    unsigned: [text, null],
    empty: [text, ""],
    swapped: [text, other],
    unknown: [text, `${unknown}..${signed}`],
    garbage: [text, "?..?"],
    "with content": [text, `${header}.e30.${signed}`],
  };
  const found = {};
  for (const [name, [given, by]] of Object.entries(tried)) found[name] = await verifier.isGenuine(given, by);
  const broken = (set) => new BoardVerifier(async () => set).isGenuine(text, signature);
  found["no set"] = await broken(null);
  found["no keys"] = await broken({ keys: [null, { kty: "OKP", crv: "Ed25519", kid: "x", x: "?" }] });
  // Browsers that cannot verify load no keys.
  const before = loaded;
  const lacking = { importKey: () => Promise.reject(new DOMException("", "NotSupportedError")) };
  found["without a secure context"] = await new BoardVerifier(loadKeys, null).isGenuine(text, null);
  found["without Ed25519"] = await new BoardVerifier(loadKeys, lacking).isGenuine(text, null);
  return [found, before, loaded];
}
