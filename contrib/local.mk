# contrib/: sources, added to the one makefile.
