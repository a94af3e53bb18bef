// Products and their substitutes, side by side, checked by keys or buttons. Text is set as text, never as markup.
// Sends "decided": all decisions that Python has not heard of yet, so that fast typing loses none, nor a reload; and "turned": a page.

const KEYS = /** @type {Record<string, string>} */ ({ k: "keep", s: "swap", r: "reject", u: "undo" });
const WORDS = /** @type {Record<string, string>} */ ({ "": "Not checked", keep: "Kept", reject: "Rejected" });
const BUTTONS = [["keep", "Keep"], ["swap", "Swap"], ["reject", "Reject"]];

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[T]}
 */
function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
}

/** @type {(caption: string, shown: CheckSide) => HTMLElement} */
function side(caption, shown) {
    const block = element("div", "side");
    const frame = element("div", "frame");
    if (shown.src) {
        const image = element("img");
        image.src = shown.src;
        image.alt = `${caption}: ${shown.title}`;
        frame.append(image);
    } else frame.append(element("span", "missing", "No picture"));
    block.append(element("div", "caption", caption), frame, element("div", "title", shown.title));
    for (const line of shown.lines) block.append(element("div", "line", line));
    return block;
}

/** @type {(table: CheckTable, at: number) => HTMLElement} */
function rowOf(table, at) {
    const row = table.data.rows[at];
    const place = row.twins.findIndex((one) => one.id === row.twin);
    const count = row.twins.length > 1 ? `Substitute ${place + 1} of ${row.twins.length}` : "Substitute";
    const item = element("li", "row");
    item.id = `row-${at}`;
    item.dataset.decided = row.decided;
    item.dataset.productId = row.id;
    if (at === table.at) item.setAttribute("aria-current", "true");
    item.onclick = () => select(table, at);
    const state = element("div", "state", WORDS[row.decided]);
    const buttons = element("div", "buttons");
    for (const [what, title] of BUTTONS) {
        const button = element("button", what, title);
        button.type = "button";
        button.tabIndex = -1; // the keys do the same
        button.setAttribute("aria-label", `${title}: ${row.product.title}`);
        button.setAttribute("aria-pressed", String(row.decided === what));
        button.disabled = what === "swap" && row.twins.length < 2;
        button.onclick = (event) => {
            event.stopPropagation();
            select(table, at);
            act(table, what);
        };
        buttons.append(button);
    }
    const decide = element("div", "decide");
    decide.append(state, buttons);
    item.append(side("Product", row.product), side(count, row.twins[place]), decide);
    return item;
}

/** @type {(table: CheckTable, at: number) => void} */
function redraw(table, at) {
    table.list.children[at]?.replaceWith(rowOf(table, at));
    tell(table);
}

/** @type {(table: CheckTable) => void} */
function tell(table) {
    const { data } = table;
    const here = data.rows.filter((row) => row.decided).length;
    const counter = /** @type {HTMLElement} */ (table.root.querySelector(".counter"));
    counter.textContent = `${(data.elsewhere + here).toLocaleString("en")} of ${data.total.toLocaleString("en")} checked`;
    const last = Math.max(data.pages, 1);
    const page = /** @type {HTMLElement} */ (table.root.querySelector(".page"));
    page.textContent = `Page ${data.page} of ${last}`;
    const [back, next] = table.root.querySelectorAll(".turn");
    back.toggleAttribute("disabled", data.page <= 1);
    next.toggleAttribute("disabled", data.page >= last);
    const current = data.rows[table.at];
    table.list.setAttribute("aria-activedescendant", current ? `row-${table.at}` : "");
}

/** @type {(table: CheckTable, at: number) => void} */
function select(table, at) {
    const before = table.at;
    table.at = Math.min(Math.max(at, 0), table.data.rows.length - 1);
    if (before !== table.at) redraw(table, before);
    redraw(table, table.at);
    table.list.focus({ preventScroll: true });
    table.list.children[table.at]?.scrollIntoView({ block: "nearest" });
}

// A page that is left before Python has heard of a decision has it sent by the page that comes after it.
/** @type {(table: CheckTable) => void} */
function keep(table) {
    sessionStorage.setItem(`twinset-check ${table.data.key}`, JSON.stringify(table.unheard));
}

/** @type {(table: CheckTable) => void} */
function sendKept(table) {
    table.unheard = JSON.parse(sessionStorage.getItem(`twinset-check ${table.data.key}`) ?? "[]");
    if (!table.unheard.length) return;
    table.last = table.unheard[table.unheard.length - 1][0];
    table.send("decided", table.unheard);
}

