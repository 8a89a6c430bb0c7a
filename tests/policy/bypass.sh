#!/bin/sh
set -- bypass
. "$BRIG_SRCDIR/tests/policy/corpus.sh"
