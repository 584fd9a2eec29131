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
#     mcmp_history 20                  # what was said last, before this call
#     mcmp_listen                      # prints what arrives, until interrupted
#     mcmp_listen -x                   # the same, and who comes and goes
#
# Every call is a connection of its own, so it has a UID of its own. What is refused: the server's
# reason on standard error, status 1; so is a server that cannot be reached, and for mcmp_listen one
# that goes. Wrong usage: status 2. mcmp_listen ends with status 0 when nobody reads its output any
# more, as behind `head -n 1`.
#
# The type of a shared file is its name's extension, what stands behind the last dot. There is none
# where the name has no dot, or only one that it begins with. An extension that has `.tar` before it
# is `tar.` and the extension, where something stands before the `.tar`. `text`, in upper or lower
# case, would make the file a message, so it is `txt`. The type is `bin` where there is no extension,
# and where it is not 1 to 32 bytes of ASCII letters, digits, `_`, `+` and `-` (`tar.` included). The
# program `multichat share` keeps the same rule.
#
# Where the server keeps names of files, mcmp_share sends the file's name, and where it tells who comes
# and goes, mcmp_listen -x asks for it. Any other server is asked for what the draft has, and no more.
#
# The netcat is found by itself: openbsd, traditional, ncat, busybox, socat, or bash's /dev/tcp;
# MCMP_NETCAT names another (such as nc.traditional, 'busybox nc', socat or bash).
#
# For any POSIX shell, and zsh: names that begin with mcmp_ or _mcmp are this file's. Each function
# runs in a shell of its own with settings of its own, so that those of its caller (options, IFS,
# traps, functions, the locale) neither change it nor are changed.

# The commands that are used below. A caller's aliases for them are put aside here, since they would
# become a part of the functions, and given back at the end.
_mcmp_commands="awk bash cat command dd echo exec exit export false grep head kill ls mkfifo mktemp \
printf read return rm sed shift sleep tail test trap true umask unalias unset wait wc"
_mcmp_aliases=''
if [ -n "$(\alias)" ]; then
    # As one text, since a caller's IFS and zsh's own would not make words of it.
    \eval "for _mcmp_name in $_mcmp_commands; do
        if _mcmp_alias=\$(\\alias \"\$_mcmp_name\" 2>/dev/null); then
            _mcmp_aliases=\"\$_mcmp_aliases \\\\alias \${_mcmp_alias#alias };\"
            \\unalias \"\$_mcmp_name\"
        fi
    done"
fi

# The settings of the functions, whatever their caller's are.
_mcmp_settle() {
    if [ -n "${ZSH_VERSION-}" ]; then
        emulate -R sh
    fi
    set +aeuvxCm
    set -f
    # Those that not every shell has.
    if [ -n "${BASH_VERSION-}" ]; then
        # shellcheck disable=SC3041 # bash alone gets here
        set +bkET
        # shellcheck disable=SC3047
        trap - DEBUG ERR RETURN
    fi
    # shellcheck disable=SC3040 # tried first
    if (set +o pipefail) 2>/dev/null; then
        set +o pipefail
    fi
    # The x keeps the linefeed, which a substitution drops.
    IFS=$(printf ' \t\nx')
    IFS=${IFS%x}
    unalias -a 2>/dev/null
    # shellcheck disable=SC2086 # words
    unset -f $_mcmp_commands 2>/dev/null
    unset POSIXLY_CORRECT BASH_ENV ENV GREP_OPTIONS
    # Bytes, and messages that are understood below.
    LC_ALL=C
    export LC_ALL
    umask 077
}

# Runs a command in a shell of its own, with a temporary directory in $_mcmp_dir that is removed
# whichever way it ends.
_mcmp_run() (
    _mcmp_settle
    _mcmp_begin || exit 1
    trap '_mcmp_clean' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    "$@"
)

_mcmp_begin() {
    _mcmp_connection='' _mcmp_watcher=''
    _mcmp_dir=$(mktemp -d)
}

_mcmp_clean() {
    if [ -n "$_mcmp_watcher" ]; then
        kill "$_mcmp_watcher" 2>/dev/null
    fi
    _mcmp_hang_up
    rm -rf "$_mcmp_dir"
}

# Ends the netcat that listens, if there is one, and what it has started: it may be a script.
_mcmp_hang_up() {
    if [ -n "$_mcmp_connection" ]; then
        kill -TERM "-$_mcmp_connection" 2>/dev/null || kill "$_mcmp_connection" 2>/dev/null
    fi
}

_mcmp_say() {
    printf 'mcmp: %s\n' "$1" | _mcmp_show '    ' >&2
}

_mcmp_usage() {
    echo "usage: $1" >&2
    return 2
}

# Whether a value is a number; what it is said to be is the second argument.
_mcmp_is_number() {
    case $1 in
        '' | *[!0-9]*)
            _mcmp_say "$1: not a $2 (decimal digits)"
            return 2
            ;;
    esac
}

