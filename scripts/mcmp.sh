# shellcheck shell=sh
# Drives a multichat server with netcat and nothing else.
#
#     . scripts/mcmp.sh
#     MCMP_SERVER=192.168.1.20         # or HOST:PORT; localhost:8080 without
#     mcmp_nick Tom                    # for what is sent from here on
#     mcmp_send 'How are you?'         # to all; -: standard input
#     mcmp_send_to 7 'And you?'        # to one; -: standard input
#     mcmp_who                         # UID and nickname, one client a line
#     mcmp_share picture.jpg           # prints the File-ID; mcmp_share FILE UID: to one
#     mcmp_files                       # File-ID, type, bytes and sender, one file a line
#     mcmp_fetch 10 >picture.jpg
#     mcmp_listen                      # prints what arrives, until interrupted
#
# Every call is a connection of its own, so it has a UID of its own. What is refused: the server's
# reason on standard error, status 1; wrong usage: status 2.
#
# The netcat is found by itself: openbsd, traditional, ncat, busybox, socat, or bash's /dev/tcp;
# MCMP_NETCAT names another (such as nc.traditional, 'busybox nc', socat or bash).
#
# For any POSIX shell, without `local`: names that begin with mcmp_ or _mcmp are this file's.

# The netcat, as words to be put before HOST and PORT. None needs to be told when to stop: every
# request ends with `bye`, and then the server closes.
_mcmp_netcat() {
    if [ -n "${MCMP_NETCAT-}" ]; then
        printf '%s\n' "$MCMP_NETCAT"
    elif command -v nc >/dev/null 2>&1; then
        echo nc
    elif command -v ncat >/dev/null 2>&1; then
        echo ncat
    elif command -v busybox >/dev/null 2>&1 && busybox nc --help >/dev/null 2>&1; then
        echo busybox nc
    elif command -v socat >/dev/null 2>&1; then
        echo socat
    elif command -v bash >/dev/null 2>&1; then
        echo bash
    else
        echo "mcmp: no netcat found: install one, or name it in MCMP_NETCAT" >&2
        return 1
    fi
}

# Sets _mcmp_words, _mcmp_host and _mcmp_port.
_mcmp_resolve() {
    _mcmp_words=$(_mcmp_netcat) || return
    _mcmp_server=${MCMP_SERVER:-${MULTICHAT_SERVER:-localhost}}
    case $_mcmp_server in
        \[*\]:*) _mcmp_host=${_mcmp_server%:*} _mcmp_port=${_mcmp_server##*:} ;;
        \[*\] | *:*:*) _mcmp_host=$_mcmp_server _mcmp_port=8080 ;;
        *:*) _mcmp_host=${_mcmp_server%:*} _mcmp_port=${_mcmp_server##*:} ;;
        *) _mcmp_host=$_mcmp_server _mcmp_port=8080 ;;
    esac
    _mcmp_host=${_mcmp_host#\[}
    _mcmp_host=${_mcmp_host%\]}
}

# The address as socat takes it.
_mcmp_socat_address() {
    case $_mcmp_host in
        *:*) echo "TCP:[$_mcmp_host]:$_mcmp_port" ;;
        *) echo "TCP:$_mcmp_host:$_mcmp_port" ;;
    esac
}

# Connects standard input and output with the server, until the server closes.
_mcmp_connect() {
    _mcmp_resolve || return
    case $_mcmp_words in
        # Alone of them all it gives up half a second after its input has ended.
        socat | */socat) "$_mcmp_words" -t 3600 - "$(_mcmp_socat_address)" ;;
        bash | */bash)
            # The script is bash's: this shell is not to expand it.
            # shellcheck disable=SC2016
            "$_mcmp_words" -c 'exec 3<>"/dev/tcp/$1/$2" || exit; cat <&3 & cat >&3; wait' \
                bash "$_mcmp_host" "$_mcmp_port"
            ;;
        *)
            # Words, so that MCMP_NETCAT can hold options.
            # shellcheck disable=SC2086
            $_mcmp_words "$_mcmp_host" "$_mcmp_port"
            ;;
    esac
}

