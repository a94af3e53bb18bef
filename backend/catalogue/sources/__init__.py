"""Where products come from: folders, zips, tables, uploads, and the built-in catalogues."""