# The netcat, as words to be put before HOST and PORT. None needs to be told when to stop: every
# request ends with `bye`, and then the server closes.
_mcmp_netcat() {
    if [ -n "${MCMP_NETCAT-}" ]; then
        if ! command -v "${MCMP_NETCAT%% *}" >/dev/null 2>&1; then
            _mcmp_say "MCMP_NETCAT: there is no command ${MCMP_NETCAT%% *}"
            return 1
        fi
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
        _mcmp_say 'no netcat found: install one, or name it in MCMP_NETCAT'
        return 1
    fi
}

# Sets _mcmp_words, _mcmp_server, _mcmp_host and _mcmp_port.
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
    # A host that begins with a dash would be an option.
    case $_mcmp_host:$_mcmp_port in
        :* | -* | *: | *[[:space:]]* | *:*[!0-9]) _mcmp_not_server ;;
        *) [ "${_mcmp_port#*[!0-9]}" = "$_mcmp_port" ] || _mcmp_not_server ;;
    esac
}

_mcmp_not_server() {
    _mcmp_say "$_mcmp_server: not a server (HOST or HOST:PORT)"
    return 1
}

# The address as socat takes it.
_mcmp_socat_address() {
    case $_mcmp_host in
        *:*) echo "TCP:[$_mcmp_host]:$_mcmp_port" ;;
        *) echo "TCP:$_mcmp_host:$_mcmp_port" ;;
    esac
}

# Connects standard input and output with the server that _mcmp_resolve has found, until the server
# closes.
_mcmp_connect() {
    case $_mcmp_words in
        # Alone of them all it gives up half a second after its input has ended.
        socat | */socat) "$_mcmp_words" -t 3600 - "$(_mcmp_socat_address)" ;;
        bash | */bash)
            # The script is bash's: this shell is not to expand it.
            # shellcheck disable=SC2016
            "$_mcmp_words" -c 'set +euCx
                exec 3<>"/dev/tcp/$1/$2" || exit
                command cat <&3 & command cat >&3; wait' \
                bash "$_mcmp_host" "$_mcmp_port"
            ;;
        *)
            # Words, so that MCMP_NETCAT can hold options.
            # shellcheck disable=SC2086
            $_mcmp_words "$_mcmp_host" "$_mcmp_port"
            ;;
    esac
}

