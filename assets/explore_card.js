// Hands what is known of a hovered product to the maps of the page; it shows nothing itself.
export default function ({ data }) {
    if (data && data.map) window.dispatchEvent(new CustomEvent("twinset-card", { detail: data }));
}
