# Runs the library in `simplegrid run`, and looks at what comes out.
set -eu

run() {
    "$SIMPLEGRID" run --keep-order --header --task ./libmy_task.so "$@"
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

rows=$(printf 'one\nthree\n' | run --task-arg bulk=2)
[ "$rows" = "text,bytes
one,3
three,5" ] || fail "the rows are wrong: $rows"

status=0
errors=$(printf 'one\n\nthree\n' | run 2>&1 >/dev/null) || status=$?
[ "$status" = 1 ] || fail "a bad record must fail: status $status"
case $errors in *"the record is empty"*) ;; *) fail "the reason is missing: $errors" ;; esac

status=0
run --task-arg bulk=none </dev/null 2>/dev/null || status=$?
[ "$status" = 2 ] || fail "a wrong argument must be refused: status $status"

echo "all is well"
