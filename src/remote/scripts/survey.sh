# survey: looks at a node, changes nothing, and ends with 10.
#
# Arguments: conf prefix lua_root home      absolute paths
#            root_N                         paths below lua_root to list and hash
#            cli                            the kong command, run only if Kong does not run (may be missing)
#            rocks                          the tree of LuaRocks, `.../rocks-5.1` (may be missing)
#            seconds                        the deadline (60)
#            moment                         how long a change that goes on at this moment is let end first (10)
# Records:   host MACHINE BOOT CLOCK UPTIME USER UID PROC      PROC: 1 if other users' processes can be seen
#            tools NAME...
#            place conf|prefix|lua-root|home KIND WRITABLE FREE-KIB MOUNT [DEV INODE MODE UID GID LINKS REAL]
#                                           KIND file directory other link absent denied; MODE in hexadecimal, type included;
#                                           WRITABLE and FREE-KIB are those of the nearest parent where nothing is there
#            master PID START UID GID NOFILE IDLE [CWD]
#            worker PID START live|leaving
#            installed VERSION              what `kong version` printed
#            log PATH INODE LENGTH          the error log, if it is a file
#            root N KIND [DEV CTIME MOUNT [TARGET]]
#            file MODE CTIME PATH           a file below a root, links followed; MODE in hexadecimal
#            sum SHA256 PATH                the content of one of these
#            odd MODE CTIME SHA256 PATH     a file with a name that needs escapes, with its content (`-` if it cannot be read)
#            cut N                          root N was not read in full; 0: no root may have been
#            current BUNDLE CTIME TARGET    a switchable link
#            release BUNDLE DIGEST
#            guard STATE STEP LEFT ALIVE    STATE armed confirmed fired none
#            rock NAME VERSION, then rock-file PATH   a rock, and its files below the roots
#            no-blob NAME unreadable|long|torn
# Blobs:     conf env manifest lease receipt.RUN.STEP

# How much of one root is hashed, and how many files are looked at in all.
files_most=2000
bytes_most=67108864
all_most=20000
blob_most=262144
# A name of these characters only is the same in a record, in a line of stat, for xargs.
odd_name='*[!A-Za-z0-9._/+@=,-]*'

look_at_host() {
	machine=
	{ read -r machine _ </etc/machine-id; } 2>/dev/null
	boot
	uptime
	clock=$(date +%s)
	who=$(id)
	who=${who#uid=}
	number=${who%%[!0-9]*}
	case $who in
		"$number("*) who=${who#*\(} && who=${who%%\)*} ;;
		*) who=$number ;;
	esac
	visible=0
	if { read -r _ </proc/1/stat; } 2>/dev/null; then visible=1; fi
	emit host "$machine" "$boot" "$clock" "$uptime" "$who" "$number" "$visible"
}

look_at_tools() {
	tools=
	for tool in flock setsid perl curl systemd-run sha256sum tar gzip setpriv timeout; do
		if has "$tool"; then tools="$tools $tool"; fi
	done
	case $(mv -T /proc/self/none-1 /proc/self/none-2 2>&1) in
		*nvalid* | *nrecognized* | *sage*) ;;
		*) tools="$tools mv-t" ;;
	esac
	# shellcheck disable=SC2086 # words of ours
	emit tools $tools
}

