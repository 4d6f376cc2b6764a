import { readDataset } from "../../app/doors/pages/static/dataset.js";

/**
 * What is told of an axis of numbers.
 *
 * @param {string} name
 * @param {number[]} values
 * @param {object} more
 */
export function axis(name, values, more) {
  const [first, second = first + 1] = values;
  const ends = [...values].sort((one, other) => one - other);
  return {
    dims: [name],
    dtype: "float64",
    min: ends[0],
    max: ends.at(-1),
    step: second - first,
    attrs: {},
    role: null,
    ascending: second > first,
    wraps: false,
    calendar: null,
    values,
    ...more,
  };
}

/**
 * @param {number} from
 * @param {number} step
 * @param {number} count
 */
export function spaced(from, step, count) {
  return Array.from({ length: count }, (_, at) => from + at * step);
}

/**
 * A dataset as `/datasets/{id}` describes it: hours, levels, latitudes from north to south,
 * longitudes from 0; and a variable `odd` of more dimensions without coordinates.
 *
 * @param {Record<string, number>} more
 */
export function weather(more = {}) {
  const times = spaced(0, 1, 48).map(
    (hour) => `${new Date(Date.UTC(2024, 0, 1, hour)).toISOString().slice(0, 19)}Z`,
  );
  const dims = ["time", "level", "latitude", "longitude"];
  return readDataset({
    id: "weather",
    title: "Weather",
    dims: { time: 48, level: 3, latitude: 73, longitude: 144, ...more },
    coords: {
      time: {
        ...axis("time", [], { role: "T", calendar: "proleptic_gregorian", values: times }),
        dtype: "datetime64[ns]",
        min: times[0],
        max: times.at(-1),
        step: "PT1H",
        ascending: true,
      },
      level: axis("level", [1000, 850, 500], { role: "Z", step: null, attrs: { units: "hPa" } }),
      latitude: axis("latitude", spaced(90, -2.5, 73), {
        role: "Y",
        attrs: { units: "degrees_north" },
      }),
      longitude: axis("longitude", spaced(0, 2.5, 144), {
        role: "X",
        wraps: true,
        attrs: { units: "degrees_east" },
      }),
    },
    data_vars: {
      t: { dims, dtype: "float64", attrs: { long_name: "Temperature", units: "K" } },
      ...(Object.keys(more).length > 0
        ? { odd: { dims: [...Object.keys(more), "latitude"], dtype: "float32", attrs: {} } }
        : {}),
    },
  });
}
