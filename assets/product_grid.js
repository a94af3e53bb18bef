// Cards of products, built from data with textContent only: nothing that comes from a catalogue is read as markup.
// A click or Enter on a card sends its product_id to Python as the trigger "picked", one on a small button below it
// as "pressed", with the title of the button. Cards that can be moved are dragged onto another one, or moved by the menu
// below them, by touch and keyboard too: "moved" has the product_id and the place of that card, from 1.

/** @type {Record<string, number | undefined>} */
const THUMBS = { Similar: 0, "Not similar": 180 }; // small buttons that are drawn, by how far the thumb is turned
const MOST_IN_ROW = 3; // small buttons with words below a card; with more, all but Details are in a menu
const THUMB = "M2 21h4V10H2zm20-10c0-1.1-.9-2-2-2h-6.3l1-4.6V4c0-.4-.2-.8-.5-1L13.2 2 6.6 8.6C6.2 9 6 9.5 6 10v9c0 1.1.9 2 2 2h9c.8 0 1.5-.5 1.8-1.2l3-7.1c.1-.2.2-.5.2-.7z";

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {string | null} [text]
 * @returns {HTMLElementTagNameMap[T]}
 */
function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null && text !== "") node.textContent = text;
    return node;
}

/** @type {(src: string, alt: string) => HTMLElement} */
function frameOf(src, alt) {
    const frame = element("div", "frame");
    const missing = () => frame.replaceChildren(element("div", "missing", "No picture"));
    if (!src) {
        missing();
        return frame;
    }
    const image = element("img");
    image.onerror = missing;
    image.src = src;
    image.alt = alt;
    image.decoding = "sync";
    frame.append(image);
    return frame;
}

/** @type {(card: GridCard) => HTMLElement} */
function picture(card) {
    if (!card.pair.length) return frameOf(card.src, card.title);
    const pair = element("div", "pair");
    for (const { caption, src } of card.pair) {
        const side = element("figure", "side");
        side.append(frameOf(src, `${caption}: ${card.title}`), element("figcaption", "", caption));
        pair.append(side);
    }
    return pair;
}

/** @type {(card: GridCard) => HTMLElement} */
function badges(card) {
    const row = element("div", "badges");
    row.append(...card.badges.map((text) => element("span", "badge", text)));
    return row;
}

/** @type {(card: GridCard) => HTMLElement} */
function score(card) {
    const block = element("div", "score");
    const figures = element("div", "figures");
    figures.append(element("span", "percent", card.percent_text), element("span", "detail", card.detail));
    const bar = element("div", "bar");
    const filled = element("span");
    filled.style.width = `${card.percent}%`;
    bar.append(filled);
    block.append(figures, bar);
    return block;
}

/** @type {(card: GridCard) => HTMLElement} */
function body(card) {
    const block = element("div", "body");
    block.append(element("div", "title", card.title));
    if (card.closeness) {
        const line = element("div", "closeness", card.closeness);
        line.dataset.level = card.closeness;
        block.append(line);
    }
    if (card.moved) block.append(element("div", "moved", card.moved));
    for (const line of card.lines) block.append(element("div", "line", line));
    if (card.price) block.append(element("div", "price", card.price));
    if (card.percent_text) block.append(score(card));
    return block;
}

