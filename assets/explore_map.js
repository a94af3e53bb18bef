// The map: points arrive as columns of small integers, Plotly draws them by WebGL. Text is only ever set as text.
// Sends "clicked" (the number of a point) and "selected" (numbers) as triggers, and as states "hovered" (a number, and how
// often that was asked) and "camera" (what is in view). While the page is busy, Streamlit keeps one trigger of an element:
// were hovering one, too, a click that a hover follows would be forgotten. States are all kept.

const CARDS = new Map(); // what is known of hovered points, by map and number; shared by all maps of the page
const MOST_CARDS = 400;
const HOVER_MS = 60;
const CAMERA_MS = 350;
const BUSY_MS = 3000; // the page has answered by then, or will not
const SETTLE_MS = 150; // from the answer on the map to the one in the address line
const STEPS = 65535; // what coordinates were cut into
const SYMBOLS = ["circle", "diamond", "square", "triangle-up"];
const SOLID_SYMBOLS = ["circle", "diamond", "square", "cross"];
const PLACED = "star"; // came after the map was drawn
const NO_WEBGL_POINTS = 4000;
const TOOLBAR = 34; // pixels above the points, so that none is under the buttons

/** @type {(address: string) => Promise<PlotlyLibrary>} */
function loadPlotly(address) {
    window.twinsetPlotly ??= window.Plotly ? Promise.resolve(window.Plotly) : new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = new URL(address, document.baseURI).href;
        script.onload = () => resolve(/** @type {PlotlyLibrary} */ (window.Plotly));
        script.onerror = () => reject(new Error("the drawing library cannot be loaded"));
        document.head.append(script);
    });
    return window.twinsetPlotly;
}

function hasWebGL() {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
}

/** @type {(table: ArrowTable, name: string) => Uint16Array} */
function column(table, name) {
    const child = table.getChild(name);
    if (!child) throw new Error(`the column ${name} is missing`);
    return child.toArray();
}

/** @type {(steps: Numbers, low: number, high: number) => Float32Array} */
function scaled(steps, low, high) {
    const out = new Float32Array(steps.length);
    const unit = (high - low) / STEPS;
    for (let at = 0; at < steps.length; at += 1) out[at] = low + steps[at] * unit;
    return out;
}

/** @type {(node: Element) => Theme} */
function themeOf(node) {
    const style = getComputedStyle(node);
    /** @type {(name: string, otherwise: string) => string} */
    const value = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const ground = value("--st-background-color", "#ffffff");
    const parts = ground.startsWith("#") ? [1, 3, 5].map((at) => parseInt(ground.slice(at, at + 2), 16)) : [255];
    return {
        ground,
        text: value("--st-text-color", "#222222"),
        line: value("--st-border-color", "#dddddd"),
        font: value("--st-font", "sans-serif"),
        dark: parts.reduce((sum, part) => sum + part, 0) / parts.length < 128,
    };
}

// One trace for every value and split, so that the legend isolates a value and symbols tell the splits.
/** @type {(state: MapState) => [number, number[]][]} */
function groups(state) {
    const { data, marks, codes } = state;
    const texts = data.column.kind === "texts";
    /** @type {Map<number, number[]>} */
    const found = new Map();
    const every = state.webgl ? 1 : Math.ceil(marks.length / NO_WEBGL_POINTS);
    for (let at = 0; at < marks.length; at += every) {
        const key = (texts ? codes[at] : 0) * 16 + marks[at];
        let group = found.get(key);
        if (!group) {
            group = [];
            found.set(key, group);
        }
        group.push(at);
    }
    return [...found.entries()].sort((first, second) => first[0] - second[0]);
}

/** @type {(count: number) => number} */
function pointSize(count) {
    return count > 30000 ? 3 : count > 6000 ? 4 : count > 1500 ? 6 : 8;
}