# Connects standard output with the server, until the server closes. Standard input is held open by
# the caller and silent: for the server, the end of input is a client that leaves. Netcats that would
# wait for it even when the server has closed are told not to read it.
_mcmp_receive() {
    _mcmp_resolve || return
    case $_mcmp_words in
        socat | */socat) exec "$_mcmp_words" -u "$(_mcmp_socat_address)" - ;;
        bash | */bash)
            # shellcheck disable=SC2016
            exec "$_mcmp_words" -c 'exec 3<>"/dev/tcp/$1/$2" && exec cat <&3' \
                bash "$_mcmp_host" "$_mcmp_port"
            ;;
    esac
    # Words, as above.
    # shellcheck disable=SC2086
    set -- $_mcmp_words
    case $("$@" -h 2>&1 </dev/null) in
        *OpenBSD*) set -- "$@" -d ;;
        *Ncat*) set -- "$@" --recv-only ;;
    esac
    exec "$@" "$_mcmp_host" "$_mcmp_port"
}

# The number of bytes of standard input.
_mcmp_count() {
    _mcmp_n=$(wc -c)
    echo $((_mcmp_n))
}

# Writes a header: _mcmp_header TYPE MESSAGE-ID [FIELD…]; each field is a line.
_mcmp_header() {
    printf 'Message-Type %s\r\nMessage-ID %s\r\n' "$1" "$2"
    shift 2
    for _mcmp_field in "$@"; do
        printf '%s\r\n' "$_mcmp_field"
    done
    printf '\r\n'
}

# Sets the nickname of this connection, where there is one to be set, with Message-ID 1.
_mcmp_hello() {
    if [ -n "${MCMP_NICK-}" ]; then
        _mcmp_header nickname 1 "Content-Length $(printf %s "$MCMP_NICK" | _mcmp_count)"
        printf %s "$MCMP_NICK"
    fi
}

# Reads the header at byte OFFSET of FILE: _mcmp_read_header FILE OFFSET. Sets _mcmp_status, _mcmp_id,
# _mcmp_file_id, _mcmp_body (its length) and _mcmp_next (where the body begins); fails at the end.
_mcmp_read_header() {
    _mcmp_status='' _mcmp_id='' _mcmp_file_id='' _mcmp_body=0 _mcmp_next=''
    _mcmp_fields=$(tail -c +$(($2 + 1)) "$1" | LC_ALL=C awk -v next_at="$2" '
        { next_at += length($0) + 1; sub(/\r$/, "") }
        $0 == "" { print "next", next_at; exit }
        $1 == "Status" || $1 == "Message-ID" || $1 == "File-ID" || $1 == "Content-Length" {
            print $1, $2
        }')
    while read -r _mcmp_name _mcmp_value; do
        case $_mcmp_name in
            Status) _mcmp_status=$_mcmp_value ;;
            Message-ID) _mcmp_id=$_mcmp_value ;;
            File-ID) _mcmp_file_id=$_mcmp_value ;;
            Content-Length) _mcmp_body=$_mcmp_value ;;
            next) _mcmp_next=$_mcmp_value ;;
        esac
    done <<EOF
$_mcmp_fields
EOF
    # A relayed file has no body: Content-Length is the file's.
    if [ -z "$_mcmp_status" ] && [ -n "$_mcmp_file_id" ]; then
        _mcmp_body=0
    fi
    [ -n "$_mcmp_next" ]
}