/** @type {(turn: number) => SVGElement} */
function thumb(turn) {
    const [picture, line] = ["svg", "path"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
    picture.setAttribute("viewBox", "0 0 24 24");
    line.setAttribute("d", THUMB);
    line.setAttribute("transform", `rotate(${turn} 12 12)`);
    picture.append(line);
    return /** @type {SVGElement} */ (picture);
}

/** @type {(card: GridCard, title: string, grid: Grid) => HTMLElement} */
function smallButton(card, title, grid) {
    const turn = THUMBS[title];
    const button = element("button", "second", turn === undefined ? title : "");
    button.type = "button";
    button.setAttribute("aria-label", `${title}: ${card.title}`);
    if (turn !== undefined) {
        button.append(thumb(turn));
        button.title = title;
        button.setAttribute("aria-pressed", String(card.pressed.includes(title)));
    }
    button.onclick = () => grid.press([title, card.id]);
    return button;
}

/** @type {(card: GridCard, inside: HTMLElement[]) => HTMLElement} */
function moreMenu(card, inside) {
    const menu = element("details", "more");
    const opener = element("summary", "second", "More");
    opener.setAttribute("aria-label", `More: ${card.title}`);
    const list = element("div", "menu");
    list.append(...inside);
    menu.append(opener, list);
    /** @type {(event: Event) => void} */
    const close = (event) => {
        if (event.composedPath().includes(menu)) return;
        menu.open = false;
        document.removeEventListener("pointerdown", close);
    };
    menu.ontoggle = () => menu.open && document.addEventListener("pointerdown", close);
    menu.onkeydown = (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        opener.focus();
    };
    return menu;
}

/** @type {(card: GridCard, data: GridData, grid: Grid) => HTMLElement} */
function smallButtons(card, data, grid) {
    const row = element("div", "small");
    const made = data.small.map((title) => smallButton(card, title, grid));
    if (data.movable) made.push(moveMenu(card, data, grid));
    const isCrowded = made.length - data.small.filter((title) => title in THUMBS).length > MOST_IN_ROW;
    const direct = [...Object.keys(THUMBS), "Details"];
    const inside = isCrowded ? made.filter((_, at) => !direct.includes(data.small[at] ?? "")) : [];
    row.append(...made.filter((one) => !inside.includes(one)));
    if (inside.length) row.append(moreMenu(card, inside));
    return row;
}

/** @type {(card: GridCard, action: string, grid: Grid) => HTMLElement} */
function pickButton(card, action, grid) {
    const button = element("button", "card");
    button.type = "button";
    button.title = action;
    button.setAttribute("aria-label", `${action}: ${card.title}`);
    button.onclick = () => grid.pick(card.id);
    return button;
}

/** @type {(card: GridCard, data: GridData, grid: Grid) => HTMLElement} */
function moveMenu(card, data, grid) {
    const menu = element("select", "second");
    menu.setAttribute("aria-label", `Move to place: ${card.title}`);
    const places = data.cards.map((_, at) => new Option(`Place ${at + 1}`, String(at + 1)));
    menu.append(new Option("Move to place…", ""), ...places);
    menu.onchange = () => {
        if (menu.value) grid.move([card.id, Number(menu.value)]);
        menu.value = "";
    };
    return menu;
}

/** @type {(item: HTMLElement, card: GridCard, data: GridData, grid: Grid) => void} */
function letMove(item, card, data, grid) {
    item.draggable = true;
    item.ondragstart = (event) => {
        grid.dragged = card.id;
        event.dataTransfer?.setData("text/plain", card.title);
        if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
    };
    item.ondragend = () => {
        grid.dragged = undefined;
        grid.querySelector(".target")?.classList.remove("target");
    };
    item.ondragover = (event) => {
        if (grid.dragged === undefined || grid.dragged === card.id) return; // a file, or the card itself
        event.preventDefault();
        item.classList.add("target");
    };
    item.ondragleave = () => item.classList.remove("target");
    item.ondrop = (event) => {
        event.preventDefault();
        if (grid.dragged !== undefined) grid.move([grid.dragged, data.cards.indexOf(card) + 1]);
    };
}

/** @type {(card: GridCard, data: GridData, grid: Grid) => HTMLElement} */
function tile(card, data, grid) {
    const { action, small, movable } = data;
    const item = element("li");
    item.dataset.productId = card.id;
    const box = action ? pickButton(card, action, grid) : element("div", "card");
    box.append(picture(card));
    if (card.rank) box.append(element("span", "rank", card.rank));
    if (card.badges.length) box.append(badges(card));
    box.append(body(card));
    item.append(box);
    if (small.length || movable) item.append(smallButtons(card, data, grid));
    if (movable) letMove(item, card, data, grid);
    return item;
}

/** @type {(data: GridData, grid: Grid) => HTMLElement[]} */
function tiles(data, grid) {
    let group = "";
    return data.cards.flatMap((card) => {
        const heading = card.group && card.group !== group ? [element("li", "heading", card.group)] : [];
        group = card.group;
        return [...heading, tile(card, data, grid)];
    });
}

/** @param {Given<GridData>} given */
export default function ({ parentElement, data, setTriggerValue }) {
    const grid = /** @type {Grid} */ (parentElement.querySelector(".grid"));
    const shown = JSON.stringify(data);
    grid.pick = (id) => setTriggerValue("picked", id);
    grid.press = (what) => setTriggerValue("pressed", what);
    grid.move = (what) => setTriggerValue("moved", what);
    if (grid.shown === shown) return; // Streamlit calls again without news; what stands there stays
    grid.shown = shown;
    const root = /** @type {ShadowRoot | Document} */ (grid.getRootNode());
    const focused = root.activeElement?.getAttribute("aria-label"); // who works by keyboard goes on where they were
    grid.replaceChildren(...tiles(data, grid));
    if (focused) /** @type {HTMLElement | null} */ (grid.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
}
