#!/bin/sh
# Writes the completion of a program for a shell, made from the options and commands that the program's
# own --help lists:
#
#     scripts/completions.sh bash|zsh|fish PROGRAM

# The programs in single quotes are awk's.
# shellcheck disable=SC2016
set -eu
if [ $# -ne 2 ]; then
    echo 'usage: scripts/completions.sh bash|zsh|fish PROGRAM' >&2
    exit 2
fi
target=$1 name=${2##*/}
case $2 in
    */*) program=$2 ;;
    *) program=$(command -v "$2") ;;
esac

# The table, a line each, with tabs between: `option`, short, long, what its value is, description; or
# `command`, name, what its arguments are, description.
table=$("$program" --help | awk -F '\n' '
    function flush() { if (kind != "") print kind "\t" key "\t" about; kind = "" }
    /^[A-Z][a-z]+:$/ { flush(); section = $0; next }
    section == "Options:" && /^    (-[a-zA-Z],|   ) --[a-z]/ {
        flush()
        kind = "option"
        short = substr($0, 5, 1) == "-" ? substr($0, 6, 1) : ""
        match($0, /--[a-z][a-z-]*/)
        long = substr($0, RSTART + 2, RLENGTH - 2)
        rest = substr($0, RSTART + RLENGTH)
        value = ""
        # A value stands behind one space, in upper case; a description behind more.
        if (match(rest, /^ [][A-Z0-9:.-]+/) && substr(rest, RLENGTH + 1) ~ /^( |$)/) {
            value = substr(rest, 2, RLENGTH - 1)
            rest = substr(rest, RLENGTH + 1)
        }
        sub(/^ +/, "", rest)
        key = short "\t" long "\t" value
        about = rest
        next
    }
    section == "Commands:" && /^    [a-z]+( |$)/ && !/^    none,/ {
        flush()
        kind = "command"
        line = substr($0, 5)
        at = match(line, /   *[^ ]/)
        about = at ? substr(line, at) : ""
        words = at ? substr(line, 1, at - 1) : line
        sub(/^ +/, "", about)
        command = words
        sub(/ .*/, "", command)
        arguments = substr(words, length(command) + 2)
        key = command "\t" arguments
        next
    }
    section != "" && kind != "" && /^ / {
        text = $0
        sub(/^ +/, "", text)
        about = about (about == "" ? "" : " ") text
        next
    }
    { flush(); if ($0 !~ /^ / && $0 != "") section = "" }
    END { flush() }')

# What stands for one line of the table, made by an awk program of the shell in question.
rows() {
    printf '%s\n' "$table" | awk -F '\t' -v name="$name" '
        # What is to be offered for a value: files, directories, hosts or nothing.
        function offers(value) {
            if (value ~ /^(FILE|PATH)([^A-Z-]|$)/) return "files"
            if (value ~ /^DIR([^A-Z]|$)/) return "directories"
            if (value ~ /^HOST/) return "hosts"
            return "nothing"
        }
        # For between single quotes, without what is too long for a list.
        function brief(text) {
            sub(/ \(default.*| \(after.*|;.*/, "", text)
            gsub(/[\047`$"\\]/, "", text)
            return text
        }
        '"$1"
}

bash_completion() {
    cat <<END
# Completion of $name for bash, made from its --help.
_$name() {
    local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' word
    COMPREPLY=()
    case \$previous in
END
    rows '
        $1 == "option" && $4 != "" {
            names = ($2 == "" ? "" : "-" $2 " | ") "--" $3
            what = offers($4)
            action["files"] = "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")"
            action["directories"] = "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$current\")"
            action["hosts"] = "COMPREPLY=($(compgen -A hostname -- \"$current\"))"
            action["nothing"] = ":"
            print "        " names ") " action[what] "; return ;;"
        }'
    cat <<END
    esac
    if [[ \$current == -* ]]; then
        COMPREPLY=(\$(compgen -W '$(rows '$1 == "option" { printf "%s--%s%s", ($2 == "" ? "" : "-" $2 " "), $3, " " }')' -- "\$current"))
        return
    fi
    for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case \$word in
            $(rows '$1 == "command" { printf "%s%s", (n++ ? " | " : ""), $2 } END { if (!n) printf "-" }')) command=\$word; break ;;
        esac
    done
    case \$command in
        '') COMPREPLY=(\$(compgen -W '$(rows '$1 == "command" { printf "%s ", $2 }')' -- "\$current")) ;;
END
    rows '$1 == "command" && offers($3) == "files" {
        print "        " $2 ") compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;"
    }'
    cat <<END
    esac
}
complete -F _$name $name
END
}

zsh_completion() {
    cat <<END
#compdef $name
# Completion of $name for zsh, made from its --help.
local curcontext=\$curcontext state line
_arguments -C -s -S \\
END
    rows '
        BEGIN {
            action["files"] = "_files"
            action["directories"] = "_files -/"
            action["hosts"] = "_hosts"
            action["nothing"] = " "
        }
        $1 == "option" {
            about = brief($5)
            gsub(/\[/, "\\[", about)
            gsub(/\]/, "\\]", about)
            gsub(/:/, "\\:", about)
            value = $4
            gsub(/[^A-Z-]/, " ", value)
            argument = value == "" ? "" : ":" value ":" action[offers($4)]
            spec = "[" about "]" argument
            if ($2 == "") print "    \047*--" $3 (value == "" ? "" : "=") spec "\047 \\"
            else print "    \047*\047{-" $2 (value == "" ? "" : "+") ",--" $3 (value == "" ? "" : "=") "}\047" spec "\047 \\"
        }'
    if printf '%s\n' "$table" | grep -q '^command'; then
        cat <<'END'
    '1:command:->command' \
    '*::arguments:->arguments'
case $state in
    command)
        local -a commands
        commands=(
END
        rows '$1 == "command" { about = brief($4); gsub(/:/, "\\:", about); print "            \047" $2 ":" about "\047" }'
        cat <<'END'
        )
        _describe command commands
        ;;
    arguments)
        case $words[1] in
END
        rows '$1 == "command" && offers($3) == "files" { print "            " $2 ") _files ;;" }'
        printf '        esac\n        ;;\nesac\n'
    else
        printf '    && return 0\n'
    fi
}

fish_completion() {
    printf '# Completion of %s for fish, made from its --help.\ncomplete -c %s -f\n' "$name" "$name"
    rows '
        BEGIN {
            commands = "'"$(printf '%s\n' "$table" | sed -n 's/^command	\([a-z]*\)	.*/\1/p' | tr '\n' ' ')"'"
            action["files"] = " -r -F"
            action["directories"] = " -x -a \"(__fish_complete_directories)\""
            action["hosts"] = " -x -a \"(__fish_print_hostnames)\""
            action["nothing"] = " -x"
        }
        $1 == "option" {
            print "complete -c " name ($2 == "" ? "" : " -s " $2) " -l " $3 \
                ($4 == "" ? "" : action[offers($4)]) " -d \047" brief($5) "\047"
        }
        $1 == "command" {
            print "complete -c " name " -n \047not __fish_seen_subcommand_from " commands "\047 -a " $2 " -d \047" brief($4) "\047"
            if (offers($3) == "files")
                print "complete -c " name " -n \047__fish_seen_subcommand_from " $2 "\047 -F"
        }'
}

case $target in
    bash | zsh | fish) "${target}_completion" ;;
    *)
        echo "completions: $target: not a shell (bash, zsh or fish)" >&2
        exit 2
        ;;
esac
