// Copies the link of the answer on the page. Where the browser lets no page write to the clipboard, as over plain http,
// the link is shown, selected, to be copied by hand.

/** @param {Given<CopyLinkData>} given */
export default function ({ parentElement, data }) {
    const find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (parentElement.querySelector(name));
    const said = find("span");
    const field = /** @type {HTMLInputElement} */ (find("input"));
    const link = location.origin + location.pathname + data.query;
    if (field.value !== link) {
        said.textContent = "";
        field.hidden = true;
        field.value = link;
    }
    find("button").onclick = async () => {
        try {
            await navigator.clipboard.writeText(link);
            said.textContent = "Copied";
        } catch {
            field.hidden = false;
            field.select();
            said.textContent = "Copy the link below:";
        }
    };
}
