# What a brigd and its jobs leave behind: a census before, the same after.
# Source it after lib.sh.
#
#   leaks_uids COUNT       so many job uids that no other test has, after
#                          write_conf; they begin with $leaks_base
#   leaks_before           remember what there is now, with no job running
#   leaks_none             0 if there is nothing else, after some seconds at most
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2046 # lib.sh's; BASE and COUNT are two words

# Job uids of this run alone: whoever else has them would be counted.
leaks_base=$((1880000000 + $$ % 20000 * 1000))
leaks_uids() {
    sed -i "s/^job-uids .*/job-uids $leaks_base $1/" "$T/brigd.conf"
}

leaks_census() {
    python3 "$BRIG_SRCDIR/tests/leaks.py" "$BRIGD_PID" "$T" \
        $(awk '$1 == "job-uids" { print $2, $3 }' "$T/brigd.conf")
}

# A spare shim may be on its way, a client's connection be closing.
leaks_before() {
    leaks_census >"$T/leaks.before"
    leaks_i=0
    while [ $leaks_i -lt 100 ]; do
        leaks_i=$((leaks_i + 1))
        sleep 0.3
        leaks_census >"$T/leaks.again"
        cmp -s "$T/leaks.before" "$T/leaks.again" && return
        mv "$T/leaks.again" "$T/leaks.before"
    done
    return 1
}

leaks_same() {
    leaks_census >"$T/leaks.after" && cmp -s "$T/leaks.before" "$T/leaks.after"
}

leaks_none() {
    leaks_i=0
    until leaks_same; do
        leaks_i=$((leaks_i + 1))
        [ $leaks_i -lt 40 ] || {
            echo "more (>) or less (<) than before:"
            diff "$T/leaks.before" "$T/leaks.after"
            return 1
        }
        sleep 0.5
    done
}
