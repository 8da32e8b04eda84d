# rehearse: loads the plugins of a directive with the node's own Kong, in a scratch prefix, away from what runs. Nothing live
# changes, and nothing is left, however it ends: the copy of the settings that it makes holds the node's secrets.
#
# Arguments: home prefix conf lua_root cli  cli: the kong command
#            base env|conf                 what is rehearsed with: the live `.kong_env`, or kong.conf where Kong does not run
#            plugins                       the directive to rehearse
#            path                          lua_package_path without releases (may be missing: nothing sets it)
#            stage                         what stands before it: `RELEASE/?.lua;RELEASE/?/init.lua;...`
#            content_N                     bundles whose content comes as payload, in the order of the search path: nothing was
#                                          delivered; then `file_N`, each path behind the name of its bundle, too
#            plugin_N                      plugins that are loaded anew: the workers have to be able to read their files
#            limit                         seconds that the command may take (60)
# Payload:   a tar.gz of these files, if there is content
# Records:   content DIRECTORY             where the content was, each bundle below its name
#            alive                         every second, where there is a payload
#            trial EXIT                    how the command ended; 124: it was ended, as it took too long
#            lacks NAME                    after a failure: a listed name without a handler on the search path
#            unreadable UID PATH           a file that the master, or a worker, may not read
#            problem no-cli|no-perl|no-base|no-scratch PATH
#            problem not-the-owner UID
#            problem unpack KIB            the payload could not be unpacked; free space left
#            problem content PATH          a file is not what was announced, or one too many
# Blobs:     said                          what the command said, cut at 64 KiB
# Ends with: 10 all of it loads; 30 it does not; 22 no trial load can be made here.
#
# The settings of the trial go by the environment, which beats the file (facts.md A3), so that the file stays as it is, byte for
# byte. Kong's command is a perl program, so that a node without perl has none that works; and perl keeps the command in a
# process group of its own, which ends with it, with its time, and with this script.

scratch=
runner=
pulse=

# clear_away: ends what runs, and removes what was made.
clear_away() {
	trap '' TERM INT HUP PIPE
	if [ -n "$runner" ]; then
		kill "$runner" 2>/dev/null && wait "$runner"
		runner=
	fi
	[ -z "$scratch" ] || rm -rf "$scratch"
	scratch=
	unwatch
}

# start_pulse: stdin ended with the payload, so that a client that is gone shows only as an answer that nobody takes.
start_pulse() {
	process $$
	begun=$start
	(
		trap '' PIPE
		while sleep 1 >/dev/null && alive $$ "$begun" && printf 'alive\n'; do :; done
		! alive $$ "$begun" || kill -TERM $$
	) </dev/null 2>/dev/null &
	pulse=$!
	dogs="$dogs $pulse"
}

# stop_pulse: what is answered from here on is not broken into.
stop_pulse() {
	[ -n "$pulse" ] || return 0
	kill "$pulse" 2>/dev/null
	wait "$pulse" 2>/dev/null
	pulse=
}

over() {
	clear_away
	finish "$1"
}

stop() {
	clear_away
	die "$@"
}

# make_scratch: a directory for the master's user alone. Its name tells who made it, so that what a killed one left is found.
make_scratch() {
	process $$
	for base in "$a_home" "${TMPDIR:-/tmp}"; do
		[ -d "$base" ] && [ -w "$base" ] || continue
		for each in "$base"/.trial-*; do
			owner=${each##*/.trial-}
			case $owner in *[!0-9-]* | *-*-* | -* | *-) continue ;; *-*) ;; *) continue ;; esac
			[ ! -d "$each" ] || [ -h "$each" ] || alive "${owner%-*}" "${owner#*-}" || rm -rf "$each"
		done
		process $$
		if mkdir -m 0700 "$base/.trial-$$-$start" 2>/dev/null; then
			scratch=$base/.trial-$$-$start
			return 0
		fi
	done
	die 22 no-scratch "$a_home"
}

# unpack: the content, below the scratch directory.
unpack() {
	mkdir "$scratch/content" && unwrap "$scratch/content" ||
		stop 30 unpack "$(df -Pk "$scratch" | awk 'NR == 2 { print $4 }')"
	if ! holds_it "$scratch/content"; then
		say_difference "$scratch/content"
		over 30
	fi
	set_modes "$scratch/content" || stop 30 unpack 0
	emit content "$scratch/content"
}

