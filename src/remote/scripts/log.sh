# What Kong's error log has got since a moment: a file, or the journal of the unit that runs the master. It explains a failure
# and never proves anything. Functions alone; the records are those at the top of activate.sh.

# find_log: where the log goes: $log_file, else $log_unit; $log_why is why there is neither.
find_log() {
	log_file=
	log_unit=
	log_why=
	log_where=$(env_value proxy_error_log)
	case ${log_where:=logs/error.log} in
		syslog:*) log_why=syslog ;;
		/*) log_file=$log_where ;;
		*) log_file=$a_prefix/$log_where ;;
	esac
	if [ -n "$log_file" ]; then
		# Through its links it may be a stream, which is the master's and not ours.
		where=$(readlink -f -- "$log_file" 2>/dev/null) || where=$log_file
		case $log_file:$where in
			/dev/* | *:/dev/* | *:/proc/*)
				log_file=$(readlink -- "/proc/$master/fd/2" 2>/dev/null) || log_file=
				log_why=stderr
				;;
		esac
		[ -z "$log_file" ] || [ -f "$log_file" ] || log_file=
	fi
	[ -z "$log_file" ] || return 0
	: "${log_why:=absent}"
	[ "$log_why" != absent ] || return 0
	has journalctl || return 0
	arg cgroup "/proc/$master/cgroup"
	log_unit=$(sed -n 's|.*/\([A-Za-z0-9:_.@-]*\.service\)\(/.*\)*$|\1|p' "$arg" 2>/dev/null | tail -n 1)
}

# mark_log: where the log ends now.
mark_log() {
	find_log
	log_seen=
	log_debug=
	[ "$(env_value log_level)" != debug ] || log_debug=1
	if [ -n "$log_file" ]; then
		log_inode=$(stat -L -c %i -- "$log_file")
		log_length=$(stat -L -c %s -- "$log_file")
	elif [ -n "$log_unit" ]; then
		log_since=--since=@$(date +%s)
		log_cursor=$(journal -n 0 --show-cursor 2>/dev/null | sed -n 's/^-- cursor: //p')
		[ -z "$log_cursor" ] || log_since=--after-cursor=$log_cursor
	fi
}

# journal OPTION...: the unit's lines, as they were written.
journal() {
	set -- journalctl -q --no-pager -o cat -u "$log_unit" "$@"
	if has timeout; then set -- timeout 10 "$@"; fi
	"$@" </dev/null
}

# new_log: what came since. A log that was rotated meanwhile is read from its beginning.
new_log() {
	if [ -n "$log_file" ]; then
		[ "$(stat -L -c %i -- "$log_file" 2>/dev/null)" = "$log_inode" ] || log_length=0
		tail -c "+$((log_length + 1))" -- "$log_file" 2>/dev/null
	else
		journal "$log_since" 2>/dev/null
	fi
}

# say_log: the same as a blob, or why there is none.
say_log() {
	case ${log_file-}${log_unit-}${log_why-} in
		'') return 0 ;;
	esac
	if [ -z "$log_file$log_unit" ]; then
		emit no-blob log "$log_why" "$log_where"
		return 0
	fi
	(umask 077 && new_log | head -c 65536 | tr '\000' '?' >"$guard/log") || return 0
	if [ -z "$log_file" ] && [ ! -s "$guard/log" ]; then
		emit no-blob log journal "$log_unit"
		return 0
	fi
	blob log "$guard/log" 65536
}

# say_loading: once, the plugins that the master says it loads, which it does at log_level debug alone.
say_loading() {
	[ -n "${log_debug-}" ] && [ -z "$log_seen" ] && [ -n "$log_file$log_unit" ] || return 0
	loading=$(new_log | head -c 4194304 | sed -n 's/.*Loading plugin: \([A-Za-z0-9_.-]*\).*/\1/p' | sort -u | head -n 200)
	[ -n "$loading" ] || return 0
	log_seen=1
	# shellcheck disable=SC2086 # names
	emit loading $loading
}
