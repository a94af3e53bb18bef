// Hands what is known of a hovered product to the maps of the page; it shows nothing itself.
/** @param {Given<PointCard>} given */
export default function ({ data }) {
    if (data?.map) window.dispatchEvent(new CustomEvent("twinset-card", { detail: data }));
}