/** @type {(state: MapState, theme: Theme) => Trace[]} */
function traces(state, theme) {
    const { data, x, y, z } = state;
    const texts = data.column.kind === "texts" ? data.column : null;
    const colours = texts && (theme.dark ? texts.dark : texts.light);
    const named = new Set();
    const size = pointSize(state.marks.length);
    state.members = [];
    return groups(state).map(([key, members]) => {
        const code = Math.floor(key / 16), split = key % 8, placed = key % 16 >= 8;
        /** @type {(from: Numbers) => Float32Array} */
        const pick = (from) => Float32Array.from(members, (at) => from[at]);
        const name = texts ? texts.names[code] : data.splits[split];
        /** @type {Trace} */
        const trace = {
            type: z ? "scatter3d" : state.webgl ? "scattergl" : "scatter",
            mode: "markers", hoverinfo: "none", x: pick(x), y: pick(y),
            name, legendgroup: name, showlegend: !named.has(name), legendrank: texts ? code : split,
            marker: {
                size: (z ? size * 0.7 : size) * (placed ? 2.2 : split ? 1.25 : 1), opacity: z ? 0.9 : 0.8,
                symbol: placed ? (z ? "x" : PLACED) : (z ? SOLID_SYMBOLS : SYMBOLS)[split],
                line: { width: placed && !z ? 1 : 0, color: theme.text },
                ...colouring(state, colours?.[code], members, named.size === 0, theme),
            },
        };
        if (z) trace.z = pick(z);
        else {
            trace.selected = { marker: { opacity: 1 } };
            trace.unselected = { marker: { opacity: 0.12 } };
        }
        named.add(name);
        state.members.push(members);
        return trace;
    });
}

/** @type {(state: MapState, colour: string | undefined, members: number[], first: boolean, theme: Theme) => Trace} */
function colouring(state, colour, members, first, theme) {
    const { column: shown } = state.data;
    if (shown.kind === "texts") return { color: colour };
    const { low, high, title } = shown;
    const scale = shown[theme.dark ? "dark" : "light"];
    const known = STEPS - 1; // the last step says that nothing is known
    return {
        color: Array.from(members, (at) => state.codes[at] > known ? null : low + (state.codes[at] / known) * (high - low)),
        colorscale: scale, cmin: low, cmax: high, showscale: first,
        colorbar: { title: { text: title, side: "right" }, thickness: 10, outlinewidth: 0, tickfont: { color: theme.text } },
    };
}

/** @type {(state: MapState, at: number) => [number, number, number]} */
function position(state, at) {
    return [state.x[at], state.y[at], state.z ? state.z[at] : 0];
}

// What is drawn above the points: lines from one to its neighbours, the chosen point, the uploaded photo.
/** @type {(state: MapState, theme: Theme) => Trace[]} */
function overlays(state, theme) {
    const kind = state.z ? "scatter3d" : state.webgl ? "scattergl" : "scatter";
    /** @type {Trace[]} */
    const found = [];
    for (const { from, to, colour, dash } of state.data.lines) {
        const start = typeof from === "number" ? position(state, from) : [...from, 0];
        /** @type {Record<"x" | "y" | "z", (number | null)[]>} */
        const line = { x: [], y: [], z: [] };
        for (const end of to.map((at) => position(state, at))) {
            line.x.push(start[0], end[0], null);
            line.y.push(start[1], end[1], null);
            line.z.push(start[2], end[2], null);
        }
        found.push({ type: kind, mode: "lines", ...line, line: { color: theme.dark ? colour[1] : colour[0], width: 1.5, dash } });
    }
    for (const { at, symbol } of state.data.rings) {
        const [x, y, z] = typeof at === "number" ? position(state, at) : [...at, 0];
        const marker = { size: state.z ? 7 : 16, symbol: state.z ? "diamond" : symbol, color: theme.text,
            line: { width: 2, color: theme.ground } };
        found.push({ type: kind, mode: "markers", x: [x], y: [y], z: [z], marker });
    }
    return found.map((trace) => {
        if (!state.z) delete trace.z;
        return { ...trace, hoverinfo: "skip", showlegend: false, overlay: true };
    });
}