# Connects standard output with the server that _mcmp_resolve has found, until the server closes. What
# is to be said first is in the file $_mcmp_dir/greeting.
#
# Standard input, where the greeting comes too, is held open by the caller: for the server, the end of
# input is a client that leaves. Netcats that would wait for it even when the server has closed are told
# not to read it. Where there is a greeting they read that instead, and do not tell the server of its end.
_mcmp_receive() {
    _mcmp_input=''
    case $_mcmp_words in
        socat | */socat)
            set -- -u "$(_mcmp_socat_address)" -
            if [ -s "$_mcmp_dir/greeting" ]; then
                set -- - "$2"
            fi
            set -- "$_mcmp_words" "$@"
            ;;
        bash | */bash)
            _mcmp_input=$_mcmp_dir/greeting
            # shellcheck disable=SC2016
            set -- "$_mcmp_words" -c 'set +euCx
                exec 3<>"/dev/tcp/$1/$2" && command cat >&3 && exec cat <&3' \
                bash "$_mcmp_host" "$_mcmp_port"
            ;;
        *)
            # Words, as above.
            # shellcheck disable=SC2086
            set -- $_mcmp_words
            _mcmp_help=$("$@" -h 2>&1 </dev/null)
            if [ -s "$_mcmp_dir/greeting" ]; then
                case $_mcmp_help in
                    *OpenBSD*) _mcmp_input=$_mcmp_dir/greeting ;;
                    *Ncat*) _mcmp_input=$_mcmp_dir/greeting && set -- "$@" --no-shutdown ;;
                esac
            else
                case $_mcmp_help in
                    *OpenBSD*) set -- "$@" -d ;;
                    *Ncat*) set -- "$@" --recv-only ;;
                esac
            fi
            set -- "$@" "$_mcmp_host" "$_mcmp_port"
            ;;
    esac
    if [ -n "$_mcmp_input" ]; then
        exec <"$_mcmp_input"
    fi
    # In a group of its own, to be ended with all that it starts.
    if command -v setsid >/dev/null 2>&1; then
        exec setsid "$@"
    fi
    exec "$@"
}

# Says why nothing has come from the server, as far as the netcat knows.
_mcmp_unreachable() {
    if ! [ -s "$_mcmp_dir/error" ]; then
        # Some say it only when they are asked to.
        # shellcheck disable=SC2086
        case $_mcmp_words in
            socat | */socat | bash | */bash) ;;
            *) $_mcmp_words -v -z "$_mcmp_host" "$_mcmp_port" </dev/null >>"$_mcmp_dir/error" 2>&1 ;;
        esac
    fi
    case $(cat "$_mcmp_dir/error") in
        *[Rr]efused*) _mcmp_why='connection refused: no server listens there' ;;
        *'not known'* | *'host lookup failed'* | *'bad address'* | *'esolve'* | *'getaddrinfo'*)
            _mcmp_why='no such host'
            ;;
        *'imed out'* | *TIMEOUT*) _mcmp_why='no answer from this address' ;;
        *[Uu]nreachable* | *'No route'*) _mcmp_why='no way to this address' ;;
        *)
            _mcmp_show <"$_mcmp_dir/error" >&2
            _mcmp_say "no response from $_mcmp_server: is it a multichat server?"
            return 1
            ;;
    esac
    _mcmp_say "cannot connect to $_mcmp_server: $_mcmp_why"
    return 1
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

# Begins the session with a query, as the draft has it, and sets the nickname of this connection, where
# there is one to be set. Message-IDs go up by one, and the last one here is 2.
_mcmp_hello() {
    if [ -n "${MCMP_NICK-}" ]; then
        _mcmp_header query 1
        _mcmp_header nickname 2 "Content-Length $(printf %s "$MCMP_NICK" | _mcmp_count)"
        printf %s "$MCMP_NICK"
    else
        _mcmp_header query 2
    fi
}