# where PATH: $kind for now, and $near, the nearest that is there.
where() {
	near=$1
	if [ -e "$1" ]; then
		kind=there
		return 0
	fi
	kind=absent
	if [ -h "$1" ]; then
		kind=link
		near=${near%/*}
	fi
	while [ -n "$near" ] && [ ! -e "$near" ]; do
		near=${near%/*}
	done
	near=${near:-/}
	[ "$kind" = link ] || [ ! -d "$near" ] || [ -x "$near" ] || kind=denied
}

# mounted PATH...: as many words 0 or 1, whether each is a mount point, in $mounted.
mounted() {
	paths=
	for path; do paths="$paths$path$newline"; done
	mounted=$(MUSTER_PATHS=$paths awk '
		BEGIN {
			n = split(ENVIRON["MUSTER_PATHS"], path, "\n") - 1
			for (i = 1; i <= n; i++) { gsub(/\\/, "\\134", path[i]); gsub(/ /, "\\040", path[i]) }
		}
		{ here[$5] = 1 }
		END { for (i = 1; i <= n; i++) printf "%d ", path[i] in here }' /proc/self/mountinfo 2>/dev/null)
}

# free PATH...: as many words, the free KiB of the filesystem of each, in $free.
free() {
	free=$(df -Pk "$@" 2>/dev/null | awk 'NR > 1 { for (i = 4; i < NF; i++) if ($(i + 1) ~ /^[0-9]+%$|^-$/) break; printf "%s ", $i }')
	wanted=$#
	# shellcheck disable=SC2086 # numbers
	set -- $free
	[ $# -eq "$wanted" ] || free=
}

# real PATH...: as many lines, the paths without links, in $real; empty if that cannot be said line by line.
real() {
	wanted=$#
	real=$(realpath -- "$@" 2>/dev/null) || real=$(for each; do readlink -f -- "$each"; done)
	lines=0
	rest=$real
	while [ -n "$rest" ]; do
		lines=$((lines + 1))
		case $rest in *"$newline"*) rest=${rest#*"$newline"} ;; *) rest= ;; esac
	done
	[ "$lines" -eq "$wanted" ] || real=
}

# line NAME: cuts the first line off the variable NAME, into $first.
first_line() {
	eval "first=\${$1%%\"\$newline\"*}
	case \$$1 in *\"\$newline\"*) $1=\${$1#*\"\$newline\"} ;; *) $1= ;; esac"
}

# word NAME: likewise the first word.
first_word() {
	eval "first=\${$1%% *}
	case \$$1 in *' '*) $1=\${$1#* } ;; *) $1= ;; esac"
}

look_at_places() {
	set --
	nears=
	for name in conf prefix lua_root home; do
		arg "$name"
		where "$arg"
		eval "kind_$name=\$kind near_$name=\$near"
		if [ "$kind" = there ]; then set -- "$@" "$arg"; fi
	done
	stats=
	reals=
	mounts=
	if [ $# -gt 0 ]; then
		stats=$(stat -L -c '%d %i %f %u %g %h' -- "$@" 2>/dev/null) || stats=
		real "$@"
		reals=$real
		mounted "$@"
		mounts=$mounted
	fi
	free "$near_conf" "$near_prefix" "$near_lua_root" "$near_home"
	for name in conf prefix lua_root home; do
		place "$name"
	done
}

place() {
	eval "kind=\$kind_$1 near=\$near_$1 path=\$a_$1"
	writable=0
	if [ -w "$near" ]; then writable=1; fi
	first_word free
	space=${first:--}
	shown=$1
	[ "$1" != lua_root ] || shown=lua-root
	if [ "$kind" != there ] || [ -z "$stats" ]; then
		emit place "$shown" "$kind" "$writable" "$space" 0
		return
	fi
	first_line stats
	facts=$first
	first_line reals
	path=${first:-$path}
	eval "real_$1=\$path"
	first_word mounts
	if [ -d "$path" ]; then kind=directory; elif [ -f "$path" ]; then kind=file; else kind=other; fi
	# shellcheck disable=SC2086 # numbers
	emit place "$shown" "$kind" "$writable" "$space" "${first:-0}" $facts "$path"
}

look_at_conf() {
	if [ -f "$a_conf" ]; then blob conf "$a_conf" "$blob_most"; fi
	log=logs/error.log
	if [ -f "$a_prefix/.kong_env" ]; then
		blob env "$a_prefix/.kong_env" "$blob_most"
		case $newline$bytes in *"${newline}proxy_error_log = "*)
			log=$newline$bytes
			log=${log##*"${newline}proxy_error_log = "}
			log=${log%%"$newline"*}
			;;
		esac
	fi
	bytes=
	case $log in
		'' | syslog:*) return ;;
		/*) ;;
		*) log=$a_prefix/$log ;;
	esac
	if [ -f "$log" ]; then
		# shellcheck disable=SC2046 # numbers
		emit log "$log" $(stat -L -c '%i %s' -- "$log" 2>/dev/null || echo 0 0)
	fi
}

look_at_master() {
	if ! find_master "$a_prefix" "${real_prefix-$a_prefix}"; then
		ask_version
		return
	fi
	resting=0
	if idle "$master"; then resting=1; fi
	nofile=-
	while read -r one two three soft _; do
		[ "$one $two $three" != 'Max open files' ] || nofile=$soft
	done 2>/dev/null <"/proc/$master/limits"
	cwd=$(cd "/proc/$master/cwd" 2>/dev/null && pwd -P)
	case $cwd in /proc/*) cwd= ;; esac
	emit master "$master" "$master_start" "${uid:--}" "${gid:--}" "$nofile" "$resting" "$cwd"
	workers "$master"
	for each in $live; do emit worker "${each%:*}" "${each#*:}" live; done
	for each in $leaving; do emit worker "${each%:*}" "${each#*:}" leaving; done
}

# What the installed command says of itself. It starts perl and nginx twice, so only where no running Kong can be asked.
ask_version() {
	arg cli ''
	[ -n "$arg" ] || return 0
	has timeout || return 0
	version=$(cd / && env -i PATH="$PATH" timeout 10 "$arg" version 2>/dev/null </dev/null) || return 0
	emit installed "${version%%"$newline"*}"
}

look_at_roots() {
	count root
	set --
	present=
	names=
	at=0
	here=0
	if cd "$a_lua_root" 2>/dev/null; then here=1; fi
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "root=\$a_root_$at"
		names="$names$root$newline"
		if [ "$here" = 1 ] && { [ -e "./$root" ] || [ -h "./$root" ]; }; then
			set -- "$@" "./$root"
			present="$present $at"
		else
			where "$a_lua_root/$root"
			emit root "$at" "$kind"
		fi
	done
	if [ $# -gt 0 ]; then
		mounted_roots "$@"
		numbers=$present
		links_and_kinds root "$@"
		list_files "$@"
	fi
	look_at_links
	cd /
}

mounted_roots() {
	base=${real_lua_root-$a_lua_root}
	for each; do
		set -- "$@" "$base${each#.}"
		shift
	done
	mounted "$@"
	mounts=$mounted
}

# links_and_kinds TAG PATH...: one record for each. All in one stat; where a target is too odd for that, one by one.
links_and_kinds() {
	tag=$1
	shift
	all=$(stat -c '%f %d %Z %N' -- "$@" 2>/dev/null) || all=
	wanted=0
	rest=$all
	while [ -n "$rest" ]; do
		first_line rest
		wanted=$((wanted + 1))
	done
	[ "$wanted" -eq $# ] || all=
	for each; do
		first_line all
		[ -n "$first" ] || first=$(stat -c '%f %d %Z' -- "$each" 2>/dev/null) || first='0 0 0'
		mode=${first%% *}
		facts=${first#* }
		ctime=${facts#* }
		ctime=${ctime%% *}
		target=
		case $mode in a*)
			target=${first#*"'$each' -> '"}
			case ${target%\'} in
				"$first" | *[!A-Za-z0-9._/+@=,-]*) target=$(readlink -- "$each" 2>/dev/null) ;;
				*) target=${target%\'} ;;
			esac
			;;
		esac
		"one_$tag" "$each"
	done
}

one_root() {
	first_word mounts
	case $mode in
		a???) kind=link ;;
		4???) kind=directory ;;
		8???) kind=file ;;
		0) kind=absent ;;
		*) kind=other ;;
	esac
	numbers=${numbers# }
	emit root "${numbers%% *}" "$kind" "${facts%% *}" "$ctime" "${first:-0}" "$target"
	numbers=${numbers#"${numbers%% *}"}
}

one_current() {
	[ -z "$target" ] || emit current "${1##*/}" "$ctime" "$target"
}

