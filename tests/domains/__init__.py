"""Both directions of the twelve domains, through the sandbox systems over HTTP and real workers."""