/** @type {(state: MapState, theme: Theme) => object} */
function layoutOf(state, theme) {
    const bare = { visible: false, showgrid: false, zeroline: false };
    /** @type {Record<string, any>} */
    const layout = {
        margin: { l: 0, r: 0, t: TOOLBAR, b: 0 }, paper_bgcolor: theme.ground, plot_bgcolor: theme.ground, height: state.data.height,
        font: { family: theme.font, color: theme.text, size: 12 }, uirevision: state.data.map, hovermode: "closest",
        legend: { itemclick: "toggleothers", itemdoubleclick: "toggle", groupclick: "togglegroup", itemsizing: "constant",
            bgcolor: "rgba(0,0,0,0)", ...legendPlace(state) },
        dragmode: state.z ? "orbit" : "lasso",
        modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.text, activecolor: theme.text, orientation: "h" },
        newselection: { line: { color: theme.text, width: 1, dash: "dot" } },
    };
    const camera = (state.data.camera || "").split(",").map(Number);
    const usable = camera.every(Number.isFinite);
    if (state.z) {
        layout.scene = { xaxis: bare, yaxis: bare, zaxis: bare, aspectmode: "cube" };
        if (usable && camera.length === 6) {
            const [a, b, c, d, e, f] = camera;
            layout.scene.camera = { eye: { x: a, y: b, z: c }, center: { x: d, y: e, z: f } };
        }
    } else {
        layout.xaxis = { ...bare };
        layout.yaxis = { ...bare };
        const span = usable && camera.length === 4 ? camera : rangeOf(state);
        layout.xaxis.range = span.slice(0, 2);
        layout.yaxis.range = span.slice(2);
    }
    return layout;
}

/** @type {(state: MapState) => object} */
function legendPlace(state) {
    if (state.root.clientWidth < 640) return { orientation: "h", y: -0.02, yanchor: "top", x: 0, font: { size: 10 } };
    return state.data.column.kind === "texts"
        ? { x: 1.01, xanchor: "left", y: 0.95 } : { orientation: "h", x: 0, y: 1, yanchor: "bottom" };
}

/** @type {(state: MapState) => number[]} */
function rangeOf({ data: { low, high } }) {
    const room = [0, 1].map((axis) => (high[axis] - low[axis]) * 0.04);
    return [low[0] - room[0], high[0] + room[0], low[1] - room[1], high[1] + room[1]];
}

/** @type {(state: MapState, at: number) => string} */
function cardKey(state, at) { return `${state.data.map}/${at}`; }

/** @type {(root: HTMLElement, selector: string) => HTMLElement} */
function part(root, selector) { return /** @type {HTMLElement} */ (root.querySelector(selector)); }

/** @type {(state: MapState) => void} */
function showCard(state) {
    const card = part(state.root, ".card");
    const known = state.hovered === null ? null : CARDS.get(cardKey(state, state.hovered));
    card.hidden = !known;
    if (!known) return;
    const image = /** @type {HTMLImageElement} */ (card.querySelector("img"));
    image.hidden = !known.src;
    if (known.src) image.src = known.src;
    part(card, ".name").textContent = known.title;
    part(card, ".lines").textContent = known.lines.join("\n");
    const left = Math.min(state.pointer[0] + 14, state.root.clientWidth - 170);
    card.style.left = `${Math.max(left, 0)}px`;
    card.style.top = `${Math.max(Math.min(state.pointer[1] + 14, state.data.height - 190), 0)}px`;
}

/** @type {(state: MapState, name: string, value: unknown) => void} */
function ask(state, name, value) {
    state.busyUntil = performance.now() + BUSY_MS;
    state.send(name, value);
}

// What may wait, waits until the page has answered what was asked: a message takes the address line along as it is, and
// sent before the answer it would take back the selection that the answer puts there.
/** @type {(state: MapState, name: string, value: unknown) => void} */
function tell(state, name, value) {
    state.later.set(name, value);
    tellLater(state);
}

/** @type {(state: MapState) => void} */
function tellLater(state) {
    clearTimeout(state.laterTimer);
    const wait = state.busyUntil - performance.now();
    if (wait > 0) {
        state.laterTimer = setTimeout(() => tellLater(state), wait);
        return;
    }
    for (const [name, value] of state.later) state.keep(name, value);
    state.later.clear();
}

