#!/bin/sh
# Runs the task in `simplegrid run`, and looks at what comes out.
set -eu
cd "$(dirname "$0")"

run() {
    "${SIMPLEGRID:-simplegrid}" run --keep-order --task exec --task-arg command=./my-task "$@"
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

rows=$(printf 'one\nthree\n' | run)
[ "$rows" = "one,3
three,5" ] || fail "the rows are wrong: $rows"

status=0
errors=$(printf 'one\n\nthree\n' | run 2>&1 >/dev/null) || status=$?
[ "$status" = 1 ] || fail "a bad record must fail: status $status"
case $errors in *"the record is empty"*) ;; *) fail "the reason is missing: $errors" ;; esac

echo "all is well"
