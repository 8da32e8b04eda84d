# candidate: a closer look at a node that is going to be reloaded: whether its own CLI makes the files of the running Kong again
# from the settings that it runs with (protocols.md A, "Evidence before"). Changes nothing: what it prepares is in a directory of
# its own that only the master's user can enter, and that is gone when this ends, however it ends. No reload, no signal, no value
# of any setting in the answer.
#
# Arguments: prefix cli      cli: the kong command
#            from            env: from the live .kong_env; conf: that, and then from kong.conf; none: nothing is prepared
#            conf            kong.conf
#            variable_N      NAME=VALUE: the environment of the service, for that second time
#            seconds         the deadline of the script (60)
#            cli_seconds     how long one command of the CLI may take (30)
#            scratch         where its directory is made (/tmp)
# Records:   stopped                 no master runs here
#            nginx SHA               one digest of the nginx files
#            staged FILE...          the nginx files in which a search path can be staged; none of HTTP: no record
#            cli missing|there       whether the command is there and may be run
#            version TEXT            what it says of itself
#            become no               the master's user is not ours, and we cannot become it
#            limit WANTED            the master's limit of open files cannot be had
#            prepared EXIT TEXT      how preparing ended, and what the CLI said if it said no
#            key NAME                a key of .kong_env that would be another one, or would be there or not
#            file NAME               an nginx file that would be another one
#            more COUNT              so many further keys
#            started EXIT TEXT       the same of preparing from kong.conf
#            otherwise NAME          a key of .kong_env that this would make another one
# Ends with: 10

tidy() {
	unwatch
	if [ -n "${cli_pid-}" ]; then kill "$cli_pid" 2>/dev/null; fi
	[ -z "${scratch-}" ] || rm -rf -- "$scratch"
}

# make_scratch: a directory that is the master's user's alone.
make_scratch() {
	arg scratch /tmp
	scratch=$(mktemp -d "$arg/muster-candidate.XXXXXX") || die 22 write "$arg"
	mkdir "$scratch/prefix" || die 22 write "$scratch"
	: >"$scratch/said"
}

# give FILE...: to the master's user.
give() {
	[ -z "$become" ] || chown "$master_uid:$master_gid" "$@" || die 22 write "$scratch"
}

# settings FILE: its lines that count, sorted.
settings() {
	grep -v -e '^#' -e '^[[:space:]]*$' "$1" | sort
}

# mapped FILE: with the prefix of the node in place of ours.
mapped() {
	MUSTER_FROM=$scratch/prefix MUSTER_TO=$live_prefix awk '
		{
			from = ENVIRON["MUSTER_FROM"]
			rest = $0
			made = ""
			while ((at = index(rest, from)) > 0) {
				made = made substr(rest, 1, at - 1) ENVIRON["MUSTER_TO"]
				rest = substr(rest, at + length(from))
			}
			print made rest
		}' "$1"
}

ask_version() {
	run_cli "$cli_seconds_each" "$scratch/said" version
	version=$(sed -n 's/^\(Kong: \)\{0,1\}\([0-9][0-9A-Za-z.+-]*\)$/\2/p; t end; d; :end; q' "$scratch/said" | head -n 1)
	[ -z "$version" ] || emit version "$version"
}

# prepare FILE: in our directory, from these settings.
prepare() {
	rm -rf -- "$scratch/prefix"
	mkdir "$scratch/prefix" || die 22 write "$scratch"
	(
		umask 077
		{ cat "$1" && printf '\nprefix = %s\n' "$scratch/prefix"; } >"$scratch/candidate"
	) || die 22 write "$scratch"
	give "$scratch/prefix" "$scratch/candidate" "$scratch"
	# Both ways of saying where, as the live prefix must not be prepared whatever the file says.
	run_cli "$cli_seconds_each" "$scratch/said" prepare -c "$scratch/candidate" -p "$scratch/prefix"
	code=$?
	[ "$code" = 0 ] || said=$(head -c 600 "$scratch/said")
	[ "$code" = 0 ]
}

