#!/bin/sh
# tests/docs/run.sh -- does what the pages say, word for word, and compares what they promise to be printed.
#
#   tests/docs/run.sh [PAGE...]      TRUNKLINE_BIN=build/dev/trunkline
#
# README.md and docs/ hold fenced blocks. A block "sh test" is run with `sh -eu`, one after the other in one fresh
# folder a page; a following block "out" is what it prints, where "…" stands for anything. "sh test background" runs
# until the page ends and is waited for until a hub is ready; "sh test N" must end with status N. "jsonc file NAME"
# becomes a file. A plain "sh" block is not run and needs its reason in unrun.txt. Besides, every `trunkline …`
# in the pages must be a command that there is.
# The last line is `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$(pwd)
bin=${TRUNKLINE_BIN:-$root/build/dev/trunkline}
unrun=$root/tests/docs/unrun.txt
tmp=$(mktemp -d /tmp/tl.XXXXXX) || exit 2
running=""
passed=0 failed=0
end_background() {
    for pid in $running; do
        kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    running=""
}
trap 'end_background; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ -x "$bin" ] || {
    echo "tests/docs/run.sh: '$bin' is missing: build it first"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}
mkdir "$tmp/bin"
ln -s "$bin" "$tmp/bin/trunkline"

# Each block to a file NNN, its info string to NNN.info, the line it begins at to NNN.line.
split() { # page, folder
    awk -v folder="$2" '
        /^```/ && !inside {
            inside = 1; n++; name = sprintf("%s/%03d", folder, n)
            info = substr($0, 4)
            print info >(name ".info"); print NR >(name ".line"); printf "" >name
            close(name ".info"); close(name ".line"); next
        }
        /^```/ { inside = 0; close(name); next }
        inside { print >name }' "$1"
}

fail() { # what
    failed=$((failed + 1))
    echo "FAILED $page:$line: $1"
    [ ! -s "$home/printed" ] || sed 's/^/    /' "$home/printed" | head -n 30
}

# `…` in the file stands for anything, everything else for itself.
fits() { # expected, printed
    pattern=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' "$1")
    # shellcheck disable=SC2254 # it is a pattern
    case $(cat "$2") in $pattern) return 0 ;; esac
    return 1
}

inside() { # command...: as somebody who has only what the page gave them
    cd "$home" && exec env -i PATH="$tmp/bin:/usr/local/bin:/usr/bin:/bin" HOME="$home" LANG=C.UTF-8 TZ=UTC \
        GIT_CONFIG_GLOBAL=/dev/null "$@"
}

start() { # block
    (inside sh -euc "exec $(cat "$1")") >"$home/background" 2>&1 &
    running="$running $!"
    (inside trunkline wait --timeout 20s) >"$home/printed" 2>&1 && passed=$((passed + 1)) && return
    cat "$home/background" >>"$home/printed"
    fail "it does not become ready"
}

run_block() { # block, wanted status
    (inside sh -eu "$1") >"$home/printed" 2>&1
    status=$?
    if [ $status -eq "$2" ]; then passed=$((passed + 1)); else fail "exit status $status instead of $2"; fi
}

is_excused() { # block
    awk -F '\t' -v page="$page" -v first="$(head -n 1 "$1")" '
        $1 == page && $2 == first && $3 != "" { found = 1 } END { exit !found }' "$unrun"
}

run_page() { # page
    page=$1
    home=$tmp/$(printf %s "$page" | tr / -)
    mkdir "$home" "$home.blocks"
    split "$page" "$home.blocks"
    : >"$home/printed"
    for block in "$home.blocks"/???; do
        [ -f "$block" ] || continue
        info=$(cat "$block.info") line=$(cat "$block.line")
        case $info in
        "sh test") run_block "$block" 0 ;;
        "sh test background") start "$block" ;;
        "sh test "*) run_block "$block" "${info##* }" ;;
        "jsonc file "*) cp "$block" "$home/${info##* }" ;;
        out)
            if fits "$block" "$home/printed"; then passed=$((passed + 1)); else fail "something else is printed"; fi
            ;;
        sh) is_excused "$block" || fail "not run, and not in tests/docs/unrun.txt" ;;
        esac
    done
    end_background
    rm -rf "$home" "$home.blocks"
}

# Every command the pages name: the noun, or the noun and the verb.
check_words() { # page
    page=$1
    awk '{ while (match($0, /(^|[`( ])trunkline [a-z][a-z]*( [a-z][a-z-]*)?/)) {
               text = substr($0, RSTART, RLENGTH); sub(/^.*trunkline /, "", text); print NR, text
               $0 = substr($0, RSTART + RLENGTH) } }' "$1" | grep -v '^[0-9]* \(is\|has\|role\) *' |
        sort -u -k 2 >"$tmp/words"
    while read -r line noun verb; do
        grep -qxF "$noun" "$tmp/nouns" || {
            fail "there is no command 'trunkline $noun'"
            continue
        }
        grep -q "^$noun [a-z]" "$tmp/commands" || verb=""
        if [ -z "$verb" ] || grep -qxF "$noun $verb" "$tmp/commands"; then
            passed=$((passed + 1))
        else
            fail "there is no command 'trunkline $noun $verb'"
        fi
    done <"$tmp/words"
}

"$bin" help --reference | sed -n 's/^## \([a-z][a-z ]*\)$/\1/p' >"$tmp/commands"
cut -d ' ' -f 1 "$tmp/commands" | sort -u >"$tmp/nouns"
home=$tmp
# shellcheck disable=SC2046 # one word a file
[ $# -gt 0 ] || set -- README.md $(tools/files 'docs/*.md' | grep -v '^docs/adr/')
for one; do
    : >"$tmp/printed"
    check_words "$one"
    run_page "$one"
    home=$tmp
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