# Reads the header at byte OFFSET of FILE: _mcmp_read_header FILE OFFSET. Sets _mcmp_status, _mcmp_id,
# _mcmp_file_id, _mcmp_body (its length) and _mcmp_next (where the body begins); fails at the end.
#
# What is said to be a number is one: a shell would run what stands in place of it.
_mcmp_read_header() {
    _mcmp_status='' _mcmp_id='' _mcmp_file_id='' _mcmp_body=0 _mcmp_next=''
    _mcmp_fields=$(tail -c +$(($2 + 1)) "$1" 2>/dev/null | awk -v next_at="$2" '
        function number(text) {
            return text ~ /^[0-9]+$/ && length(text) < 16 ? text + 0 : "-"
        }
        { next_at += length($0) + 1; sub(/\r$/, "") }
        $0 == "" { printf "next %d\n", next_at; exit }
        $1 == "Status" && $2 ~ /^[A-Za-z]+$/ { print $1, $2 }
        $1 == "Message-ID" || $1 == "File-ID" || $1 == "Content-Length" {
            value = number($2)
            if (value == "-") exit
            printf "%s %d\n", $1, value
        }')
    while read -r _mcmp_name _mcmp_value; do
        case $_mcmp_name in
            Status) _mcmp_status=$_mcmp_value ;;
            Message-ID) _mcmp_id=$_mcmp_value ;;
            File-ID) _mcmp_file_id=$_mcmp_value ;;
            Content-Length) _mcmp_body=$_mcmp_value ;;
            next) _mcmp_next=$_mcmp_value ;;
        esac
    done <<END
$_mcmp_fields
END
    # A relayed file has no body: Content-Length is the file's.
    if [ -z "$_mcmp_status" ] && [ -n "$_mcmp_file_id" ]; then
        _mcmp_body=0
    fi
    [ -n "$_mcmp_next" ]
}

# Sends standard input, which holds one request with the Message-ID 3, and finds its response: leaves
# its body in $_mcmp_dir/body, and its File-ID in _mcmp_file_id.
#
# The netcat's own status says nothing about the request, so it is not asked.
_mcmp_request() {
    _mcmp_resolve || return
    : >"$_mcmp_dir/error"
    { _mcmp_hello && cat && _mcmp_header bye 4; } 2>>"$_mcmp_dir/error" |
        _mcmp_connect >"$_mcmp_dir/answer" 2>>"$_mcmp_dir/error"
    if ! [ -s "$_mcmp_dir/answer" ]; then
        _mcmp_unreachable
        return
    fi
    _mcmp_at=0
    # Others may be talking: relays stand between the responses.
    while _mcmp_read_header "$_mcmp_dir/answer" "$_mcmp_at"; do
        _mcmp_at=$((_mcmp_next + _mcmp_body))
        if [ -z "$_mcmp_status" ]; then
            continue
        fi
        tail -c +$((_mcmp_next + 1)) "$_mcmp_dir/answer" 2>/dev/null |
            head -c "$_mcmp_body" >"$_mcmp_dir/body"
        if [ "$(_mcmp_count <"$_mcmp_dir/body")" -ne "$_mcmp_body" ]; then
            _mcmp_say 'the connection was lost inside the response'
            return 1
        fi
        case $_mcmp_id:$_mcmp_status in
            3:Ok) return 0 ;;
            2:Ok | 1:*) ;;
            # The request behind it is answered all the same.
            2:*) [ -z "${MCMP_NICK-}" ] || _mcmp_say "without the nickname $MCMP_NICK: $(cat "$_mcmp_dir/body")" ;;
            *)
                _mcmp_say "$(cat "$_mcmp_dir/body")"
                return 1
                ;;
        esac
    done
    _mcmp_show <"$_mcmp_dir/error" >&2
    _mcmp_say "the connection to $_mcmp_server ended before the response: what was sent may have arrived"
    return 1
}

