"""Model bundles: a folder with a manifest that names and hashes every file in it."""
