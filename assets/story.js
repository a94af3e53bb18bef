// The bar of the story and the window with its notes. Both are told of every change of the act by a channel between the
// windows of one browser; the address of the notes names the act as well, so that they begin right without it.

const CHANNEL = "twinset-story";
const FULL = "story-full"; // class of the page while nothing of Streamlit's frame is shown
const STEPS = new Map([["ArrowRight", 1], ["ArrowLeft", -1]]);
const PRESENTER = new Map([["PageDown", 1], ["PageUp", -1]]); // which scroll where the page is not full
// Where arrow keys have a use of their own.
const BUSY = "input:not([type=file]), textarea, select, [contenteditable=true], [role=slider], [role=tablist], [role=listbox], [role=combobox], [role=dialog]";

const html = document.documentElement;

/** @type {(story: Story, to: number, is_told?: boolean) => void} */
function turn(story, to, is_told = false) {
    const act = Math.min(Math.max(to, 1), story.data.titles.length);
    if (act === story.act) return;
    story.act = act;
    story.begun = Date.now();
    if (!is_told) story.channel.postMessage({ act });
    if (story.data.notes.length) {
        const address = new URL(location.href);
        address.searchParams.set("act", String(act));
        history.replaceState(history.state, "", address);
    } else {
        story.send("act", act);
        document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0 });
    }
    draw(story);
}

/** @type {(story: Story) => void} */
function draw(story) {
    const { root, act, data } = story;
    const is_notes = data.notes.length > 0;
    const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
    find(".story").hidden = is_notes;
    find(".story-notes").hidden = !is_notes;
    if (is_notes) {
        find("h2").textContent = data.titles[act - 1];
        find("div").replaceChildren(...data.notes[act - 1].map((text) => Object.assign(document.createElement("p"), { textContent: text })));
        return;
    }
    find("ol").replaceChildren(...data.titles.map((title, place) => {
        const item = document.createElement("li");
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
        if (place + 1 === act) button.setAttribute("aria-current", "step");
        button.onclick = () => turn(story, place + 1);
        item.append(button);
        return item;
    }));
    /** @type {HTMLButtonElement} */ (find(".back")).disabled = act === 1;
    /** @type {HTMLButtonElement} */ (find(".next")).disabled = act === data.titles.length;
    /** @type {HTMLAnchorElement} */ (find("a")).href = `${location.pathname}?notes=1&act=${act}`;
    find("[role=status]").textContent = data.titles[act - 1];
}

/** @type {(is_full: boolean) => void} */
function fill(is_full) {
    html.classList.toggle(FULL, is_full);
    const button = document.querySelector(".story .full");
    if (button) button.textContent = is_full ? "Exit full screen" : "Full screen";
    if (is_full) html.requestFullscreen?.().catch(() => {}); // refused, as in a frame: the page fills its window still
    else if (document.fullscreenElement) document.exitFullscreen();
}

/** @type {(story: Story, event: KeyboardEvent) => void} */
function press(story, event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    if (event.composedPath().some((node) => node instanceof Element && node.matches(BUSY))) return;
    const is_full = html.classList.contains(FULL);
    const step = STEPS.get(event.key) ?? (is_full ? PRESENTER.get(event.key) : undefined);
    if (step) {
        event.preventDefault();
        turn(story, story.act + step);
    } else if (event.key === "Escape" && is_full && !story.data.notes.length) fill(false);
}

/** @type {(story: Story, told: { act?: number, asks?: boolean }) => void} */
function hear(story, { act, asks }) {
    if (act) turn(story, act, true);
    else if (asks && !story.data.notes.length) story.channel.postMessage({ act: story.act });
}

/** @type {(story: Story) => void} */
function tick({ root, begun }) {
    const seconds = Math.floor((Date.now() - begun) / 1000);
    const time = /** @type {HTMLElement} */ (root.querySelector(".time"));
    time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @type {(story: Story) => void} */
function listen(story) {
    const { root, channel, stop: { signal } } = story;
    document.addEventListener("keydown", (event) => press(story, event), { signal });
    document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) fill(false); }, { signal });
    channel.onmessage = ({ data }) => hear(story, data);
    const on = (/** @type {string} */ selector, /** @type {() => void} */ act) => {
        /** @type {HTMLElement} */ (root.querySelector(selector)).onclick = act;
    };
    on(".back", () => turn(story, story.act - 1));
    on(".next", () => turn(story, story.act + 1));
    on(".full", () => fill(!html.classList.contains(FULL)));
    if (story.data.notes.length) {
        html.classList.add(FULL);
        channel.postMessage({ asks: true });
        const timer = setInterval(() => tick(story), 1000);
        signal.addEventListener("abort", () => clearInterval(timer));
    }
    signal.addEventListener("abort", () => channel.close());
}

/** @param {Given<StoryData>} given */
export default function ({ parentElement, data, setTriggerValue }) {
    const root = /** @type {StoryRoot} */ (parentElement.querySelector(".story-root"));
    if (!root.story) {
        const channel = new BroadcastChannel(CHANNEL);
        root.story = { root, data, act: data.act, begun: Date.now(), send: setTriggerValue, channel, stop: new AbortController() };
        listen(root.story);
        if (!data.notes.length) channel.postMessage({ act: data.act });
    }
    const { story } = root;
    const was = story.data.act;
    Object.assign(story, { data, send: setTriggerValue });
    if (data.act !== was && data.act !== story.act) { // by a button of the page, or the browser's
        story.act = data.act;
        story.channel.postMessage({ act: data.act });
    }
    draw(story);
    return () => {
        if (!root.isConnected) fill(false);
        story.stop.abort();
        root.story = undefined;
    };
}
