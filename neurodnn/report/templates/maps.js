"use strict";
const byId = (name) => document.getElementById(name);
const signed = (value, digits) => (value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(digits);
function short(value) {
  const size = Math.abs(value);
  return signed(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const apply = (m, p) => [0, 1, 2].map(
  (row) => m[4 * row] * p[0] + m[4 * row + 1] * p[1] + m[4 * row + 2] * p[2] + m[4 * row + 3]);

// The maps of a page: a value, or none, for every point in millimetres and every time.
function openMaps(data) {
  async function openGrid(grid) {
    if (grid.lookup) return grid;
    const bits = new Uint8Array(await unpack(grid.mask));
    const lookup = new Int32Array(grid.shape[0] * grid.shape[1] * grid.shape[2]).fill(-1);
    let next = 0;
    for (let place = 0; place < lookup.length; place += 1) {
      if (bits[place >> 3] & (1 << (place & 7))) { lookup[place] = next; next += 1; }
    }
    grid.count = next;
    grid.lookup = lookup;
    return grid;
  }

  // A map holds one step per voxel of its grid, frame after frame where it changes in time.
  async function loadMap(entry) {
    if (entry.steps) return entry;
    await openGrid(data.grids[entry.grid]);
    if (entry.sure) entry.sureBits = new Uint8Array(await unpack(entry.sure));
    const buffer = await unpack(entry.values);
    entry.nothing = entry.bytes === 1 ? -128 : -32768;
    entry.steps = entry.bytes === 1 ? new Int8Array(buffer) : new Int16Array(buffer);
    return entry;
  }

  // Number of the voxel that holds a point, or -1.
  function placeAt(entry, point) {
    const { shape, toVoxel, lookup } = data.grids[entry.grid];
    const [i, j, k] = apply(toVoxel, point).map((part) => Math.floor(part + 0.5));
    if (i < 0 || j < 0 || k < 0 || i >= shape[0] || j >= shape[1] || k >= shape[2]) return -1;
    return lookup[(i * shape[1] + j) * shape[2] + k];
  }

  function valueAt(entry, place, frame) {
    if (place < 0) return null;
    const step = entry.steps[frame * data.grids[entry.grid].count + place];
    return step === entry.nothing ? null : step * entry.step;
  }

  function isSure(entry, place, frame) {
    if (place < 0 || !entry.sureBits) return false;
    const bit = frame * data.grids[entry.grid].count + place;
    return (entry.sureBits[bit >> 3] & (1 << (bit & 7))) !== 0;
  }

  return { loadMap, placeAt, valueAt, isSure };
}
