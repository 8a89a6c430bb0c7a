# sandbox/: sources, added to the one makefile.