# Shows control characters, and what breaks a line or turns its direction, as `\u{1b}`: what arrives
# is never obeyed. Lines behind the first are indented by $1.
_mcmp_show() {
    awk -v "indent=${1-}" '
        function hide(bytes, shown) { from[++hidden] = bytes; to[hidden] = shown }
        function swap(text, old, new,    at, done) {
            while (at = index(text, old)) {
                done = done substr(text, 1, at - 1) new
                text = substr(text, at + length(old))
            }
            return done text
        }
        BEGIN {
            hide("\t", "    ")
            hide("\r", "\\r")
            for (i = 1; i < 32; i++)
                if (i < 9 || i > 10) hide(sprintf("%c", i), sprintf("\\u{%x}", i))
            hide("\177", "\\u{7f}")
            for (i = 128; i < 160; i++) hide("\302" sprintf("%c", i), sprintf("\\u{%x}", i))
            hide("\330\234", "\\u{61c}")
            hide("\342\200\216", "\\u{200e}")
            hide("\342\200\217", "\\u{200f}")
            for (i = 168; i < 175; i++)
                hide("\342\200" sprintf("%c", i), sprintf("\\u{%x}", 8192 + i - 128))
            for (i = 166; i < 170; i++)
                hide("\342\201" sprintf("%c", i), sprintf("\\u{%x}", 8256 + i - 128))
        }
        {
            sub(/\r$/, "")
            if ($0 ~ /[\001-\037\177\302\330\342]/)
                for (i = 1; i <= hidden; i++) $0 = swap($0, from[i], to[i])
            print (NR > 1 ? indent : "") $0
        }'
}

# Sends a text: standard input, with the fields given.
_mcmp_text() {
    cat >"$_mcmp_dir/text" || return
    {
        _mcmp_header chat 3 "$@" 'Content-Type text' "Content-Length $(_mcmp_count <"$_mcmp_dir/text")"
        cat "$_mcmp_dir/text"
    } | _mcmp_request
}

_mcmp_send() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_send TEXT'; return; }
    case $1 in
        -) _mcmp_text ;;
        *) printf %s "$1" | _mcmp_text ;;
    esac
}

_mcmp_send_to() {
    [ $# -eq 2 ] || { _mcmp_usage 'mcmp_send_to UID TEXT'; return; }
    _mcmp_is_number "$1" 'UID; mcmp_who lists them' || return
    case $2 in
        -) _mcmp_text "To $1" ;;
        *) printf %s "$2" | _mcmp_text "To $1" ;;
    esac
}

# mcmp_send TEXT: says something to all; -: standard input.
mcmp_send() {
    _mcmp_run _mcmp_send "$@"
}

# mcmp_send_to UID TEXT: says something to one client; -: standard input.
mcmp_send_to() {
    _mcmp_run _mcmp_send_to "$@"
}

# Sends a request with a short body, and leaves the answer in $_mcmp_dir/body: _mcmp_ask TYPE BODY.
_mcmp_ask() {
    {
        _mcmp_header "$1" 3 'Content-Type text' "Content-Length $(printf %s "$2" | _mcmp_count)"
        printf %s "$2"
    } | _mcmp_request
}

_mcmp_nick() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_nick NAME'; return; }
    # The nickname up to now is not to be set as well.
    MCMP_NICK=''
    _mcmp_ask nickname "$1"
}

# mcmp_nick NAME: the nickname of what is sent from here on; the server is asked whether it will do.
mcmp_nick() {
    _mcmp_run _mcmp_nick "$@" || return
    MCMP_NICK=$1
}

# Asks with a query: _mcmp_query USAGE BODY ARGUMENTS…, of which there are to be none.
_mcmp_query() {
    [ $# -eq 2 ] || { _mcmp_usage "$1"; return; }
    _mcmp_ask query "$2" && _mcmp_show <"$_mcmp_dir/body"
}

# mcmp_who: UID and nickname, one active client a line, this call itself among them.
mcmp_who() {
    _mcmp_run _mcmp_query mcmp_who names "$@"
}

# mcmp_files: File-ID, Content-Type, Content-Length and From, one staged file a line.
mcmp_files() {
    _mcmp_run _mcmp_query mcmp_files files "$@"
}

_mcmp_history() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_history N'; return; }
    _mcmp_is_number "$1" 'number of messages' || return
    _mcmp_ask query "history $1" || return
    # Nobody may read on.
    _mcmp_print <"$_mcmp_dir/body" || [ $? -eq 3 ]
}

