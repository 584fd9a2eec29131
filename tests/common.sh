# shellcheck shell=sh
# What the shell tests share; they are to be read by `sh`, with $here the directory of this file.

multichatd=${MULTICHATD:-${CARGO_TARGET_DIR:-$here/../target}/debug/multichatd}
[ -x "$multichatd" ] || { echo "$multichatd is not there: run make test" >&2; exit 1; }
dir=$(mktemp -d)
server=''
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0

# check NAME EXPECTED GOT
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
    fi
}

# start [OPTION…]: starts a server, and sets server, address, host and port.
start() {
    rm -f "$dir/started"
    mkfifo "$dir/started"
    "$multichatd" --quiet --listen 127.0.0.1:0 "$@" >"$dir/started" &
    server=$!
    read -r _ _ address <"$dir/started"
    # shellcheck disable=SC2034 # for those who read this file
    host=${address%:*} port=${address##*:}
}

# Stops the server, which is to end well.
stop() {
    kill -TERM "$server"
    wait "$server"
    check 'the server ends with status 0' 0 $?
    server=''
}

two_clients() {
    [ "$(mcmp_who | wc -l)" -eq 2 ]
}

one_client() {
    [ "$(mcmp_who | wc -l)" -eq 1 ]
}

# wait_for NAME WHAT COMMAND…: until the command succeeds; not for ever.
wait_for() {
    wait_name=$1 wait_what=$2
    shift 2
    until=$(($(date +%s) + 60))
    until "$@"; do
        if [ "$(date +%s)" -ge "$until" ]; then
            check "$wait_name" "$wait_what" 'nothing within a minute'
            return 1
        fi
        # For the sake of those who are waited for.
        sleep 0.05
    done
}

# have NAME COMMAND: whether the cases of a program can be run.
have() {
    if command -v "$2" >/dev/null 2>&1; then
        return 0
    fi
    skipped=$((skipped + 1))
    echo "skipped $1: $2 is not installed"
    return 1
}

# Says how it went, and fails where that was not well.
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    if [ "${CI-}" = true ] && [ "$skipped" -gt 0 ]; then
        echo 'in CI no case may be skipped' >&2
        exit 1
    fi
    [ "$failed" -eq 0 ]
}
