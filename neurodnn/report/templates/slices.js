// Slices are drawn in millimetres: every pixel is a point that the map's own affine turns into
// a voxel, so the order of storage cannot flip a picture. Text enters by textContent alone.
// `changed` is called after every drawing, `words` gives the end of the readout.
function openSlices(data, { changed = () => {}, words = () => "" } = {}) {
  const PIXELS = 2; // per millimetre
  const PLANES = { x: { right: 1, up: 2, ends: "PAIS" }, y: { right: 0, up: 2, ends: "LRIS" },
                   z: { right: 0, up: 1, ends: "LRPA" } };
  const AXES = ["x", "y", "z"];
  const state = { point: [0, 0, 0], map: null, frame: 0, threshold: 0, opacity: 1, cross: true,
                  sure: false };
  const views = {};
  const { loadMap, placeAt, valueAt, isSure } = openMaps(data);

  // Trilinear, for the smooth anatomy only; the map itself is never interpolated.
  function greyAt(volume, shape, x, y, z) {
    const i = Math.floor(x), j = Math.floor(y), k = Math.floor(z);
    if (i < 0 || j < 0 || k < 0 || i + 1 >= shape[0] || j + 1 >= shape[1] || k + 1 >= shape[2]) {
      return 0;
    }
    const u = x - i, v = y - j, w = z - k, page = shape[1] * shape[2], line = shape[2];
    const o = i * page + j * line + k;
    const near = (a) => (volume[a] * (1 - w) + volume[a + 1] * w) * (1 - v)
      + (volume[a + line] * (1 - w) + volume[a + line + 1] * w) * v;
    return near(o) * (1 - u) + near(o + page) * u;
  }

  function setUpView(axis) {
    const { right, up } = PLANES[axis];
    const canvas = byId("view-" + axis);
    const width = Math.round((data.high[right] - data.low[right]) * PIXELS);
    const height = Math.round((data.high[up] - data.low[up]) * PIXELS);
    canvas.width = width;
    canvas.height = height;
    canvas.parentElement.style.flexGrow = String(width); // one scale for all three
    const context = canvas.getContext("2d");
    views[axis] = { canvas, context, width, height, right, up, depth: AXES.indexOf(axis),
                    picture: context.createImageData(width, height), cut: null,
                    below: new Uint8Array(width * height) };
  }

  // World point of the pixel's centre; row 0 is the top.
  function pixelPoint(axis, column, row) {
    const view = views[axis], point = state.point.slice();
    point[view.right] = data.low[view.right] + (column + 0.5) / PIXELS;
    point[view.up] = data.high[view.up] - (row + 0.5) / PIXELS;
    return point;
  }

  function linear(matrix, axis) {
    const start = apply(matrix, pixelPoint(axis, 0, 0));
    const across = apply(matrix, pixelPoint(axis, 1, 0)).map((value, n) => value - start[n]);
    const down = apply(matrix, pixelPoint(axis, 0, 1)).map((value, n) => value - start[n]);
    return { start, across, down };
  }

  function alphaOf(size, entry) {
    if (state.threshold > 0) return size >= state.threshold ? state.opacity : 0;
    return Math.min(1, 3 * size / entry.limit) ** 1.25 * state.opacity;
  }

  // The anatomy of a cut is drawn once: time changes it not.
  function drawBelow(axis, view) {
    if (view.cut === state.point[view.depth]) return;
    view.cut = state.point[view.depth];
    const { start, across, down } = linear(data.underlay.toVoxel, axis);
    for (let row = 0, at = 0; row < view.height; row += 1) {
      for (let column = 0; column < view.width; column += 1, at += 1) {
        const g = greyAt(data.underlay.volume, data.underlay.shape,
          start[0] + column * across[0] + row * down[0],
          start[1] + column * across[1] + row * down[1],
          start[2] + column * across[2] + row * down[2]) / 255;
        // the outermost faint rim fades to the page
        const solid = Math.min(1, g * 6);
        view.below[at] = Math.round(255 * (1 - solid + solid * (0.52 + 0.46 * g)));
      }
    }
  }

  function drawView(axis) {
    const view = views[axis], entry = state.map, pixels = view.picture.data;
    drawBelow(axis, view);
    const grid = data.grids[entry.grid], over = linear(grid.toVoxel, axis);
    const [nx, ny, nz] = grid.shape, first = state.frame * grid.count;
    const table = data.colours[entry.signed ? "signed" : "positive"];
    for (let row = 0, at = 0; row < view.height; row += 1) {
      for (let column = 0; column < view.width; column += 1, at += 4) {
        let red = view.below[at >> 2], green = red, blue = red;
        const i = Math.floor(over.start[0] + column * over.across[0] + row * over.down[0] + 0.5);
        const j = Math.floor(over.start[1] + column * over.across[1] + row * over.down[1] + 0.5);
        const k = Math.floor(over.start[2] + column * over.across[2] + row * over.down[2] + 0.5);
        const inside = i >= 0 && j >= 0 && k >= 0 && i < nx && j < ny && k < nz;
        const place = inside ? grid.lookup[(i * ny + j) * nz + k] : -1;
        const step = place < 0 ? entry.nothing : entry.steps[first + place];
        if (step !== entry.nothing && !(state.sure && !isSure(entry, place, state.frame))) {
          const value = step * entry.step, alpha = alphaOf(Math.abs(value), entry);
          if (alpha > 0) {
            const share = entry.signed ? value / (2 * entry.limit) + 0.5 : value / entry.limit;
            const c = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
            red += alpha * (table[c] - red);
            green += alpha * (table[c + 1] - green);
            blue += alpha * (table[c + 2] - blue);
          }
        }
        pixels[at] = red; pixels[at + 1] = green; pixels[at + 2] = blue; pixels[at + 3] = 255;
      }
    }
    view.context.putImageData(view.picture, 0, 0);
    drawMarks(axis, view);
  }

  function drawMarks(axis, view) {
    const { context, width, height, right, up } = view;
    if (state.cross) {
      const column = (state.point[right] - data.low[right]) * PIXELS;
      const row = (data.high[up] - state.point[up]) * PIXELS;
      context.strokeStyle = "rgba(29, 39, 51, 0.6)";
      context.lineWidth = 1;
      context.beginPath();
      for (const [a, b] of [[0, column - 14], [column + 14, width]]) {
        context.moveTo(a, row); context.lineTo(b, row);
      }
      for (const [a, b] of [[0, row - 14], [row + 14, height]]) {
        context.moveTo(column, a); context.lineTo(column, b);
      }
      context.stroke();
    }
    const [left, far, bottom, top] = PLANES[axis].ends;
    context.font = "600 17px system-ui, sans-serif";
    context.fillStyle = "#1d2733";
    context.textBaseline = "middle";
    context.textAlign = "left"; context.fillText(left, 4, height / 2);
    context.textAlign = "right"; context.fillText(far, width - 4, height / 2);
    context.textAlign = "center";
    context.fillText(top, width / 2, 11);
    context.fillText(bottom, width / 2, height - 10);
  }

  function drawScale() {
    const entry = state.map, canvas = byId("scale"), context = canvas.getContext("2d");
    const table = data.colours[entry.signed ? "signed" : "positive"];
    for (let n = 0; n < 256; n += 1) {
      context.fillStyle = `rgb(${table[3 * n]}, ${table[3 * n + 1]}, ${table[3 * n + 2]})`;
      context.fillRect(n, 0, 1, 12);
    }
    const beyond = entry.largest > entry.limit * 1.0001;
    byId("scale-low").textContent =
      entry.signed ? (beyond ? "\u2264 " : "") + short(-entry.limit) : short(0);
    byId("scale-high").textContent = (beyond ? "\u2265 " : "") + short(entry.limit);
    byId("scale-unit").textContent = entry.unit;
    byId("note").textContent = entry.note;
  }

  let waiting = false;
  function draw() {
    if (waiting || !state.map) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawNow(); });
  }

  function drawNow() {
    const [x, y, z] = state.point, place = placeAt(state.map, state.point);
    const value = valueAt(state.map, place, state.frame);
    const side = Math.abs(x) < 1e-6 ? "midline" : x > 0 ? "right" : "left";
    byId("readout").textContent =
      `${state.map.name}: ${value === null ? "no value here" : `${state.map.unit} ${short(value)}`}`
      + ` at x ${signed(x, 0)}, y ${signed(y, 0)}, z ${signed(z, 0)} mm (${side})${words(place)}`;
    byId("threshold-text").textContent =
      state.threshold > 0 ? `\u2265 ${short(state.threshold)}` : "none, weak values fade";
    AXES.forEach((axis, n) => {
      drawView(axis);
      byId("caption-" + axis).textContent = `${axis} = ${signed(state.point[n], 0)} mm`;
      if (document.activeElement !== byId(axis)) byId(axis).value = Math.round(state.point[n]);
    });
    changed(place);
    document.documentElement.dataset.ready = "true";
  }

  function moveTo(point) {
    state.point = point.map((part, n) => Math.min(data.high[n], Math.max(data.low[n], part)));
    draw();
  }

  function fail() {
    byId("failure").hidden = false;
    byId("failure").textContent = "This browser cannot unpack the maps (gzip streams are missing).";
  }

  let wanted = 0; // the map asked for last, while others are still being unpacked
  async function choose(number) {
    const entry = data.maps[number];
    wanted = number;
    try {
      await loadMap(entry);
    } catch (error) {
      fail();
      return;
    }
    if (wanted !== number) return;
    const first = state.map === null;
    state.map = entry;
    byId("map").value = String(number);
    byId("threshold").value = Math.round(1000 * entry.threshold / entry.largest);
    state.threshold = entry.threshold;
    drawScale();
    if (first) moveTo(entry.start); else draw();
  }

  function listen() {
    byId("panel").addEventListener("submit", (event) => event.preventDefault());
    byId("map").addEventListener("change", (event) => choose(Number(event.target.value)));
    byId("threshold").addEventListener("input", (event) => {
      state.threshold = state.map.largest * Number(event.target.value) / 1000; draw();
    });
    byId("opacity").addEventListener("input", (event) => {
      state.opacity = Number(event.target.value) / 100; draw();
    });
    byId("cross").addEventListener("change", (event) => {
      state.cross = event.target.checked; draw();
    });
    byId("peak").addEventListener("click", () => moveTo(state.map.start));
    AXES.forEach((axis, n) => byId(axis).addEventListener("input", (event) => {
      const value = Number(event.target.value);
      if (event.target.value === "" || !Number.isFinite(value)) return;
      const point = state.point.slice(); point[n] = value; moveTo(point);
    }));
    document.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey) return;
      const turn = { n: 1, p: -1 }[event.key];
      if (!turn) return;
      const count = data.maps.length;
      choose((wanted + turn + count) % count);
    });
    AXES.forEach((axis, depth) => listenTo(axis, depth));
  }

  function listenTo(axis, depth) {
    const { canvas, right, up } = views[axis];
    const shift = (which, by) => {
      const point = state.point.slice(); point[which] += by; moveTo(point);
    };
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      moveTo(pixelPoint(axis, (event.clientX - box.left) / box.width * canvas.width - 0.5,
        (event.clientY - box.top) / box.height * canvas.height - 0.5));
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus(); canvas.setPointerCapture(event.pointerId); follow(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) follow(event); });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault(); shift(depth, event.deltaY < 0 ? 2 : -2);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const by = event.shiftKey ? 10 : 1;
      const moves = { ArrowLeft: [right, -by], ArrowRight: [right, by], ArrowUp: [up, by],
                      ArrowDown: [up, -by], PageUp: [depth, by], PageDown: [depth, -by] };
      if (!moves[event.key]) return;
      event.preventDefault();
      event.stopPropagation(); // elsewhere arrows turn the time
      shift(...moves[event.key]);
    });
  }

  async function start() {
    data.maps.forEach((entry, number) => {
      const option = document.createElement("option");
      option.value = String(number);
      option.textContent = `${entry.name} \u00b7 ${entry.unit}`;
      byId("map").append(option);
    });
    byId("underlay-note").textContent = data.underlayNote;
    AXES.forEach((axis, n) => {
      byId(axis).min = Math.ceil(data.low[n]); byId(axis).max = Math.floor(data.high[n]);
      setUpView(axis);
    });
    try {
      data.underlay.volume = new Uint8Array(await unpack(data.underlay.values));
    } catch (error) {
      fail();
      return;
    }
    listen();
    await choose(0);
  }

  return { state, start, draw, moveTo, choose, loadMap, placeAt, valueAt, isSure };
}
