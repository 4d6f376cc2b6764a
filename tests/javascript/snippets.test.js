import assert from "node:assert/strict";
import { test } from "node:test";
import { snippets } from "../../app/doors/pages/static/snippets.js";

/**
 * @param {boolean} key
 * @param {string} [dtype]
 */
function made(key, dtype = "float64") {
  const url = (/** @type {string} */ suffix) => `http://here/sel.${suffix}?name=O'Brien`;
  return new Map(snippets({ name: 't"2', dtype, times: ["time"], url, file: "data", key }));
}

test("lines of code have the address of the format that they read", () => {
  const code = made(false);
  assert.deepEqual(
    [...code.keys()],
    ["Python, xarray", "Python, pandas", "curl", "R", "JavaScript", "MATLAB, Octave"],
  );
  assert.match(code.get("Python, xarray") ?? "", /sel\.nc/);
  assert.match(code.get("Python, pandas") ?? "", /parse_dates=\["time"\]/);
  assert.match(code.get("R") ?? "", /format = "%Y-%m-%dT%H:%M:%SZ", tz = "UTC"/);
  assert.match(code.get("JavaScript") ?? "", /sel\.json/);
});

test("quotes of names and addresses end no text", () => {
  const code = made(false);
  assert.equal(code.get("curl"), "curl -o 'data.csv' 'http://here/sel.csv?name=O%27Brien'");
  assert.ok(code.get("Python, xarray")?.includes('ds["t\\"2"]'));
  assert.ok(code.get("MATLAB, Octave")?.includes('ncread(file, "t""2")'));
});

test("a key is taken from the environment, where one is needed", () => {
  for (const [name, code] of made(true)) assert.ok(code.includes("SLUICE_KEY"), name);
  for (const [name, code] of made(false)) assert.ok(!code.includes("KEY"), name);
});

test("each language has a format that holds the values", async () => {
  const complex = made(false, "complex128");
  assert.match(complex.get("Python, NumPy") ?? "", /sel\.npy.*np\.load/s);
  for (const [name, code] of complex) assert.ok(!code.includes("sel.nc"), name);
  assert.ok(!made(false, "str").has("MATLAB, Octave"));
  assert.match(made(false, "int64").get("MATLAB, Octave") ?? "", /^% .*pkg load netcdf\n/);
  // The largest integer of all, behind a header of 118 bytes.
  const file = new Uint8Array(136).fill(255);
  file.set([118, 0], 8);
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
  for (const [dtype, largest] of /** @type {const} */ ([
    ["uint64", 2n ** 64n - 1n],
    ["int64", -1n],
  ])) {
    const code = made(false, dtype).get("JavaScript") ?? "";
    assert.match(code, /sel\.npy/);
    const run = new AsyncFunction("fetch", `${code}\nreturn values;`);
    const values = await run(async () => new Response(file));
    assert.deepEqual([...values], [largest]);
  }
});
