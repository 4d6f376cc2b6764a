import assert from "node:assert/strict";
import { test } from "node:test";
import { displayOf, unitsFor } from "../../app/doors/pages/static/units.js";

/**
 * @param {string} units
 * @param {string} [title]
 */
function variable(units, title = "Air") {
  return { units, title, attrs: {} };
}

test("each spelling of a unit has the others of its family", () => {
  assert.deepEqual(unitsFor(variable("K")), ["degC", "degF"]);
  for (const spelled of ["celsius", "degrees_C", "°C"]) {
    assert.deepEqual(unitsFor(variable(spelled)), ["K", "degF"], spelled);
  }
  for (const spelled of ["m s-1", "m s**-1", "m/s"]) {
    assert.ok(unitsFor(variable(spelled)).includes("kn"), spelled);
  }
  assert.deepEqual(unitsFor(variable("mm")), []);
});

test("values are converted there and back, and are marked", () => {
  const { units, to, from } = displayOf(variable("K"), "degF");
  assert.equal(units, "degF (from K)");
  assert.ok(Math.abs(to(273.15) - 32) < 1e-9);
  assert.ok(Math.abs(from(212) - 373.15) < 1e-9);
  assert.ok(Math.abs(displayOf(variable("m/s"), "km/h").to(10) - 36) < 1e-9);
  assert.ok(Math.abs(displayOf(variable("kn"), "m/s").to(1) - 0.514444) < 1e-6);
});

test("a difference of temperatures stays as it is", () => {
  const bias = variable("K", "Temperature bias");
  assert.deepEqual(unitsFor(bias), []);
  assert.equal(displayOf(bias, "degC").to(1), 1);
});