/** @type {(table: CheckTable, id: string, decided: string, twin: string) => void} */
function decide(table, id, decided, twin) {
    table.last = Math.max(Date.now(), table.last + 1);
    table.unheard.push([table.last, id, decided, twin]);
    keep(table);
    table.send("decided", table.unheard);
    const at = table.data.rows.findIndex((row) => row.id === id);
    if (at < 0) return;
    Object.assign(table.data.rows[at], { decided, twin });
    redraw(table, at);
}

/** @type {(table: CheckTable, what: string) => void} */
function act(table, what) {
    const row = table.data.rows[table.at];
    if (what === "undo") {
        const before = table.done.pop();
        if (!before) return;
        const [id, decided, twin] = before;
        decide(table, id, decided, twin);
        const at = table.data.rows.findIndex((one) => one.id === id);
        if (at >= 0) select(table, at);
        return;
    }
    if (!row || (what === "swap" && row.twins.length < 2)) return;
    table.done.push([row.id, row.decided, row.twin]);
    if (what === "swap") {
        const place = row.twins.findIndex((one) => one.id === row.twin);
        decide(table, row.id, "", row.twins[(place + 1) % row.twins.length].id);
        return;
    }
    decide(table, row.id, what, row.twin);
    step(table, 1);
}

// At the end of a page, the next one; the keys go on there.
/** @type {(table: CheckTable, by: number) => void} */
function step(table, by) {
    const at = table.at + by;
    if (at >= 0 && at < table.data.rows.length) select(table, at);
    else turn(table, by, by < 0);
}

/** @type {(table: CheckTable, by: number, toLast?: boolean) => void} */
function turn(table, by, toLast = false) {
    const page = table.data.page + by;
    if (page < 1 || page > table.data.pages) return;
    table.turning = toLast ? "last" : "first";
    table.last = Math.max(Date.now(), table.last + 1);
    table.send("turned", [table.last, page]);
}

/** @type {(table: CheckTable, event: KeyboardEvent) => void} */
function pressed(table, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const what = KEYS[event.key.toLowerCase()];
    if (by === undefined && what === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (by !== undefined) step(table, by);
    else act(table, what);
}

/** @type {(root: CheckTableRoot, given: Given<CheckData>) => CheckTable} */
function built(root, given) {
    const list = element("ol", "list");
    list.tabIndex = 0;
    list.setAttribute("aria-label", "Products and their substitutes");
    const table = /** @type {CheckTable} */ ({ root, list, data: given.data, at: -1, last: 0, unheard: [], done: [], turning: "", send: given.setTriggerValue });
    const head = element("div", "head");
    const turns = element("div", "turns");
    for (const [title, by] of /** @type {[string, number][]} */ ([["Previous", -1], ["Next", 1]])) {
        const button = element("button", "turn", title);
        button.type = "button";
        button.onclick = () => turn(table, by);
        turns.append(button);
    }
    turns.children[0].after(element("span", "page"));
    const undo = element("button", "undo", "Undo");
    undo.type = "button";
    undo.onclick = () => act(table, "undo");
    const how = element("div", "how", "Keys: ↑ ↓ move, K keep, S swap, R reject, U undo");
    const counter = element("strong", "counter");
    counter.setAttribute("role", "status");
    head.append(counter, undo, turns);
    list.onkeydown = (event) => pressed(table, event);
    root.replaceChildren(head, how, list);
    sendKept(table);
    return table;
}

/** @type {(table: CheckTable, data: CheckData) => void} */
function hear(table, data) {
    const isOther = table.shown !== data.page || table.list.children.length !== data.rows.length;
    table.unheard = table.unheard.filter(([number]) => number > data.heard);
    for (const [, id, decided, twin] of table.unheard) {
        const row = data.rows.find((one) => one.id === id);
        if (row) Object.assign(row, { decided, twin });
    }
    const current = table.data.rows[table.at]?.id;
    table.data = data;
    keep(table);
    if (isOther || data.rows[table.at]?.id !== current) {
        const open = data.rows.findIndex((row) => !row.decided);
        table.at = table.turning ? (table.turning === "last" ? data.rows.length - 1 : 0) : Math.max(open, 0);
    }
    table.list.replaceChildren(...data.rows.map((_, at) => rowOf(table, at)));
    tell(table);
    if (table.turning && isOther) select(table, table.at);
    if (isOther) table.turning = "";
    table.shown = data.page;
}

/** @param {Given<CheckData>} given */
export default function (given) {
    const root = /** @type {CheckTableRoot} */ (given.parentElement.querySelector(".check"));
    root.table ??= built(root, given);
    root.table.send = given.setTriggerValue;
    const text = JSON.stringify(given.data);
    if (root.text === text) return; // Streamlit calls again without news
    root.text = text;
    hear(root.table, JSON.parse(text));
}
