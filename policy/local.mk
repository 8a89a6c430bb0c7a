# policy/: sources, added to the one makefile.