# Sends standard input, which holds one request with the Message-ID 2, and finds its response in the
# directory $_mcmp_dir: prints the body, or File-ID with `_mcmp_request file-id`.
_mcmp_request() {
    { _mcmp_hello && cat && _mcmp_header bye 3; } | _mcmp_connect >"$_mcmp_dir/answer" 2>"$_mcmp_dir/error"
    _mcmp_at=0
    # Others may be talking: relays stand between the responses.
    while _mcmp_read_header "$_mcmp_dir/answer" "$_mcmp_at"; do
        _mcmp_at=$((_mcmp_next + _mcmp_body))
        if [ -z "$_mcmp_status" ]; then
            continue
        fi
        tail -c +$((_mcmp_next + 1)) "$_mcmp_dir/answer" | head -c "$_mcmp_body" >"$_mcmp_dir/body"
        if [ "$(_mcmp_count <"$_mcmp_dir/body")" -ne "$_mcmp_body" ]; then
            echo "mcmp: the connection was lost inside the response" >&2
            return 1
        fi
        if [ "$_mcmp_status" != Ok ]; then
            printf 'mcmp: %s\n' "$(_mcmp_harmless <"$_mcmp_dir/body")" >&2
            return 1
        fi
        if [ "$_mcmp_id" = 2 ]; then
            case ${1-} in
                file-id) printf '%s\n' "$_mcmp_file_id" ;;
                *) cat "$_mcmp_dir/body" ;;
            esac
            return 0
        fi
    done
    _mcmp_harmless <"$_mcmp_dir/error" >&2
    echo "mcmp: no response from ${MCMP_SERVER:-${MULTICHAT_SERVER:-localhost}}" >&2
    return 1
}

# Runs a command with a temporary directory in $_mcmp_dir, in a shell of its own, which removes the
# directory whichever way it ends.
_mcmp_with_dir() {
    _mcmp_dir=$(mktemp -d) || return
    (
        trap 'rm -rf "$_mcmp_dir"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        "$@"
    )
}

_mcmp_usage() {
    echo "usage: $1" >&2
    return 2
}

# Shows control characters as `?`: what arrives is never obeyed.
_mcmp_harmless() {
    # C1 controls, as UTF-8 has them.
    LC_ALL=C tr '\000-\010\013-\037\177' '?' | LC_ALL=C sed "s/$(printf '\302')[$(printf '\200-\237')]/?/g"
}

# Sends a text: standard input, with the fields given.
_mcmp_text() {
    cat >"$_mcmp_dir/text"
    {
        _mcmp_header chat 2 "$@" 'Content-Type text' "Content-Length $(_mcmp_count <"$_mcmp_dir/text")"
        cat "$_mcmp_dir/text"
    } | _mcmp_request
}

# mcmp_send TEXT: says something to all; -: standard input.
mcmp_send() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_send TEXT'; return; }
    case $1 in
        -) _mcmp_with_dir _mcmp_text ;;
        *) printf %s "$1" | _mcmp_with_dir _mcmp_text ;;
    esac
}

# mcmp_send_to UID TEXT: says something to one client; -: standard input.
mcmp_send_to() {
    [ $# -eq 2 ] || { _mcmp_usage 'mcmp_send_to UID TEXT'; return; }
    case $2 in
        -) _mcmp_with_dir _mcmp_text "To $1" ;;
        *) printf %s "$2" | _mcmp_with_dir _mcmp_text "To $1" ;;
    esac
}

# Sends a request with a short body: _mcmp_ask TYPE BODY.
_mcmp_ask() {
    {
        _mcmp_header "$1" 2 'Content-Type text' "Content-Length $(printf %s "$2" | _mcmp_count)"
        printf %s "$2"
    } | _mcmp_request
}

# mcmp_nick NAME: the nickname of what is sent from here on; the server is asked whether it will do.
mcmp_nick() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_nick NAME'; return; }
    # In a shell of its own: the nickname up to now is not to be set as well.
    (MCMP_NICK='' && _mcmp_with_dir _mcmp_ask nickname "$1" >/dev/null) || return
    MCMP_NICK=$1
}

# mcmp_who: UID and nickname, one active client a line; the last one is this call itself.
mcmp_who() {
    _mcmp_with_dir _mcmp_ask query names
}

# mcmp_files: File-ID, Content-Type, Content-Length and From, one staged file a line.
mcmp_files() {
    _mcmp_with_dir _mcmp_ask query files
}

_mcmp_file() {
    _mcmp_name=${1##*/}
    # As the protocol has it: a filename extension, without the dot.
    case $_mcmp_name in
        ?*.tar.*) _mcmp_type=tar.${_mcmp_name##*.} ;;
        ?*.*) _mcmp_type=${_mcmp_name##*.} ;;
        *) _mcmp_type=bin ;;
    esac
    _mcmp_share_file=$1
    shift
    {
        _mcmp_header chat 2 "$@" "Content-Type $_mcmp_type" \
            "Content-Length $(_mcmp_count <"$_mcmp_share_file")"
        cat <"$_mcmp_share_file"
    } | _mcmp_request file-id
}