/** @type {(state: MapState) => void} */
function answered(state) {
    if (state.busyUntil > performance.now()) state.busyUntil = performance.now() + SETTLE_MS;
    tellLater(state);
}

/** @type {(state: MapState, event: PlotEvent) => void} */
function onHover(state, event) {
    const point = event.points.find((one) => one.curveNumber < state.members.length);
    if (!point) return;
    state.hovered = state.members[point.curveNumber][point.pointNumber];
    const box = state.root.getBoundingClientRect();
    state.pointer = event.event ? [event.event.clientX - box.left, event.event.clientY - box.top] : [10, 10];
    showCard(state);
    clearTimeout(state.hoverTimer);
    if (!CARDS.has(cardKey(state, state.hovered))) {
        state.hoverTimer = setTimeout(() => {
            if (state.hovered === null) return;
            state.turn += 1;
            tell(state, "hovered", [state.hovered, state.turn]);
        }, HOVER_MS);
    }
}

/** @type {(state: MapState, change: object) => void} */
function onCamera(state, change) {
    const names = Object.keys(change);
    if (!names.some((name) => name.includes("range") || name.includes("camera")) || state.flying) return;
    clearTimeout(state.cameraTimer);
    state.cameraTimer = setTimeout(() => {
        const full = state.plot._fullLayout;
        const values = state.z
            ? [full.scene.camera.eye, full.scene.camera.center].flatMap(({ x, y, z }) => [x, y, z])
            : [...full.xaxis.range, ...full.yaxis.range];
        tell(state, "camera", values.map((value) => Number(value).toFixed(3)).join(","));
    }, CAMERA_MS);
}

/** @type {(state: MapState) => void} */
function listen(state) {
    const { plot } = state;
    plot.on("plotly_hover", (event) => onHover(state, event));
    plot.on("plotly_unhover", () => { state.hovered = null; clearTimeout(state.hoverTimer); showCard(state); });
    plot.on("plotly_click", (event) => {
        const point = event.points.find((one) => one.curveNumber < state.members.length);
        if (point) ask(state, "clicked", state.members[point.curveNumber][point.pointNumber]);
    });
    plot.on("plotly_selected", (event) => {
        if (!event || !event.points) return;
        const chosen = event.points.filter((one) => one.curveNumber < state.members.length)
            .map((one) => state.members[one.curveNumber][one.pointNumber]);
        chosen.sort((first, second) => first - second);
        state.marked = JSON.stringify(chosen); // Plotly has marked them already
        ask(state, "selected", chosen);
    });
    plot.on("plotly_deselect", () => ask(state, "selected", []));
    plot.on("plotly_relayout", (change) => onCamera(state, change));
}

/** @type {(state: MapState) => void} */
function markSelected(state) {
    if (state.z) return;
    const { selected } = state.data;
    const chosen = new Set(selected);
    const points = state.members.map((members) => {
        if (!selected.length) return null;
        /** @type {number[]} */
        const rows = [];
        members.forEach((at, row) => { if (chosen.has(at)) rows.push(row); });
        return rows;
    });
    state.Plotly.restyle(state.plot, { selectedpoints: points }, points.map((_, at) => at));
}

/** @type {(state: MapState) => void} */
function fly(state) {
    const { fly: to } = state.data;
    if (!to || to.turn === state.flown) return;
    state.flown = to.turn;
    const [x, y, z] = position(state, to.at);
    state.flying = true;
    const wide = [0, 1].map((axis) => (state.data.high[axis] - state.data.low[axis]) * 0.06);
    const change = state.z
        ? { "scene.camera.center": centreOf(state, [x, y, z]), "scene.camera.eye": nearTo(centreOf(state, [x, y, z])) }
        : { "xaxis.range": [x - wide[0], x + wide[0]], "yaxis.range": [y - wide[1], y + wide[1]] };
    state.Plotly.relayout(state.plot, change).then(() => { state.flying = false; onCamera(state, { camera: true }); });
}