# find_owner: whose command it has to be, in $uid and $gid: the master's, else whoever wrote `.kong_env` last, else we.
find_owner() {
	prefix_real=$(readlink -f -- "$a_prefix") || prefix_real=$a_prefix
	if find_master "$a_prefix" "$prefix_real"; then
		idle "$master" || :
	else
		owner=$(stat -c '%u %g' -- "$a_prefix/.kong_env" 2>/dev/null) || owner="$(id -u) $(id -g)"
		uid=${owner% *}
		gid=${owner#* }
	fi
	self=$(id -u)
	[ "$self" = 0 ] || [ "$self" = "$uid" ] || die 22 not-the-owner "$uid"
}

# copy_base: the settings that it is rehearsed with, for the master's user alone.
copy_base() {
	case $a_base in
		env) from=$a_prefix/.kong_env ;;
		*) from=$a_conf ;;
	esac
	(
		umask 077
		mkdir "$scratch/prefix" "$scratch/tmp" &&
			cat -- "$from" >"$scratch/candidate" 2>/dev/null &&
			printf '_format_version: "3.0"\n' >"$scratch/empty.yml" &&
			: >"$scratch/said" &&
			{ [ "$self" = "$uid" ] || chown -R "$uid:$gid" "$scratch"; }
	) || stop 22 no-base "$from"
}

