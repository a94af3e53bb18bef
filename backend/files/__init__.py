"""Files and disks: written whole or not at all, read within bounds, held by one at a time."""
