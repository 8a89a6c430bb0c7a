#!/bin/sh
set -- allowed
. "$BRIG_SRCDIR/tests/policy/corpus.sh"
