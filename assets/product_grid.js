// Cards of products, built from data with textContent only: nothing that comes from a catalogue is read as markup.
// A click or Enter on a card sends its product_id to Python as the trigger "picked", one on the small button below it
// as "dismissed".

function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null && text !== "") node.textContent = text;
    return node;
}

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

function badges(card) {
    const row = element("div", "badges");
    row.append(...card.badges.map((text) => element("span", "badge", text)));
    return row;
}

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

function body(card) {
    const block = element("div", "body");
    block.append(element("div", "title", card.title));
    for (const line of card.lines) block.append(element("div", "line", line));
    if (card.price) block.append(element("div", "price", card.price));
    if (card.percent_text) block.append(score(card));
    return block;
}

function secondButton(card, title, dismiss) {
    const button = element("button", "second", title);
    button.type = "button";
    button.setAttribute("aria-label", `${title}: ${card.title}`);
    button.onclick = () => dismiss(card.id);
    return button;
}

function tile(card, data, grid) {
    const { action, second } = data;
    const item = element("li");
    item.dataset.productId = card.id;
    const box = element(action ? "button" : "div", "card");
    box.append(picture(card));
    if (card.rank) box.append(element("span", "rank", card.rank));
    if (card.badges.length) box.append(badges(card));
    box.append(body(card));
    if (action) {
        box.type = "button";
        box.title = action;
        box.setAttribute("aria-label", `${action}: ${card.title}`);
        box.onclick = () => grid.pick(card.id);
    }
    item.append(box);
    if (second) item.append(secondButton(card, second, (id) => grid.dismiss(id)));
    return item;
}

function tiles(data, grid) {
    let group = "";
    return data.cards.flatMap((card) => {
        const heading = card.group && card.group !== group ? [element("li", "heading", card.group)] : [];
        group = card.group;
        return [...heading, tile(card, data, grid)];
    });
}

export default function ({ parentElement, data, setTriggerValue }) {
    const grid = parentElement.querySelector(".grid");
    const shown = JSON.stringify(data);
    grid.pick = (id) => setTriggerValue("picked", id);
    grid.dismiss = (id) => setTriggerValue("dismissed", id);
    if (grid.shown === shown) return; // Streamlit calls again without news; what stands there stays
    grid.shown = shown;
    grid.replaceChildren(...tiles(data, grid));
}
