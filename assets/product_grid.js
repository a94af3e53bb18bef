// Cards of products, built from data with textContent only: nothing that comes from a catalogue is read as markup.
// A click or Enter on a card sends its product_id to Python as the trigger "picked".

function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null && text !== "") node.textContent = text;
    return node;
}

function picture(card) {
    const frame = element("div", "frame");
    const image = element("img");
    image.src = card.src;
    image.alt = card.title;
    image.decoding = "sync";
    frame.append(image);
    return frame;
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

function tile(card, action, pick) {
    const item = element("li");
    item.dataset.productId = card.id;
    const box = element(action ? "button" : "div", "card");
    box.append(picture(card));
    if (card.rank) box.append(element("span", "rank", card.rank));
    box.append(body(card));
    if (action) {
        box.type = "button";
        box.title = action;
        box.setAttribute("aria-label", `${action}: ${card.title}`);
        box.onclick = () => pick(card.id);
    }
    item.append(box);
    return item;
}

export default function ({ parentElement, data, setTriggerValue }) {
    const grid = parentElement.querySelector(".grid");
    const shown = JSON.stringify(data);
    grid.pick = (id) => setTriggerValue("picked", id);
    if (grid.shown === shown) return; // Streamlit calls again without news; what stands there stays
    grid.shown = shown;
    grid.replaceChildren(...data.cards.map((card) => tile(card, data.action, (id) => grid.pick(id))));
}
