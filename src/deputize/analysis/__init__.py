"""Questions over whole policies: answered for every request there can be, not for some."""
