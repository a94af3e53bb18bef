// The photo asked about, and a box over it: the part that counts. Edges are fractions of width and height, in the order
// left, top, right, bottom. Sends "region", the four edges, or none for the whole photo.

const LEAST = 0.05; // of the photo's width or height
const LEAST_PIXELS = 8; // less is refused
const STEP = 0.01;
const WAIT_MS = 400; // after the last key
const CLICK_PIXELS = 4; // who moves less than that has clicked
const FIRST = /** @type {Edges} */ ([0.1, 0.1, 0.9, 0.9]);
const NAMES = ["left", "top", "right", "bottom"];
const LETTERS = "ltrb";

/** @type {(photo: QueryPhoto, selector: string) => HTMLElement} */
function part(photo, selector) { return /** @type {HTMLElement} */ (photo.root.querySelector(selector)); }

/** @type {(value: number, low: number, high: number) => number} */
function within(value, low, high) { return Math.min(Math.max(value, low), high); }

/** @type {(photo: QueryPhoto) => [number, number]} */
function least(photo) {
    const { naturalWidth: width, naturalHeight: height } = photo.image;
    return [Math.min(1, Math.max(LEAST, LEAST_PIXELS / (width || 1))), Math.min(1, Math.max(LEAST, LEAST_PIXELS / (height || 1)))];
}

/** @type {(photo: QueryPhoto) => void} */
function draw(photo) {
    const { box, edges } = photo;
    const is_part = edges !== null;
    box.hidden = !is_part;
    for (const selector of [".whole", ".how", "details"]) part(photo, selector).toggleAttribute("hidden", !is_part);
    part(photo, ".part").toggleAttribute("hidden", is_part);
    if (!edges) return;
    const [left, top, right, bottom] = edges;
    box.style.left = `${left * 100}%`;
    box.style.top = `${top * 100}%`;
    box.style.width = `${(right - left) * 100}%`;
    box.style.height = `${(bottom - top) * 100}%`;
    const typing = /** @type {ShadowRoot} */ (photo.root.getRootNode()).activeElement;
    for (const [at, field] of photo.fields.entries()) if (field !== typing) field.value = percent(edges[at]);
}

/** @type {(edge: number) => string} */
function percent(edge) { return String(Math.round(edge * 100)); }

// Sends what is chosen, at once or when no further key comes.
/** @type {(photo: QueryPhoto, wait_ms?: number) => void} */
function tell(photo, wait_ms = 0) {
    clearTimeout(photo.timer);
    photo.timer = setTimeout(() => {
        photo.timer = undefined;
        const edges = photo.edges ? photo.edges.map((edge) => Number(edge.toFixed(4))) : [];
        photo.sent.push(JSON.stringify(edges));
        photo.send("region", edges);
    }, wait_ms);
}

// Takes up what Python knows, unless something newer is chosen here already: a drag, a key, or what was sent after it.
/** @type {(photo: QueryPhoto, region: Edges | null) => void} */
function hear(photo, region) {
    const heard = JSON.stringify(region ?? []);
    const is_old = heard === photo.heard;
    photo.heard = heard;
    const at = photo.sent.lastIndexOf(heard);
    if (at >= 0) photo.sent.splice(0, at + 1);
    else if (!is_old) photo.sent = []; // chosen elsewhere, by a button or another photo
    if (photo.held || photo.timer !== undefined || photo.sent.length) return;
    photo.edges = region;
    draw(photo);
}

/** @type {(photo: QueryPhoto, edges: Edges | null, wait_ms?: number) => void} */
function choose(photo, edges, wait_ms) {
    photo.edges = edges;
    draw(photo);
    tell(photo, wait_ms);
}

/** @type {(edges: Edges, x: number, y: number) => Edges} */
function moved([left, top, right, bottom], x, y) {
    const across = within(x, -left, 1 - right);
    const down = within(y, -top, 1 - bottom);
    return [left + across, top + down, right + across, bottom + down];
}

// Moves the named edges; none passes the one across from it.
/** @type {(photo: QueryPhoto, edges: Edges, named: string, x: number, y: number) => Edges} */
function resized(photo, edges, named, x, y) {
    const found = /** @type {Edges} */ ([...edges]);
    const room = least(photo);
    for (const letter of named) {
        const at = LETTERS.indexOf(letter);
        const value = edges[at] + (at % 2 ? y : x);
        found[at] = at < 2 ? within(value, 0, Math.max(0, edges[at + 2] - room[at]))
            : within(value, Math.min(1, edges[at - 2] + room[at - 2]), 1);
    }
    return found;
}

