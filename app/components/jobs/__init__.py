"""Parts of pages that show jobs: one, all, and what came of them."""
