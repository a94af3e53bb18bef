"""Pictures by address: asked for politely and only where they may be, and kept, so that loads need no way out."""