# mcmp_share FILE [UID]: shares a file with all or with one client, and prints its File-ID.
mcmp_share() {
    case $# in
        1) set -- "$1" ;;
        2) set -- "$1" "To $2" ;;
        *) _mcmp_usage 'mcmp_share FILE [UID]'; return ;;
    esac
    if ! [ -f "$1" ] || ! [ -r "$1" ]; then
        echo "mcmp: $1: not a file that can be read" >&2
        return 1
    fi
    _mcmp_with_dir _mcmp_file "$@"
}

# mcmp_fetch FILE-ID: writes a shared file to standard output.
mcmp_fetch() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_fetch FILE-ID >FILE'; return; }
    _mcmp_with_dir _mcmp_ask fetch "$1"
}

# Reads one message at a time from standard input and prints it.
#
# `read` takes no byte more than its line from a pipe, and `dd bs=1` none more than it is told; so
# the last message is printed at once, though its body need not end with a linefeed.
_mcmp_print() {
    _mcmp_cr=$(printf '\r')
    while :; do
        _mcmp_from='' _mcmp_nick='' _mcmp_to='' _mcmp_file_id='' _mcmp_type='' _mcmp_body=0
        _mcmp_status=''
        while :; do
            IFS= read -r _mcmp_line || return 0
            _mcmp_line=${_mcmp_line%"$_mcmp_cr"}
            _mcmp_value=${_mcmp_line#* }
            case $_mcmp_line in
                'Status '*) _mcmp_status=$_mcmp_value ;;
                'From '*) _mcmp_from=$_mcmp_value ;;
                'Sender-Nickname '*) _mcmp_nick=" $_mcmp_value" ;;
                'To '*) _mcmp_to=' (to you)' ;;
                'File-ID '*) _mcmp_file_id=$_mcmp_value ;;
                'Content-Type '*) _mcmp_type=$_mcmp_value ;;
                'Content-Length '*) _mcmp_body=$_mcmp_value ;;
                '') break ;;
            esac
        done
        _mcmp_who="$_mcmp_from$_mcmp_nick$_mcmp_to"
        if [ -z "$_mcmp_status" ] && [ -n "$_mcmp_file_id" ]; then
            printf '%s shared file %s (%s, %s bytes)\n' \
                "$_mcmp_who" "$_mcmp_file_id" "$_mcmp_type" "$_mcmp_body" | _mcmp_harmless
            continue
        fi
        # The x keeps the linefeeds at the end, which a substitution drops.
        _mcmp_text=$(dd bs=1 count="$_mcmp_body" 2>/dev/null && echo x)
        _mcmp_text=${_mcmp_text%x}
        case $_mcmp_status in
            '') printf '%s: %s\n' "$_mcmp_who" "${_mcmp_text%
}" | _mcmp_harmless | sed '2,$s/^/    /' ;;
            Ok) ;;
            *) printf 'mcmp: %s' "$_mcmp_text" | _mcmp_harmless >&2 ;;
        esac
    done
}

_mcmp_listen_in_dir() {
    mkfifo "$_mcmp_dir/in" "$_mcmp_dir/out" || return
    _mcmp_receive <"$_mcmp_dir/in" >"$_mcmp_dir/out" &
    _mcmp_connection=$!
    trap 'kill "$_mcmp_connection" 2>/dev/null; rm -rf "$_mcmp_dir"' EXIT
    exec 3>"$_mcmp_dir/in"
    _mcmp_print <"$_mcmp_dir/out"
    wait "$_mcmp_connection"
}

# mcmp_listen: prints what arrives, one message after the other, until interrupted.
mcmp_listen() {
    [ $# -eq 0 ] || { _mcmp_usage 'mcmp_listen'; return; }
    _mcmp_with_dir _mcmp_listen_in_dir
}