# whole_path: the search path. `./` counts from where the master was started, and the command is run from `/`, as it would load
# `./kong/...` before its own modules (measured.md 4).
whole_path() {
	arg path ''
	rest=${arg:-./?.lua;./?/init.lua;}
	here=
	[ -z "$master" ] || here=$(readlink "/proc/$master/cwd" 2>/dev/null) || here=
	search=$a_stage
	number=0
	while [ "$number" -lt "$bundles" ]; do
		number=$((number + 1))
		eval "each=\$scratch/content/\$a_content_$number"
		search="$search$each/?.lua;$each/?/init.lua;"
	done
	while [ -n "$rest" ]; do
		case $rest in
			*\;*) each="${rest%%;*};" && rest=${rest#*;} ;;
			*) each=$rest && rest= ;;
		esac
		case $each in ./*) each=${here%/}/${each#./} ;; esac
		search=$search$each
	done
}

# run_kong: the command, in the background, so that a signal is heeded while it runs; its exit status in $code.
run_kong() {
	cd /
	# shellcheck disable=SC2016 # perl's variables
	perl -e '
		use POSIX ();
		my ($limit, $uid, $gid, $scratch, @command) = @ARGV;
		my $parent = getppid;
		my $child = fork;
		exit 126 unless defined $child;
		if (!$child) {
			setpgrp(0, 0);
			if ($> != $uid) {
				$) = "$gid $gid";
				POSIX::setgid($gid);
				POSIX::setuid($uid);
				exit 126 if $> != $uid;
			}
			exec { $command[0] } @command;
			exit 127;
		}
		setpgrp($child, $child);
		my ($stop, $status, $left) = (0, undef, $limit);
		$SIG{$_} = sub { $stop = 143 } for qw(TERM INT HUP);
		until (defined $status) {
			if (waitpid($child, POSIX::WNOHANG()) == $child) { $status = $?; last }
			$stop = 143 if getppid != $parent;
			$stop = 124 if !$stop && $left <= 0;
			if ($stop) {
				kill "TERM", -$child;
				for (1 .. 50) { last if waitpid($child, POSIX::WNOHANG()) == $child; select undef, undef, undef, 0.02 }
				last;
			}
			select undef, undef, undef, 0.02;
			$left -= 0.02;
		}
		kill "KILL", -$child;
		system "rm", "-rf", "--", $scratch if getppid != $parent;
		exit $stop if $stop;
		exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
	' "$limit_seconds" "$uid" "$gid" "$scratch" \
		env -i PATH="$PATH" LC_ALL=C HOME=/ TMPDIR="$scratch/tmp" KONG_DATABASE=off KONG_PREFIX="$scratch/prefix" \
		KONG_PLUGINS="$a_plugins" KONG_LUA_PACKAGE_PATH="$search" \
		"$a_cli" config parse "$scratch/empty.yml" -c "$scratch/candidate" >"$scratch/said" 2>&1 </dev/null &
	runner=$!
	wait "$runner"
	code=$?
	runner=
}

# find_module NAME: where its handler is found first, in $found; empty: nowhere. Behind the setting stand the directories of
# Lua and OpenResty, as Kong's own packages have them (facts.md B2).
find_module() {
	rest="$search;$a_lua_root/?.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/openresty/site/lualib/?.lua;/usr/local/openresty/lualib/?.lua;"
	found=
	while [ -n "$rest" ]; do
		each=${rest%%;*}
		rest=${rest#*;}
		case $each in *\?*) ;; *) continue ;; esac
		found=${each%%\?*}kong/plugins/$1/handler${each#*\?}
		[ ! -e "$found" ] || return 0
	done
	found=
}

# may_read UID GID GROUPS PATH...: the first Lua file below these that this user may not read, as `unreadable UID PATH`.
may_read() {
	# shellcheck disable=SC2016 # perl's variables
	unread=$(perl -e '
		use POSIX ();
		use filetest "access";
		my ($uid, $gid, $groups, @left) = @ARGV;
		if ($> != $uid) {
			$) = "$gid $gid $groups";
			POSIX::setgid($gid);
			POSIX::setuid($uid);
			exit if $> != $uid;
		}
		my $seen = 0;
		while (defined(my $path = shift @left)) {
			last if ++$seen > 5000;
			if (opendir my $dir, $path) { push @left, map { "$path/$_" } grep { !/^\.\.?$/ } readdir $dir }
			elsif (-d $path || !-e $path || ($path =~ /\.lua$/ && !-r $path)) { print $path; exit }
		}
	' "$@" </dev/null 2>/dev/null)
	[ -z "$unread" ] || emit unreadable "$1" "$unread"
	[ -z "$unread" ]
}

# tell_lacking: which of the listed names have no handler, or one that the master may not read.
tell_lacking() {
	names=$a_plugins,
	number=0
	while [ -n "$names" ] && [ "$number" -lt 500 ]; do
		number=$((number + 1))
		name=${names%%,*}
		names=${names#*,}
		case $name in '' | bundled | off | *[!A-Za-z0-9._-]*) continue ;; esac
		find_module "$name"
		if [ -z "$found" ]; then
			emit lacks "$name"
		else
			may_read "$uid" "$gid" '' "${found%/*}" || :
		fi
	done
}

# check_workers: what the master loads as root its workers read later as somebody else, where a module is required only when it
# is needed (protocols.md B1).
check_workers() {
	[ -n "$master" ] && [ "$self" = 0 ] || return 0
	count plugin
	number=0
	set --
	while [ "$number" -lt "$count" ]; do
		number=$((number + 1))
		eval "name=\$a_plugin_$number"
		find_module "$name"
		case $found in
			# In a release, anybody may read it.
			'' | "$scratch"/*) ;;
			*) set -- "$@" "${found%/*}" ;;
		esac
	done
	[ $# -gt 0 ] || return 0
	children "$master"
	for child in $children; do
		owner=$(stat -c '%u %g' "/proc/$child" 2>/dev/null) || continue
		[ "${owner% *}" != "$uid" ] || continue
		groups=$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$child/status" 2>/dev/null)
		may_read "${owner% *}" "${owner#* }" "$groups" "$@"
		return
	done
}

say_said() {
	head -c 65536 "$scratch/said" 2>/dev/null | tr '\000' '?' >"$scratch/cut"
	blob said "$scratch/cut" 65536
}

begin
for each in home prefix conf lua_root cli base plugins; do arg "$each"; done
arg stage ''
a_stage=$arg
arg limit 60
limit_seconds=$arg
case $limit_seconds in '' | *[!0-9]* | ??????*) die 90 argument-odd limit ;; esac
count content
bundles=$count
number=0
while [ "$number" -lt "$bundles" ]; do
	number=$((number + 1))
	eval "each=\$a_content_$number"
	case $each in '' | .* | */* | *[\;?]*) die 90 argument-odd "content_$number" ;; esac
done
deadline $((limit_seconds + 30))
if [ "$bundles" -gt 0 ]; then
	expect
else
	watch
fi
has perl || die 22 no-perl
case $a_cli in
	*/*) [ -x "$a_cli" ] || die 22 no-cli "$a_cli" ;;
	*) has "$a_cli" || die 22 no-cli "$a_cli" ;;
esac
find_owner
trap clear_away EXIT
trap 'clear_away; exit 30' TERM INT HUP PIPE
make_scratch
[ "$bundles" -eq 0 ] || unpack
copy_base
whole_path
[ "$bundles" -eq 0 ] || start_pulse
run_kong
stop_pulse
emit trial "$code"
say_said
case $code in
	0)
		check_workers || over 30
		over 10
		;;
	126 | 127) stop 22 no-cli "$a_cli" ;;
	*)
		tell_lacking
		over 30
		;;
esac
