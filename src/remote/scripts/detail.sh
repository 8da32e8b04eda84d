# detail: a closer look at one node: the content of files, receipts, the end of the error log. Changes nothing, takes no
# lock, and ends with 10.
#
# Arguments: conf prefix lua_root home      absolute paths
#            file_N                         paths below lua_root to send
#            receipts                       how many of the newest receipts to send (0)
#            log                            the error log, as the survey found it (may be missing)
#            seconds                        the deadline (30)
# Records:   clock SECONDS
#            receipts NUMBER                how many there are in all
#            log PATH LENGTH                the log that was opened, links followed, and its whole length
#            no-blob NAME absent|other|outside|unreadable|long|torn|full
#                                           outside: a link leads out of the Lua root and the releases, or to a file that may
#                                           hold secrets; full: everything before it was as much as is sent at once
# Blobs:     file.N receipt.RUN.STEP log    the log: its last bytes, NUL as `?`
#
# What is opened decides, not its name: a link may be changed between a look at it and the reading, a descriptor cannot.

file_most=262144
all_most=2097152
receipt_most=65536
log_most=65536

# send NAME FILE: one file, or why not.
send() {
	if [ ! -e "$2" ] && [ ! -h "$2" ]; then
		case $2 in
			*/*) if [ -d "${2%/*}" ] && [ ! -x "${2%/*}" ]; then emit no-blob "$1" unreadable && return 0; fi ;;
		esac
		emit no-blob "$1" absent
	elif [ -e "$2" ] && [ ! -f "$2" ]; then
		emit no-blob "$1" other
	elif [ ! -r "$2" ]; then
		emit no-blob "$1" unreadable
	else
		{ send_opened "$1"; } 2>/dev/null 4<"$2" || emit no-blob "$1" torn
	fi
}

# opened: where descriptor 4 leads, in $opened, if that is a file that may be shown.
opened() {
	opened=$(readlink /proc/self/fd/4) && [ -f /proc/self/fd/4 ] || return 1
	case $opened in "$real_conf" | "$real_prefix/.kong_env") return 1 ;; esac
}

send_opened() {
	opened || opened=
	case $opened in
		"$real_lua_root"/* | "$real_home"/releases/*) ;;
		*) emit no-blob "$1" outside && return 0 ;;
	esac
	size=$(stat -L -c %s /proc/self/fd/4) || size=0
	if [ "$size" -gt "$file_most" ]; then
		emit no-blob "$1" long
	elif [ "$size" -gt "$all_most" ]; then
		emit no-blob "$1" full
	else
		all_most=$((all_most - size))
		blob "$1" /proc/self/fd/4 "$file_most"
	fi
}

send_files() {
	count file
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "path=\$a_file_$at"
		send "file.$at" "./$path"
	done
}

# Names sort by time, so that the newest come last.
send_receipts() {
	arg receipts 0
	[ "$arg" -gt 0 ] || return 0
	each=$a_home/state/receipts
	if { [ -d "${each%/*}" ] && [ ! -x "${each%/*}" ]; } || { [ -d "$each" ] && [ ! -r "$each" ]; }; then
		emit no-blob receipts unreadable
		return 0
	fi
	set --
	for each in "$a_home"/state/receipts/*; do
		case ${each##*/} in '*' | *[!A-Za-z0-9.]*) continue ;; esac
		if [ -f "$each" ] && [ ! -h "$each" ]; then set -- "$@" "$each"; fi
	done
	emit receipts $#
	while [ $# -gt "$arg" ]; do shift; done
	for each; do blob "receipt.${each##*/}" "$each" "$receipt_most"; done
}

send_log() {
	arg log ''
	[ -n "$arg" ] || return 0
	if [ ! -e "$arg" ]; then
		emit no-blob log absent
	elif [ ! -f "$arg" ]; then
		emit no-blob log other
	elif [ ! -r "$arg" ]; then
		emit no-blob log unreadable
	else
		{ send_tail; } 2>/dev/null 4<"$arg" || emit no-blob log torn
	fi
}

send_tail() {
	opened || { emit no-blob log outside && return 0; }
	emit log "$opened" "$(stat -L -c %s /proc/self/fd/4)"
	bytes=$(tail -c "$log_most" </proc/self/fd/4 | tr '\000' '?' && printf x)
	bytes=${bytes%x}
	printf 'blob log %s\n%s' "${#bytes}" "$bytes"
}

# whole PATH: it without links, in $whole.
whole() {
	whole=$(realpath -- "$1" 2>/dev/null) || whole=$(readlink -f -- "$1" 2>/dev/null) || whole=$1
}

begin
arg seconds 30
watch
deadline "$arg"
for name in conf prefix lua_root home; do
	arg "$name"
	whole "$arg"
	eval "real_$name=\$whole"
done
emit clock "$(date +%s)"
if cd -P "$a_lua_root" 2>/dev/null; then
	send_files
	cd /
else
	why=absent
	[ ! -e "$a_lua_root" ] || why=unreadable
	count file
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		emit no-blob "file.$at" "$why"
	done
fi
send_receipts
send_log
finish 10
