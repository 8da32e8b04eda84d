# collect: the content of files of plugins, byte for byte. Changes nothing, takes no lock, and ends with 10.
#
# Arguments: conf prefix lua_root           absolute paths
#            file_N                         paths below lua_root to send
#            seconds                        the deadline (60)
# Records:   no-blob NAME absent|other|outside|unreadable|long|full
#                                           outside: it leads out of the directory of its plugin, or to a file that may hold
#                                           secrets; full: everything before it was as much as is sent at once
# Blobs:     file.N                         exactly as many bytes as the file had when it was opened: one that became shorter
#                                           meanwhile is filled with zeros, and has another digest than it was listed with
#
# What is opened decides, not its name. The directory of a plugin may be a link to elsewhere; then it has to be one that holds
# the code of a plugin itself, so that nobody who may only make a link is sent what he may not read.

file_most=1048576
all_most=16777216

# whole PATH: it without links, in $whole.
whole() {
	whole=$(realpath -- "$1" 2>/dev/null) || whole=$(readlink -f -- "$1" 2>/dev/null) || whole=$1
}

# home_of PATH: the directory that the file has to lie in when all links are followed, in $allowed.
home_of() {
	allowed=$real_lua_root
	case $1 in kong/plugins/*/*) ;; *) return 0 ;; esac
	name=${1#kong/plugins/}
	name=${name%%/*}
	[ "$name" != "$known" ] || {
		allowed=$known_allowed
		return 0
	}
	known=$name
	whole "./kong/plugins/$name"
	case $whole in
		"$real_lua_root"/*) ;;
		/ | /etc | /root | /home | /var | /usr | /opt | /tmp | /proc/* | /sys/* | /dev/*) whole= ;;
		*)
			for code in handler.lua schema.lua handler/init.lua schema/init.lua; do
				if [ -f "$whole/$code" ] && [ ! -h "$whole/$code" ]; then code=; fi
				[ -n "$code" ] || break
			done
			[ -z "$code" ] || whole=
			;;
	esac
	# Only what lies in it, whatever it is; without one nothing does.
	allowed=${whole:-/proc/self/none}
	known_allowed=$allowed
}

# send NAME FILE: one file, or why not.
send() {
	if [ ! -e "./$2" ]; then
		emit no-blob "$1" absent
	elif [ ! -f "./$2" ]; then
		emit no-blob "$1" other
	elif [ ! -r "./$2" ]; then
		emit no-blob "$1" unreadable
	else
		home_of "$2"
		{ send_opened "$1"; } 2>/dev/null 4<"./$2" || emit no-blob "$1" unreadable
	fi
}

send_opened() {
	opened=$(readlink /proc/self/fd/4) && [ -f /proc/self/fd/4 ] || opened=
	case $opened in
		"$real_conf" | "$real_prefix/.kong_env" | "$real_prefix"/.kong_process*) opened= ;;
		"$allowed"/*) ;;
		*) opened= ;;
	esac
	if [ -z "$opened" ]; then
		emit no-blob "$1" outside
		return 0
	fi
	size=$(stat -L -c %s /proc/self/fd/4) || return 1
	if [ "$size" -gt "$file_most" ]; then
		emit no-blob "$1" long
	elif [ "$size" -gt "$all_most" ]; then
		emit no-blob "$1" full
	else
		all_most=$((all_most - size))
		printf 'blob %s %s\n' "$1" "$size"
		# Its length was said: so many bytes come, whatever becomes of the file.
		[ "$size" -eq 0 ] || { cat <&4; head -c "$size" /dev/zero; } 2>/dev/null | head -c "$size"
	fi
}

begin
arg seconds 60
watch
deadline "$arg"
for name in conf prefix lua_root; do
	arg "$name"
	whole "$arg"
	eval "real_$name=\$whole"
done
known=
known_allowed=
count file
at=0
if cd -P "$a_lua_root" 2>/dev/null; then
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "path=\$a_file_$at"
		send "file.$at" "$path"
	done
else
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		emit no-blob "file.$at" absent
	done
fi
finish 10
