# What a survey asks of the machine beside files: logind, the processes of Kong, the guard, the rocks; and the list of a root
# that is too large or too odd for the shell. Functions alone; the records are those at the top of survey.sh.

# look_at_logind: what outlives a login. A guard of root's runs as a unit of its own; for others this decides, and only then is
# a program started where the files do not say. The last file that says it counts.
look_at_logind() {
	arg systemd ''
	[ -d "$arg/run/systemd/system" ] || return 0
	kills=
	for each in "$arg"/usr/lib/systemd/logind.conf "$arg"/etc/systemd/logind.conf "$arg"/usr/lib/systemd/logind.conf.d/*.conf \
		"$arg"/run/systemd/logind.conf.d/*.conf "$arg"/etc/systemd/logind.conf.d/*.conf; do
		[ -f "$each" ] && [ -r "$each" ] || continue
		while IFS="=$blanks" read -r name value _; do
			[ "$name" != KillUserProcesses ] || kills=$value
		done <"$each"
	done
	if [ -z "$kills" ] && [ ! -w / ] && has loginctl; then
		kills=$(loginctl show-session -p KillUserProcesses 2>/dev/null) || kills=
		kills=${kills#*=}
	fi
	case $kills in
		1 | y | yes | t | true | on) emit logind 1 ;;
		0 | n | no | f | false | off) emit logind 0 ;;
	esac
}

look_at_master() {
	cwd=
	if ! find_master "$a_prefix" "$real_prefix"; then
		look_for_orphans
		ask_version
		return
	fi
	resting=0
	if idle "$master"; then resting=1; fi
	nofile=-
	while read -r one two three soft _; do
		[ "$one $two $three" = 'Max open files' ] || continue
		nofile=$soft
		break
	done 2>/dev/null <"/proc/$master/limits"
	cwd=
	if cd -P "/proc/$master/cwd" 2>/dev/null; then cwd=$PWD; fi
	cd /
	case $cwd in /proc/*) cwd= ;; esac
	emit master "$master" "$master_start" "${uid:--}" "${gid:--}" "$nofile" "$resting" "$cwd"
	workers "$master"
	for each in $live; do emit worker "${each%:*}" "${each#*:}" live; done
	for each in $leaving; do emit worker "${each%:*}" "${each#*:}" leaving; done
}

# Workers outlive a master that is killed, and serve on: a Kong without a master is not one that does not run. They hold the
# logs open, or a socket that is bound below the prefix.
look_for_orphans() {
	found=$(grep -l '^nginx: worker process' /proc/[0-9]*/cmdline 2>/dev/null)
	for each in $found; do
		each=${each#/proc/}
		each=${each%/cmdline}
		process "$each" && [ "$state" != Z ] || continue
		begun=$start
		held=$(ls -l "/proc/$each/fd/" 2>/dev/null)
		if holds "$each"; then
			emit orphan "$each" "$begun" 1
			continue
		fi
		title "$parent"
		case $held:$title in
			*' -> '* | *:'nginx: master process'*) ;;
			*) emit orphan "$each" "$begun" 0 ;;
		esac
	done
}

