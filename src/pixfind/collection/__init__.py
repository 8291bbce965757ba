"""Several libraries, in folders and at addresses, searched as one."""
