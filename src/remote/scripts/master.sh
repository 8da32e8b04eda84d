# What the process table says of a running Kong: its master, whether that is idle, its workers (protocols.md A, "Proof").

# title PID: its title in $title, empty while it changes or when it is a zombie. A command line has no newline at its end, so
# that read fails with the text read; NUL bytes are dropped by dash and busybox and said on stderr by bash.
title() {
	title=
	{ IFS= read -r title <"/proc/$1/cmdline"; } 2>/dev/null
	:
}

# find_master PREFIX [REAL]: the running master of this prefix, $master and $master_start, by the pid file and by its title,
# as a pid file may be stale and a pid used again. 1: Kong does not run.
find_master() {
	master=
	master_start=
	found=
	{ read -r found _ <"$1/pids/nginx.pid"; } 2>/dev/null || [ -n "$found" ] || return 1
	case $found in '' | *[!0-9]* | ???????????*) return 1 ;; esac
	process "$found" || return 1
	[ "$state" != Z ] || return 1
	title "$found"
	case $title in 'nginx: master process '*) ;; *) return 1 ;; esac
	is_prefix "$1" || is_prefix "${2:-$1}" || return 1
	master=$found
	master_start=$start
}

# is_prefix PREFIX: the title names it.
is_prefix() {
	case "$title " in *" -p $1 "* | *" -p $1/ "*) return 0 ;; esac
	return 1
}

# idle PID: $uid and $gid of the process, and whether it is idle: no HUP is blocked, waiting or being worked on. While nginx's master works on a reload it blocks all signals;
# a HUP not yet taken stands in the pending masks (measured on Kong, protocols.md B3).
idle() {
	masks=0
	uid=
	gid=
	while read -r name value _; do
		case $name in
			Uid:) uid=$value ;;
			Gid:) gid=$value ;;
			SigBlk: | ShdPnd: | SigPnd:)
				masks=$((masks + 1))
				case $value in *[13579bdfBDF]) return 1 ;; esac
				;;
			SigIgn:) break ;;
		esac
	done 2>/dev/null <"/proc/$1/status"
	[ "$masks" -eq 3 ]
}

# children PID: its children, in $children.
children() {
	children=
	if [ -e "/proc/$1/task/$1/children" ]; then
		{ read -r children <"/proc/$1/task/$1/children"; } 2>/dev/null || [ -n "$children" ] || :
	else
		# A kernel without that file. cat goes on when a process vanishes, awk may not.
		children=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '
			{ pid = $1; sub(/^.*\) /, ""); split($0, field, " "); if (field[2] == parent) printf "%s ", pid }')
	fi
}

# workers PID: $live and $leaving, words PID:START. Zombies and processes without a title are nobody; one that is shutting
# down is leaving; the cache loader ends by itself and is no worker. A child that still has its parent's title is new.
workers() {
	live=
	leaving=
	children "$1"
	for child in $children; do
		process "$child" || continue
		[ "$state" != Z ] && [ "$parent" = "$1" ] || continue
		title "$child"
		case $title in
			'' | *'cache loader'*) ;;
			*'is shutting down'*) leaving="$leaving $child:$start" ;;
			*) live="$live $child:$start" ;;
		esac
	done
}