# mcmp_history N: prints the last N public messages that were said before this call, as mcmp_listen
# does, where the server keeps a history.
mcmp_history() {
    _mcmp_run _mcmp_history "$@"
}

# Sets _mcmp_type to the type of a file by the rule at the top: _mcmp_type_of NAME.
_mcmp_type_of() {
    _mcmp_name=${1##*/}
    _mcmp_stem=${_mcmp_name%.*}
    _mcmp_type=${_mcmp_name##*.}
    case $_mcmp_name in
        ?*.*) ;;
        *) _mcmp_type='' ;;
    esac
    case $_mcmp_stem:$_mcmp_type in
        ?*.tar:*) _mcmp_type=tar.$_mcmp_type ;;
        *:[Tt][Ee][Xx][Tt]) _mcmp_type=txt ;;
    esac
    case $_mcmp_type in
        '' | *. | *[!A-Za-z0-9_+.-]*) _mcmp_type=bin ;;
    esac
    if [ ${#_mcmp_type} -gt 32 ]; then
        _mcmp_type=bin
    fi
}

# Whether the server lists a feature: _mcmp_offers NAME. One of the draft refuses the question. It is
# asked without a nickname, since nobody is to be told of a client that only asks.
_mcmp_offers() {
    (MCMP_NICK='' && _mcmp_ask query features) 2>/dev/null && grep -q "^$1\$" "$_mcmp_dir/body"
}

# Whether a name may be sent as it is: short, one line, and nothing that a name may not hold.
_mcmp_is_plain() {
    [ "$(printf %s "$1" | _mcmp_count)" -le 200 ] || return
    case $1 in
        *\\*) return 1 ;;
        *[!\ ]*) ;;
        *) return 1 ;;
    esac
    # What would be shown otherwise is not sent; nor is a second line, which would be a field of its own.
    [ "$(printf '%s\n' "$1" | _mcmp_show '|')" = "$1" ]
}

# Shares $_mcmp_share_file as $_mcmp_type, with the fields given.
_mcmp_stage() {
    _mcmp_length=$(_mcmp_count <"$_mcmp_share_file")
    {
        _mcmp_header chat 3 "$@" "Content-Type $_mcmp_type" "Content-Length $_mcmp_length"
        # No more than was said, though the file may have grown.
        head -c "$_mcmp_length" <"$_mcmp_share_file"
    } >"$_mcmp_dir/share" && _mcmp_request <"$_mcmp_dir/share" && printf '%s\n' "$_mcmp_file_id"
}

_mcmp_file() {
    _mcmp_type_of "$1"
    _mcmp_share_file=$1
    shift
    # Before others are asked, who would set it anew.
    _mcmp_share_name=$_mcmp_name
    if _mcmp_is_plain "$_mcmp_share_name" && _mcmp_offers file-name; then
        _mcmp_stage "$@" "File-Name $_mcmp_share_name" 2>"$_mcmp_dir/refused" && return
        # A name that this server does not take is no reason not to share the file.
        if ! grep -q File-Name "$_mcmp_dir/refused"; then
            cat "$_mcmp_dir/refused" >&2
            return 1
        fi
    fi
    _mcmp_stage "$@"
}

_mcmp_share() {
    case $# in
        1) set -- "$1" ;;
        2)
            _mcmp_is_number "$2" 'UID; mcmp_who lists them' || return
            set -- "$1" "To $2"
            ;;
        *) _mcmp_usage 'mcmp_share FILE [UID]'; return ;;
    esac
    if [ -d "$1" ]; then
        _mcmp_say "$1: a directory: share an archive of it, made with tar"
        return 1
    fi
    if ! [ -f "$1" ] || ! [ -r "$1" ]; then
        _mcmp_say "$1: not a file that can be read"
        return 1
    fi
    _mcmp_file "$@"
}

