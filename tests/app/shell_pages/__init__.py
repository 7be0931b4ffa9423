"""Pages for tests of the shell: the numbers are made up, the parts are those of the product."""
