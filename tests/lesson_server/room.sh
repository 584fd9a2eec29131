#!/bin/bash
# One client: ncat starts this for each, with the connection as its input and output.
export LC_ALL=C                                        # a length counts bytes
room=${ROOM:-/tmp/room}; mkdir -p "$room"
touch "$room/$$"; trap 'rm -f "$room/$$"' EXIT         # the process number is the UID

respond() {                                            # respond STATUS BODY
    printf 'Status %s\r\nMessage-Type %s\r\nMessage-ID %s\r\n' "$1" "$type" "$id"
    printf 'Content-Type text\r\nContent-Length %d\r\n\r\n%s' ${#2} "$2"
}

while read -r line; do                                 # the first line of a message
    type='' id='' length=0 body=''
    while line=${line%$'\r'}; [ -n "$line" ]; do       # a field: name, blank, value
        read -r name value _ <<<"$line"
        case $name in
            Message-Type) type=$value ;;
            Message-ID) id=$value ;;
            Content-Length) length=$value ;;
        esac
        read -r line || exit
    done
    [ "$length" = 0 ] || read -r -N "$length" body     # the length alone ends a body
    case $type in
        query) respond Ok "$(ls "$room")"$'\n' ;;
        nickname) respond Ok "$body" ;;
        chat) respond Ok '' ;;                         # nobody hears it yet
        fetch) respond Error $'no such file\n' ;;
        bye) exit ;;
    esac
done