# holds PID: something below the prefix, by $held, the list of what it has open.
holds() {
	for below in "$a_prefix" "$real_prefix"; do
		case $held in *" -> $below/"*) return 0 ;; esac
		bounds=$(grep -F " $below/" "/proc/$1/net/unix" 2>/dev/null)
		lines
		for bound in $bounds; do
			words
			# shellcheck disable=SC2086 # numbers, and a path that comes last
			set -- "$1" ${bound%%/*}
			case $held in *"socket:[${8-}]"*) return 0 ;; esac
		done
		words
	done
	return 1
}

# What the installed command says of itself. It starts perl and nginx twice, so only where no running Kong can be asked.
ask_version() {
	arg cli ''
	[ -n "$arg" ] || return 0
	has timeout || return 0
	version=$(cd / && env -i PATH="$PATH" timeout 10 "$arg" version 2>/dev/null </dev/null) || return 0
	emit installed "${version%%"$newline"*}"
}

# $undoes: 1 if its process died before its work was done: whoever changes the node next does that first.
look_at_guard() {
	undoes=0
	[ -d "$a_home/state/guard" ] || return 0
	is=none
	for token in armed confirmed fired; do
		if [ -e "$a_home/state/guard/$token" ]; then is=$token; fi
	done
	step=-
	left=0
	{
		while read -r name value; do
			case $name in
				step) step=$value ;;
				deadline) left=$((value - uptime)) ;;
			esac
		done <"$a_home/state/guard/facts"
	} 2>/dev/null
	pid=
	begun=
	{ read -r pid begun _ <"$a_home/state/guard/ready"; } 2>/dev/null
	lives=0
	if [ -n "$pid" ] && alive "$pid" "$begun"; then lives=1; fi
	emit guard "$is" "$step" "$left" "$lives"
	case $lives$is in
		0armed | 0fired) [ -e "$a_home/state/guard/done" ] || undoes=1 ;;
	esac
}

# Rocks by their own list of files: a Lua table, which is read by its braces, as running it would be running their code.
look_at_rocks() {
	arg rocks "${a_lua_root%/share/lua/5.1}/lib/luarocks/rocks-5.1"
	tree=$arg
	arg system_rocks /usr/local/lib/luarocks/rocks-5.1
	set --
	for each in "$tree"/*/*/rock_manifest; do if [ -e "$each" ]; then set -- "$@" "$each"; fi; done
	# The tree that LuaRocks itself looks in, whatever Kong's search path is: before 3.9 it came before that (facts.md B2).
	if [ "$arg" != "$tree" ]; then
		for each in "$arg"/*/*/rock_manifest; do if [ -e "$each" ]; then set -- "$@" "$each"; fi; done
	fi
	[ $# -gt 0 ] || return 0
	MUSTER_ROOTS=$names awk '
		BEGIN {
			n = split(ENVIRON["MUSTER_ROOTS"], root, "\n") - 1
			for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
		}
		function field(text, i, c, out) {
			for (i = 1; i <= length(text); i++) {
				c = substr(text, i, 1)
				out = out (c ~ /[A-Za-z0-9._\/+@=,-]/ ? c : sprintf("%%%02X", code[c]))
			}
			return out
		}
		function ours(path, i) {
			for (i = 1; i <= n; i++)
				if (path == root[i] || index(path, root[i] "/") == 1) return 1
			return 0
		}
		FNR == 1 {
			depth = 0
			parts = split(FILENAME, part, "/")
			tree = FILENAME
			sub(/\/lib\/luarocks\/.*$/, "", tree)
			rock = "rock " field(part[parts - 2]) " " field(part[parts - 1]) " " field(tree)
			said = 0
		}
		/^[ \t]*}/ { if (depth > 0) depth--; next }
		/=/ {
			key = $0
			sub(/^[ \t]*/, "", key)
			if (key ~ /^\["/) { sub(/^\["/, "", key); sub(/"\] *=.*$/, "", key) }
			else sub(/ *=.*$/, "", key)
			if ($0 ~ /{[ \t]*$/) { stack[++depth] = key; next }
			if (stack[2] != "lua" || depth < 2) next
			path = ""
			for (i = 3; i <= depth; i++) path = path stack[i] "/"
			path = path key
			if (!ours(path)) next
			if (!said++) print rock
			print "rock-file " field(path)
		}' "$@" 2>/dev/null
}

# look_for_doubles: what stands for modules of our roots in other directories of the search path that is set: the first of them
# is loaded. What the shell finds by itself, of at most 32 directories.
look_for_doubles() {
	rest=$search
	number=0
	while [ -n "$rest" ] && [ "$number" -lt 32 ]; do
		number=$((number + 1))
		each=${rest%%;*}
		case $rest in *\;*) rest=${rest#*;} ;; *) rest= ;; esac
		case $each in
			"$a_home"/releases/*) continue ;;
			./*\?*)
				[ -n "$cwd" ] || continue
				each=${cwd%/}/${each#./}
				;;
			/*\?*) ;;
			*) continue ;;
		esac
		ahead=${each%%\?*}
		behind=${each#*\?}
		! [ "$ahead" -ef "$a_lua_root" ] || continue
		lines
		for root in $names; do
			words
			case $root in
				*.lua) module=${root%.lua} ;;
				*) module=$root/handler ;;
			esac
			double=$ahead$module$behind
			if [ -e "$double" ] && ! [ "$double" -ef "$a_lua_root/$module.lua" ]; then emit double "$number" "$root" "$double"; fi
		done
		words
	done
}

# list_files PATH...: every file below, links followed, in a handful of processes however many there are.
list_files() {
	{
		# shellcheck disable=SC2016 # for the inner sh
		MUSTER_SUMMER=$summer find -L "$@" -maxdepth 40 \
			\( -path "$odd_name" ! -type d -exec sh -c '
				left=100
				for path; do
					left=$((left - 1))
					if [ "$left" -lt 0 ]; then echo cut; break; fi
					facts=$(stat -L -c "%f %s %Z" "$path" 2>/dev/null) || facts=$(stat -c "%f %s %Z" "$path" 2>/dev/null) || continue
					hash=-
					size=${facts#* }
					case ${facts%% *}:${size%% *} in
						8???:????????*) ;;
						8???:*) hash=$($MUSTER_SUMMER <"$path") 2>/dev/null || hash=- ;;
					esac
					name=$(printf %s "${path#./}" | od -An -v -tx1 | tr -d " \n" | tr a-f A-F | sed "s/../%&/g")
					echo "odd ${facts%% *} ${facts##* } ${hash%% *} $name"
				done' muster {} + \) \
			-o \( -type l -exec stat -c '%f %s %Z %n' {} + \) \
			-o \( ! -type d -exec stat -L -c '%f %s %Z %n' {} + \) 2>/dev/null
		echo "end $?"
	} | MUSTER_ROOTS=$names awk -v files="$files_most" -v bytes="$bytes_most" -v most="$all_most" -v summer="$summer" '
		BEGIN { n = split(ENVIRON["MUSTER_ROOTS"], root, "\n") - 1 }
		function which(path, i) {
			for (i = 1; i <= n; i++)
				if (path == "./" root[i] || index(path, "./" root[i] "/") == 1) return i
			return 0
		}
		++lines > most { cut[0] = 1; exit }
		$1 == "odd" { print; next }
		$1 == "cut" { cut[0] = 1; next }
		$1 == "end" { if ($2 != 0) cut[0] = 1; next }
		{
			r = which($4)
			if (++seen[r] > files || (size[r] += $2) > bytes) { cut[r] = 1; next }
			print "file " $1 " " $3 " " substr($4, 3)
			if (length($1) == 4 && $1 ~ /^8/) hash[++hashes] = $4
		}
		END {
			for (r in cut) print "cut " r
			fflush()
			command = "xargs " summer " 2>/dev/null | sed \"s/^\\([0-9a-f]*\\) [ *]\\.\\//sum \\1 /\""
			for (i = 1; i <= hashes; i++) print hash[i] | command
			if (hashes) close(command)
		}'
}