look_at_links() {
	set --
	for each in "$a_home"/current/*; do
		if [ -h "$each" ]; then set -- "$@" "$each"; fi
	done
	[ $# -eq 0 ] || links_and_kinds current "$@"
	for each in "$a_home"/releases/*/*; do
		if [ -d "$each" ]; then
			digest=${each##*/}
			each=${each%/*}
			emit release "${each##*/}" "$digest"
		fi
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

look_at_state() {
	if [ -e "$a_home" ] && [ ! -x "$a_home/state" ] && [ -d "$a_home/state" ]; then
		emit no-blob manifest unreadable
		emit no-blob lease unreadable
		return
	fi
	if [ -e "$a_home/state/manifest" ]; then blob manifest "$a_home/state/manifest" "$blob_most"; fi
	if [ -e "$a_home/state/lease" ]; then blob lease "$a_home/state/lease" 4096; fi
	set --
	for each in "$a_home"/state/receipts/*; do
		case ${each##*/} in '*' | *[!A-Za-z0-9.]*) ;; *) set -- "$@" "$each" ;; esac
	done
	# The newest three say what the workers run; older ones matter only while they are open. Names sort by time.
	[ $# -eq 0 ] || open=$newline$(grep -L '^result ' "$@" 2>/dev/null)$newline
	left=$#
	for each; do
		case $open in *"$newline$each$newline"*) left=$((left - 1)) ;; *)
			left=$((left - 1))
			[ "$left" -lt 3 ] || continue
			;;
		esac
		blob "receipt.${each##*/}" "$each" 65536
	done
	look_at_guard
}

look_at_guard() {
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
}

# Rocks by their own list of files: a Lua table, which is read by its braces, as running it would be running their code.
look_at_rocks() {
	arg rocks "${a_lua_root%/share/lua/5.1}/lib/luarocks/rocks-5.1"
	set -- "$arg"/*/*/rock_manifest
	[ -e "$1" ] || return 0
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
			rock = "rock " field(part[parts - 2]) " " field(part[parts - 1])
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

# await_change: a change that is under way is over in a moment, and what is seen in its middle is true of nothing: a run that
# died leaves its script to put back or to commit, and a plan made meanwhile would find the node moved. The kernel tells who
# has the lock; nothing is locked for it.
await_change() {
	arg moment 10
	uptime
	until=$((uptime + arg))
	inode=$(stat -c %i -- "$a_home/state/lock" 2>/dev/null) || return 0
	while [ -d "$a_home/state/guard" ] && grep -q ":$inode 0 EOF" /proc/locks 2>/dev/null; do
		uptime
		[ "$uptime" -lt "$until" ] || return 0
		nap
	done
}

begin
arg seconds 60
watch
deadline "$arg"
await_change
look_at_host
look_at_tools
look_at_places
look_at_conf
look_at_master
look_at_state
look_at_roots
look_at_rocks
finish 10