# mcmp_share FILE [UID]: shares a file with all or with one client, and prints its File-ID.
mcmp_share() {
    _mcmp_run _mcmp_share "$@"
}

_mcmp_fetch() {
    [ $# -eq 1 ] || { _mcmp_usage 'mcmp_fetch FILE-ID >FILE'; return; }
    _mcmp_is_number "$1" 'File-ID; mcmp_files lists them' || return
    _mcmp_ask fetch "$1" && cat "$_mcmp_dir/body"
}

# mcmp_fetch FILE-ID: writes a shared file to standard output.
mcmp_fetch() {
    _mcmp_run _mcmp_fetch "$@"
}

# Reads one message at a time from standard input and prints it, until the input ends, or nobody reads
# what is printed (status 3).
#
# `read` takes no byte more than its line from a pipe, and `dd bs=1` none more than it is told; so
# the last message is printed at once, though its body need not end with a linefeed.
_mcmp_print() {
    _mcmp_cr=$(printf '\r')
    while :; do
        _mcmp_from='' _mcmp_nick='' _mcmp_to='' _mcmp_file_id='' _mcmp_type='' _mcmp_body=0
        _mcmp_status='' _mcmp_kind='' _mcmp_file_name=''
        while :; do
            IFS= read -r _mcmp_line || return 0
            : >"$_mcmp_dir/connected"
            _mcmp_line=${_mcmp_line%"$_mcmp_cr"}
            _mcmp_value=${_mcmp_line#* }
            case $_mcmp_line in
                'Status '*) _mcmp_status=$_mcmp_value ;;
                'Message-Type '*) _mcmp_kind=$_mcmp_value ;;
                'From '*) _mcmp_from=$_mcmp_value ;;
                'Sender-Nickname '*) _mcmp_nick=" $_mcmp_value" ;;
                'To '*) _mcmp_to='(to you) ' ;;
                'File-ID '*) _mcmp_file_id=$_mcmp_value ;;
                'File-Name '*) _mcmp_file_name=" $_mcmp_value" ;;
                'Content-Type '*) _mcmp_type=$_mcmp_value ;;
                'Content-Length '*) _mcmp_body=$_mcmp_value ;;
                '') break ;;
            esac
        done
        _mcmp_is_number "$_mcmp_body" Content-Length || return
        _mcmp_who="$_mcmp_to$_mcmp_from$_mcmp_nick"
        if [ -z "$_mcmp_status" ] && [ -n "$_mcmp_file_id" ]; then
            printf '%s shared file %s%s (%s, %s bytes)\n' "$_mcmp_who" \
                "$_mcmp_file_id" "$_mcmp_file_name" "$_mcmp_type" "$_mcmp_body" |
                _mcmp_show 2>/dev/null || return 3
            continue
        fi
        # The x keeps the linefeeds at the end, which a substitution drops.
        _mcmp_text=$(dd bs=1 count="$_mcmp_body" 2>/dev/null && echo x)
        _mcmp_text=${_mcmp_text%x}
        _mcmp_text=${_mcmp_text%
}
        case $_mcmp_status:$_mcmp_kind in
            :notice)
                # Who comes and goes.
                case $_mcmp_text in
                    'nickname '*) _mcmp_text="is now ${_mcmp_text#* }" ;;
                esac
                printf '* %s %s\n' "$_mcmp_who" "$_mcmp_text" |
                    _mcmp_show '    ' 2>/dev/null || return 3
                ;;
            :*)
                printf '%s: %s\n' "$_mcmp_who" "$_mcmp_text" | _mcmp_show '    ' 2>/dev/null || return 3
                ;;
            Ok:*) ;;
            *) _mcmp_say "$_mcmp_text" ;;
        esac
    done
}