/** @type {(photo: QueryPhoto, event: PointerEvent) => [number, number]} */
function place(photo, event) {
    const { left, top, width, height } = photo.stage.getBoundingClientRect();
    return [within((event.clientX - left) / width, 0, 1), within((event.clientY - top) / height, 0, 1)];
}

/** @type {(photo: QueryPhoto, event: PointerEvent) => void} */
function grab(photo, event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const on_box = photo.box.contains(target);
    if (event.button !== 0 || (!on_box && event.pointerType === "touch")) return; // a finger beside the box scrolls
    event.preventDefault();
    photo.stage.setPointerCapture(event.pointerId);
    photo.held = {
        start: place(photo, event), at: [event.clientX, event.clientY], before: photo.edges,
        named: on_box ? target.dataset.edges || "" : null,
    };
    if (on_box) photo.box.focus({ preventScroll: true });
}

/** @type {(photo: QueryPhoto, event: PointerEvent) => void} */
function drag(photo, event) {
    const { held } = photo;
    if (!held) return;
    const [x, y] = place(photo, event);
    const [x0, y0] = held.start;
    if (Math.hypot(event.clientX - held.at[0], event.clientY - held.at[1]) < CLICK_PIXELS && !held.moved) return;
    held.moved = true;
    if (held.named === null) photo.edges = [Math.min(x, x0), Math.min(y, y0), Math.max(x, x0), Math.max(y, y0)];
    else if (held.before && held.named) photo.edges = resized(photo, held.before, held.named, x - x0, y - y0);
    else if (held.before) photo.edges = moved(held.before, x - x0, y - y0);
    draw(photo);
}

/** @type {(photo: QueryPhoto) => void} */
function release(photo) {
    const { held, edges } = photo;
    photo.held = undefined;
    if (!held?.moved || !edges) return;
    const [width, height] = least(photo);
    const is_speck = edges[2] - edges[0] < width - 1e-9 || edges[3] - edges[1] < height - 1e-9;
    if (is_speck) {
        photo.edges = held.before;
        draw(photo);
    } else choose(photo, edges);
}

/** @type {(photo: QueryPhoto, event: KeyboardEvent) => void} */
function press(photo, event) {
    if (!photo.edges) return;
    const ways = /** @type {Record<string, [number, number]>} */ ({
        ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
    });
    const way = ways[event.key];
    if (event.key === "Escape") whole(photo);
    else if (way) choose(photo, event.shiftKey ? resized(photo, photo.edges, "rb", ...way) : moved(photo.edges, ...way), WAIT_MS);
    else return;
    event.preventDefault();
    event.stopPropagation(); // Streamlit's own keys
}

/** @type {(photo: QueryPhoto) => void} */
function whole(photo) {
    choose(photo, null);
    part(photo, ".part").focus({ preventScroll: true });
}

/** @type {(photo: QueryPhoto, at: number) => void} */
function typed(photo, at) {
    const field = photo.fields[at];
    if (!photo.edges || field.value === "") return;
    const by = Number(field.value) / 100 - photo.edges[at];
    const edges = resized(photo, photo.edges, LETTERS[at], by, by);
    field.value = percent(edges[at]);
    choose(photo, edges);
}

/** @type {(root: HTMLElement) => QueryPhoto} */
function prepared(root) {
    const found = (/** @type {string} */ selector) => /** @type {any} */ (root.querySelector(selector));
    /** @type {QueryPhoto} */
    const photo = {
        root, stage: found(".stage"), image: found("img"), box: found(".box"),
        fields: NAMES.map((name) => found(`[name=${name}]`)), edges: null, sent: [], heard: "", send: () => {},
    };
    photo.stage.onpointerdown = (event) => grab(photo, event);
    photo.stage.onpointermove = (event) => drag(photo, event);
    photo.stage.onpointerup = () => release(photo);
    photo.stage.onpointercancel = () => release(photo);
    photo.box.onkeydown = (event) => press(photo, event);
    found(".part").onclick = () => {
        choose(photo, FIRST);
        photo.box.focus({ preventScroll: true });
    };
    found(".whole").onclick = () => whole(photo);
    for (const [at, field] of photo.fields.entries()) field.onchange = () => typed(photo, at);
    return photo;
}

/** @param {Given<QueryPhotoData>} given */
export default function ({ parentElement, data, setTriggerValue }) {
    const root = /** @type {QueryPhotoRoot} */ (parentElement.querySelector(".query-photo"));
    root.photo ??= prepared(root);
    const { photo } = root;
    photo.send = setTriggerValue;
    const missing = !data.src;
    for (const selector of [".stage", ".caption", ".tools"]) part(photo, selector).toggleAttribute("hidden", missing);
    if (photo.image.getAttribute("src") !== data.src) photo.image.src = data.src;
    hear(photo, data.region);
}
