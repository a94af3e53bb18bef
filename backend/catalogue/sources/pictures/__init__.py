"""Sources that are pictures: files below a folder or in a zip, and what their names say."""
