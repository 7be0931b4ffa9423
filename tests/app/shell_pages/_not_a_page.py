"""An underscore keeps a module out of the navigation: this one would fail."""

raise RuntimeError("a module with a leading underscore was taken for a page")