# Ends when nobody reads standard output any more, which nobody would notice while nothing arrives;
# or when the process $1 has ended, for which this one listens.
_mcmp_watch() {
    trap - EXIT
    case $(tail --version 2>/dev/null) in
        *GNU*)
            : >"$_mcmp_dir/quiet"
            # It watches its output where that is a pipe.
            tail -f --pid="$1" "$_mcmp_dir/quiet" 2>/dev/null &
            trap 'kill $! 2>/dev/null; exit' TERM
            wait $!
            ;;
        *) _mcmp_watch_slowly "$1" ;;
    esac
    : >"$_mcmp_dir/gone"
    _mcmp_hang_up
}

# The same, once a second, with what the system says of open files. A reader that cannot be seen, such
# as another user's, is one all the same.
_mcmp_watch_slowly() {
    exec 4>&1
    # shellcheck disable=SC2012 # a pipe's name is plain
    _mcmp_pipe=$(ls -l /proc/self/fd/4 2>/dev/null | sed 's/.* -> //')
    _mcmp_seen=''
    while kill -0 "$1" 2>/dev/null; do
        case $_mcmp_pipe in
            pipe:*)
                if _mcmp_readers "$_mcmp_pipe"; then
                    _mcmp_seen=yes
                elif [ -n "$_mcmp_seen" ]; then
                    return
                fi
                ;;
        esac
        sleep 1 >/dev/null 4>&-
    done
}

# Whether a process is seen that reads from a pipe: _mcmp_readers pipe:[NUMBER].
_mcmp_readers() (
    set +f
    # shellcheck disable=SC2010,SC2012 # what is looked for has no name but this
    ls -l /proc/[0-9]*/fd 2>/dev/null | grep -F -e "-> $1" | grep -q '^lr'
)

# Sets _mcmp_parent to the process that has called for this shell.
_mcmp_find_parent() {
    _mcmp_parent=$$
    if IFS= read -r _mcmp_stat 2>/dev/null </proc/self/stat; then
        # Behind the command's name: state and parent.
        # shellcheck disable=SC2086
        set -- ${_mcmp_stat##*) }
        _mcmp_parent=$2
    fi
}

# What mcmp_listen -x says first, where the server has what it asks for.
_mcmp_greet() {
    if _mcmp_offers extended; then
        _mcmp_header query 1
        _mcmp_header query 2 'Content-Length 8'
        printf extended
    fi
}

_mcmp_listen() {
    case $#:${1-} in
        0:) : >"$_mcmp_dir/greeting" ;;
        1:-x) _mcmp_greet >"$_mcmp_dir/greeting" ;;
        *) _mcmp_usage 'mcmp_listen [-x]'; return ;;
    esac
    _mcmp_resolve || return
    _mcmp_find_parent
    mkfifo "$_mcmp_dir/in" "$_mcmp_dir/out" || return
    _mcmp_receive <"$_mcmp_dir/in" >"$_mcmp_dir/out" 2>"$_mcmp_dir/error" &
    _mcmp_connection=$!
    exec 3>"$_mcmp_dir/in"
    cat "$_mcmp_dir/greeting" >&3
    _mcmp_watch "$_mcmp_parent" 3>&- &
    _mcmp_watcher=$!
    _mcmp_print <"$_mcmp_dir/out"
    case $? in
        0) ;;
        3) return 0 ;;
        *) return 1 ;;
    esac
    if [ -e "$_mcmp_dir/gone" ]; then
        return 0
    fi
    if ! wait "$_mcmp_connection" 2>/dev/null && ! [ -e "$_mcmp_dir/connected" ]; then
        _mcmp_unreachable
        return
    fi
    _mcmp_say "the server $_mcmp_server has closed the connection"
    return 1
}

# mcmp_listen: prints what arrives, one message after the other, until interrupted; mcmp_listen -x: also
# who comes and goes, where the server tells it.
mcmp_listen() {
    _mcmp_run _mcmp_listen "$@"
}

\eval "$_mcmp_aliases"
\unset _mcmp_aliases _mcmp_alias _mcmp_name