# variables: of the service, for the CLI, in a file that nobody else can read: as arguments they would show in `ps`.
variables() {
	: >"$scratch/variables"
	count variable
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "each=\$a_variable_$at"
		case ${each%%=*} in '' | *[!A-Z0-9_]*) continue ;; esac
		printf "export %s='%s'\n" "${each%%=*}" "$(printf %s "${each#*=}" | sed "s/'/'\\\\''/g")" >>"$scratch/variables"
	done
	chmod 0600 "$scratch/variables"
	give "$scratch/variables"
	cli_variables=$scratch/variables
}

# keys RECORD: those that differ.
keys() {
	live_prefix=$(sed -n 's/^prefix *= *//p' "$a_prefix/.kong_env" | tail -n 1)
	[ -n "$live_prefix" ] || live_prefix=$a_prefix
	(
		umask 077
		settings "$a_prefix/.kong_env" >"$scratch/live"
		mapped "$scratch/prefix/.kong_env" >"$scratch/mapped"
		settings "$scratch/mapped" >"$scratch/made"
	)
	told=0
	beyond=0
	lines
	for each in $(comm -3 "$scratch/live" "$scratch/made" | sed 's/^[[:space:]]*//; s/[[:space:]]*=.*//' | sort -u); do
		case $each in *[!a-z0-9_]*) each=odd ;; esac
		if [ "$told" -lt 60 ]; then
			told=$((told + 1))
			emit "$1" "$each"
		else
			beyond=$((beyond + 1))
		fi
	done
	words
	[ "$beyond" = 0 ] || emit more "$beyond"
}

files() {
	for file in "$a_prefix"/nginx*.conf "$scratch"/prefix/nginx*.conf; do
		[ -f "$file" ] || continue
		name=${file##*/}
		# Those that both have come once.
		[ "$file" = "$a_prefix/$name" ] || [ ! -f "$a_prefix/$name" ] || continue
		if [ -f "$a_prefix/$name" ] && [ -f "$scratch/prefix/$name" ]; then
			(umask 077 && mapped "$scratch/prefix/$name" >"$scratch/mapped" && cat "$a_prefix/$name" >"$scratch/live")
			! cmp -s "$scratch/mapped" "$scratch/live" || continue
		fi
		case $name in *[!a-zA-Z0-9._-]*) name=nginx-odd.conf ;; esac
		emit file "$name"
	done
}

lines() {
	set -f
	IFS=$newline
}

words() {
	set +f
	IFS=' 	'$newline
}

main() {
	begin
	for each in prefix cli from; do arg "$each"; done
	arg seconds 60
	watch
	deadline "$arg"
	arg cli_seconds 30
	cli_seconds_each=$arg
	scratch=
	cli_pid=
	cli_behind=yes
	cli_variables=
	trap tidy EXIT
	trap 'exit 143' HUP INT TERM PIPE
	prefix_real=$(readlink -f -- "$a_prefix") || prefix_real=$a_prefix
	find_master "$a_prefix" "$prefix_real" || {
		emit stopped
		finish 10
	}
	[ -r "$a_prefix/.kong_env" ] || die 22 unreadable "$a_prefix/.kong_env"
	sum_nginx
	emit nginx "$sum"
	if find_path_files; then
		# shellcheck disable=SC2086 # names of ours
		emit staged $path_files
	fi
	if [ ! -x "$a_cli" ] || [ -d "$a_cli" ]; then
		emit cli missing
		finish 10
	fi
	emit cli there
	know_master
	if [ "$become" = no ]; then
		emit become no
		finish 10
	fi
	(limit_files) || {
		emit limit "$nofile"
		finish 10
	}
	make_scratch
	ask_version
	case $a_from in env | conf)
		if prepare "$a_prefix/.kong_env"; then
			emit prepared 0
			keys key
			files
		else
			emit prepared "$code" "$said"
		fi
		;;
	esac
	if [ "$a_from" = conf ]; then
		arg conf
		arg_conf=$arg
		variables
		if prepare "$arg_conf"; then
			emit started 0
			keys otherwise
		else
			emit started "$code" "$said"
		fi
	fi
	finish 10
}

main
