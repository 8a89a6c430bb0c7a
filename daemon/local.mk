# daemon/: sources, added to the one makefile.
