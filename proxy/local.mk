# proxy/: sources, added to the one makefile.
