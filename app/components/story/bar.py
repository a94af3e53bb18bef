"""The bar of the story: its acts, keys, full screen and presenter's notes; and the window that shows the notes."""

from __future__ import annotations

from functools import partial

from app.components.shared.scripted import scripted
from app.components.story import state

TITLES = {state.FIND: "Find", state.TRUST: "Trust", state.CHANGE: "Change", state.END: "Your products"}
# For each act, what to say and what to have clicked, a paragraph each.
NOTES = {
    state.FIND: (
        "Say: “A customer has seen something and has only a photo of it. Words will not find it.”",
        "Click: the visitor uses a photo of their own, from the phone or a file, or one of the six examples.",
        "Show: the closest products and how close each one is. No product had to be described or tagged.",
        "Then: press the right arrow. 50 seconds.",
    ),
    state.TRUST: (
        "Say: “Anyone can show good results. What happens when there is nothing to find?”",
        "Show: what it saw, how sure it is, and how often it was right when that was measured.",
        "Click: the visitor picks something that the shop does not sell. The answer is “nothing close”, not a wild guess.",
        "Then: press the right arrow. 60 seconds.",
    ),
    state.CHANGE: (
        "Say: “The machine suggests. Your merchandisers decide.”",
        "Click: the visitor picks the product that customers should see first.",
        "Show: before and after. This is only a trial: no shopper sees it, and no draft was saved.",
        "Then: press the right arrow. 40 seconds.",
    ),
    state.END: (
        "Say: “And this is what it means for these products.” Read the figure, then wait.",
        "Offer: “Send us a file of your products, and you will see your own figure.”",
    ),
}
_HTML = """
<div class="story-root">
<nav class="story" aria-label="Story">
  <button type="button" class="back" aria-label="Back">←</button>
  <ol></ol>
  <button type="button" class="next">Next →</button>
  <button type="button" class="full" title="Escape leaves">Full screen</button>
  <a target="twinset-notes" title="Opens in a second window and follows this one">Notes</a>
  <p role="status"></p>
</nav>
<article class="story-notes" hidden><h2></h2><p class="time"></p><div></div></article>
</div>
"""


def show() -> None:
    """Show the bar for the act, or its notes where this window is for them."""
    data = {
        "act": state.act(),
        "titles": list(TITLES.values()),
        "notes": [list(NOTES[act]) for act in state.ACTS] if state.is_notes() else [],
    }
    scripted("story", _HTML, isolate_styles=False)(key=state.BAR, data=data, on_act_change=partial(state.turn))