/** @type {(state: MapState, point: number[]) => Axes} */
function centreOf(state, point) {
    const { low, high } = state.data;
    const [x, y, z] = point.map((value, axis) => (value - low[axis]) / (high[axis] - low[axis]) - 0.5);
    return { x, y, z };
}

/** @type {(centre: Axes) => Axes} */
function nearTo({ x, y, z }) { return { x: x + 0.35, y: y + 0.35, z: z + 0.35 }; }

/** @type {(state: MapState) => Promise<void>} */
async function draw(state) {
    const theme = themeOf(state.root);
    const drawn = `${state.data.version} ${theme.ground}`;
    const above = overlays(state, theme);
    if (state.drawn !== drawn) {
        state.drawn = drawn;
        const figure = [...traces(state, theme), ...above];
        const options = { displaylogo: false, showSendToCloud: false, responsive: true, scrollZoom: true, doubleClick: "reset",
            modeBarButtonsToRemove: ["toImage", "autoScale2d", "resetScale2d", "hoverClosest3d", "resetCameraLastSave3d"] };
        const fresh = !state.plot.on;
        await state.Plotly.react(state.plot, figure, layoutOf(state, theme), options);
        if (fresh) listen(state);
        state.marked = undefined;
    } else if (state.above !== JSON.stringify(above)) {
        const old = state.plot.data.map((trace, at) => (trace.overlay ? at : -1)).filter((at) => at >= 0);
        if (old.length) await state.Plotly.deleteTraces(state.plot, old);
        if (above.length) await state.Plotly.addTraces(state.plot, above);
    }
    state.above = JSON.stringify(above);
    const marked = JSON.stringify(state.data.selected);
    if (state.marked !== marked) markSelected(state);
    state.marked = marked;
    fly(state);
    state.root.dataset.points = String(state.marks.length);
    state.root.dataset.selected = String(state.data.selected.length);
    state.root.dataset.drawn = state.data.version;
}

/** @type {(state: MapState, data: MapData) => void} */
function take(state, data) {
    const table = data.points;
    if (state.data?.version !== data.version) {
        state.x = scaled(column(table, "x"), data.low[0], data.high[0]);
        state.y = scaled(column(table, "y"), data.low[1], data.high[1]);
        state.z = table.getChild("z") ? scaled(column(table, "z"), data.low[2], data.high[2]) : null;
        state.codes = column(table, "code");
        state.marks = column(table, "mark");
    }
    state.data = data;
}

/** @type {(parentElement: HTMLElement) => MapState} */
function begin(parentElement) {
    const root = part(parentElement, ".twinset-map");
    const state = /** @type {MapState} */ ({ root, plot: part(root, ".plot"), webgl: hasWebGL(),
        queue: Promise.resolve(), hovered: null, pointer: [0, 0], turn: 0, later: new Map(), busyUntil: 0 });
    state.onCard = ({ detail }) => {
        if (CARDS.size >= MOST_CARDS) CARDS.delete(CARDS.keys().next().value);
        CARDS.set(`${detail.map}/${detail.at}`, detail);
        showCard(state);
    };
    part(root, ".note").hidden = state.webgl;
    return state;
}

/** @param {Given<MapData>} given */
export default function ({ parentElement, data, setTriggerValue, setStateValue }) {
    const root = /** @type {MapRoot} */ (part(parentElement, ".twinset-map"));
    root.twinset ??= begin(parentElement);
    const state = root.twinset;
    state.send = setTriggerValue;
    state.keep = setStateValue;
    window.addEventListener("twinset-card", state.onCard); // Streamlit may have called what is returned below
    root.style.minHeight = `${data.height}px`;
    state.queue = state.queue.then(async () => {
        state.Plotly = await loadPlotly(data.plotly);
        take(state, data);
        await draw(state);
        answered(state);
    }).catch((/** @type {Error} */ error) => {
        const note = part(root, ".note");
        note.textContent = `The map cannot be drawn: ${error.message}. Reload the page.`;
        note.hidden = false;
    });
    return () => window.removeEventListener("twinset-card", state.onCard);
}
