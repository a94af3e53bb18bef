// Pasted, dropped and taken photos go into the file input of Streamlit's uploader. What it would refuse is said here in
// a sentence, before it is sent; so is an upload that fails.

const FAILED = "The photo could not be sent. Check the connection and try again.";
const LINK = "This is a link to a picture, not the picture itself. Save the picture first, then drop the file.";
const OTHERS = "[data-testid=stFileUploader]"; // what is dropped on another uploader is for that one
const BROKEN = "[data-testid=stFileChip] [role=alert]"; // of the uploader, for its tooltip: the name of an exception

/** @type {(ways: PhotoWays, text: string) => void} */
function say({ root }, text) {
    const said = /** @type {HTMLElement} */ (root.querySelector(".wrong"));
    said.textContent = text;
    said.hidden = !text;
}

/** @type {(ways: PhotoWays) => HTMLInputElement | null} */
function inputOf({ data }) { return document.querySelector(`.${data.uploader} input[type=file]`); }

/** @type {(data: PhotoWaysData, file: File) => string} */
function whatIsWrong({ suffixes, most_mb, formats }, file) {
    const suffix = file.name.slice(file.name.lastIndexOf(".") + 1).toLowerCase();
    if (!suffixes.includes(suffix)) return `${file.name} is not a photo. Choose a ${formats} picture.`;
    if (!file.size) return `${file.name} is empty. Choose another photo.`;
    const size = file.size / 1048576; // as Streamlit counts them
    return size > most_mb
        ? `${file.name} has ${Math.ceil(size)} MB, and a photo may have ${most_mb} MB. Save it smaller and try again.` : "";
}

/** @type {(ways: PhotoWays, file: File | undefined) => void} */
function take(ways, file) {
    const input = inputOf(ways);
    if (!file || !input) return;
    const wrong = whatIsWrong(ways.data, file);
    say(ways, wrong);
    if (wrong) return;
    const given = new DataTransfer();
    given.items.add(file);
    input.files = given.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
}

/** @type {(ways: PhotoWays, event: ClipboardEvent) => void} */
function paste(ways, event) {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return; // text, say, for a field
    event.preventDefault();
    const suffix = file.type.slice("image/".length).replace("jpeg", "jpg").replace("+xml", "");
    take(ways, new File([file], `Pasted photo.${suffix}`, { type: file.type }));
}

/** @type {(ways: PhotoWays, event: DragEvent) => boolean} */
function isForUs(ways, event) {
    const kinds = event.dataTransfer?.types ?? [];
    if (!kinds.includes("Files") && !kinds.includes("text/uri-list")) return false;
    const on = /** @type {Element[]} */ (event.composedPath()).find((node) => node.matches?.(OTHERS));
    return !on || on.contains(inputOf(ways));
}

/** @type {(ways: PhotoWays, event: DragEvent) => void} */
function drop(ways, event) {
    const file = event.dataTransfer?.files[0];
    if (file) take(ways, file);
    else say(ways, LINK);
}

/** @type {(ways: PhotoWays) => void} */
function listenToDrags(ways) {
    const { signal } = ways.stop;
    const sign = /** @type {HTMLElement} */ (ways.root.querySelector(".drop"));
    const show = (/** @type {boolean} */ is_over) => { sign.hidden = !is_over; };
    const on = (/** @type {"dragenter" | "dragover" | "drop"} */ name, /** @type {(event: DragEvent) => void} */ act) => {
        document.addEventListener(name, (event) => {
            if (!isForUs(ways, event)) {
                show(false);
                return;
            }
            event.preventDefault(); // or the browser opens the file
            event.stopPropagation();
            act(event);
        }, { signal, capture: true });
    };
    on("dragenter", () => show(true));
    on("dragover", () => show(true));
    on("drop", (event) => {
        show(false);
        drop(ways, event);
    });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) show(false); }, { signal, capture: true });
}

// What the uploader's own button was given is looked at before the uploader sees it.
/** @type {(ways: PhotoWays, event: Event) => void} */
function check(ways, event) {
    const input = inputOf(ways);
    if (event.target !== input || !input?.files?.length) return;
    const wrong = whatIsWrong(ways.data, input.files[0]);
    say(ways, wrong);
    if (!wrong) return;
    event.stopImmediatePropagation();
    input.value = "";
}

/** @type {(ways: PhotoWays) => void} */
function listen(ways) {
    const { root, stop: { signal } } = ways;
    document.addEventListener("paste", (event) => paste(ways, event), { signal });
    document.addEventListener("change", (event) => check(ways, event), { signal, capture: true });
    listenToDrags(ways);
    const camera = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
    camera.setAttribute("capture", "environment");
    const button = /** @type {HTMLButtonElement} */ (root.querySelector("button"));
    button.hidden = !matchMedia("(pointer: coarse)").matches;
    button.onclick = () => camera.click();
    camera.onchange = () => {
        take(ways, camera.files?.[0]);
        camera.value = "";
    };
    const failed = new MutationObserver(() => {
        const message = document.querySelector(`.${ways.data.uploader} ${BROKEN}`);
        if (!message || message.textContent === FAILED) return;
        message.textContent = FAILED;
        say(ways, FAILED);
    });
    failed.observe(document.body, { childList: true, subtree: true, characterData: true });
    signal.addEventListener("abort", () => failed.disconnect());
}

/** @param {Given<PhotoWaysData>} given */
export default function ({ parentElement, data }) {
    const root = /** @type {PhotoWaysRoot} */ (parentElement.querySelector(".photo-ways"));
    if (root.ways) root.ways.data = data;
    else {
        root.ways = { root, data, stop: new AbortController() };
        listen(root.ways);
    }
    return () => {
        root.ways?.stop.abort();
        root.ways = undefined;
    };
}
