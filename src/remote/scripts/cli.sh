# Running the node's own `kong` as its master's user: with a clean environment, from `/`, with the master's limit of open files,
# as the CLI writes what it finds of these into the node's configuration (protocols.md A; measured.md 4). Functions alone.

# know_master: $master_uid, $master_gid and $nofile of $master, and how this script becomes its user, in $become: a tool, nothing
# where it is that user already, `no` where it cannot.
know_master() {
	idle "$master" || :
	master_uid=$uid
	master_gid=$gid
	self=$(id -u)
	become=no
	if [ "$self" = "$master_uid" ]; then
		become=
	elif [ "$self" != 0 ]; then
		:
	elif setpriv --reuid="$master_uid" --regid="$master_gid" --clear-groups true 2>/dev/null; then
		become=setpriv
	elif has perl; then
		become=perl
	fi
	nofile=
	while read -r one two three soft _; do
		[ "$one $two $three" != 'Max open files' ] || nofile=$soft
	done 2>/dev/null <"/proc/$master/limits"
}

# limit_files: this process may open as many files as the master: Kong writes what it finds into its configuration.
limit_files() {
	[ -n "$nofile" ] || return 0
	[ "$(ulimit -n)" = "$nofile" ] || ulimit -n "$nofile" 2>/dev/null || ulimit -S -n "$nofile" 2>/dev/null
	[ "$(ulimit -n)" = "$nofile" ]
}

# run_cli SECONDS OUTPUT ARGUMENT...: `kong ARGUMENT...`, ended after so many seconds; its exit status. With $cli_behind a signal
# for this script is not kept waiting; whoever has it kills $cli_pid.
run_cli() {
	cli_seconds=$1
	cli_output=$2
	shift 2
	if [ -n "${cli_variables-}" ]; then
		# shellcheck disable=SC2016 # the other shell's
		set -- env -i PATH="$PATH" /bin/sh -c '. "$0" && exec "$@"' "$cli_variables" "$a_cli" "$@"
	else
		set -- env -i PATH="$PATH" "$a_cli" "$@"
	fi
	# shellcheck disable=SC2016 # perl's variables
	case $become in
		setpriv) set -- setpriv --reuid="$master_uid" --regid="$master_gid" --clear-groups "$@" ;;
		perl) set -- perl -e 'use POSIX (); my ($u, $g) = splice(@ARGV, 0, 2); $) = "$g $g"; POSIX::setgid($g) && POSIX::setuid($u) or exit 126; exec @ARGV; exit 127' \
			"$master_uid" "$master_gid" "$@" ;;
	esac
	if has timeout; then
		set -- timeout "$cli_seconds" "$@"
	elif has perl; then
		set -- perl -e 'alarm shift; exec @ARGV; exit 127' "$cli_seconds" "$@"
	fi
	if [ -n "${cli_behind-}" ]; then
		(cd / && limit_files && exec "$@") >"$cli_output" 2>&1 </dev/null 9>&- &
		cli_pid=$!
		wait "$cli_pid"
	else
		(cd / && limit_files && exec "$@") >"$cli_output" 2>&1 </dev/null 9>&-
	fi
}

# find_path_files: the nginx files of the prefix that nginx reads and that have a search path, in $path_files; 1: none that
# HTTP has. A template of the operator's own may have it in nginx.conf, or may not include Kong's file at all.
find_path_files() {
	path_files=
	found_path=
	for file in nginx.conf nginx-kong.conf nginx-kong-stream.conf; do
		[ -f "$a_prefix/$file" ] || continue
		[ "$file" = nginx.conf ] || grep -q "^[[:space:]]*include[[:space:]].*$file" "$a_prefix/nginx.conf" 2>/dev/null || continue
		grep -q '^[[:space:]]*lua_package_path[[:space:]]' "$a_prefix/$file" || continue
		path_files="$path_files $file"
		[ "$file" = nginx-kong-stream.conf ] || found_path=yes
	done
	[ -n "$found_path" ]
}

# sum_nginx: one digest of all nginx files of the prefix, in $sum.
sum_nginx() {
	# shellcheck disable=SC2086 # words of ours
	sum=$(cat "$a_prefix"/nginx*.conf 2>/dev/null | $summer)
	sum=${sum%% *}
}
