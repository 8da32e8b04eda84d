# survey: looks at a node, changes nothing, and ends with 10.
#
# Arguments: conf prefix lua_root home      absolute paths
#            root_N                         paths below lua_root to list and hash
#            cli                            the kong command, run only if Kong does not run (may be missing)
#            systemd                        the directory that is there where systemd runs (may be missing)
#            rocks system_rocks             the tree of LuaRocks with the Lua root, and the system's: `.../rocks-5.1` (may be missing)
#            systemd                        where `/` is for what is asked about systemd (may be missing: for tests)
#            seconds                        the deadline (60)
#            moment                         how long a change that goes on at this moment is let end first (10)
# Records:   host MACHINE BOOT CLOCK UPTIME USER UID PROC      USER as the login has it; PROC: 1 if other users' processes
#                                                              can be seen
#            logind KILLS                   where there is systemd: 1 if it ends what a login started together with that login
#                                           (KillUserProcesses), as far as its files or loginctl say
#            tools NAME...
#            place conf|prefix|lua-root|home KIND WRITABLE FREE-KIB MOUNT [DEV INODE MODE UID GID LINKS REAL]
#                                           KIND file directory other link absent denied; MODE in hexadecimal, type included;
#                                           WRITABLE and FREE-KIB are those of the nearest parent where nothing is there
#            env MODE UID GID               of `.kong_env`; MODE in hexadecimal, type included
#            master PID START UID GID NOFILE IDLE [CWD]
#            worker PID START live|leaving
#            orphan PID START TIED          where there is no master: a worker of nginx that serves. TIED: 1 if it holds a file
#                                           or a socket below the prefix; 0 if that cannot be seen and it has no master at all
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
#            rock NAME VERSION TREE, then rock-file PATH   a rock, and its files below the roots
#            double N ROOT PATH             the Nth directory of the search path that is set has a module of that root, too
#            unit-file N KIND WRITABLE REAL PATH        a file of Kong's unit, as systemd names it; its content is `unit.N`
#            unit-place WRITABLE            where drop-ins of ours would be
#            no-blob NAME unreadable|long|torn
#            part NAME LENGTH               the next of `parts`, which is sent after the last of them
# Blobs:     conf env manifest lease receipt.RUN.STEP unit.N
#            unit manager                   what `systemctl show` prints of Kong's units, and of systemd itself
#            saved                          what `.kong_env` was, where a guard whose process died has not put it back
#            parts                          several of these in one, behind each the boot id twice, as lines
#
# A process costs more than all the rest of a look at one file, and a look at a fleet is this script on every node: so what
# the shell can find out by itself it does, and one stat, one cat and one sha256sum are given everything at once
# (docs/performance.md). Where a name or a change meanwhile makes their answers doubtful, each is asked again, alone.

# How much of one root is hashed, and how many files are looked at in all.
files_most=2000
bytes_most=67108864
all_most=20000
# Up to so many files are found by the shell itself; a tree with more is listed by find.
few=400
blanks=' 	
'
mark=/proc/sys/kernel/random/boot_id
blob_most=262144
# A name of these characters only is the same in a record, in a line of stat, for xargs.
odd_name='*[!A-Za-z0-9._/+@=,-]*'

# --- what the shell finds by itself

# lines, words: how an unquoted variable is split until the other is called; lines are never patterns.
lines() {
	set -f
	IFS=$newline
}

words() {
	IFS=$blanks
	set +f
}

look_at_tools() {
	tools=
	for tool in flock setsid perl curl systemd-run sha256sum tar gzip setpriv timeout; do
		if has "$tool"; then tools="$tools $tool"; fi
	done
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

# real PATH: it without links, in $real; a process only for a link to a file, and where we may not enter.
real() {
	real=
	if [ -d "$1" ]; then
		if cd -P "$1/" 2>/dev/null; then real=$PWD; fi
	elif [ ! -h "$1" ]; then
		if cd -P "${1%/*}/" 2>/dev/null; then real=${PWD%/}/${1##*/}; fi
	fi
	cd /
	case $real in /*) ;; *) real=$(realpath -- "$1" 2>/dev/null) || real=$(readlink -f -- "$1") || real= ;; esac
	# As one line it could not be told from two.
	case $real in '' | *"$newline"*) real=$1 ;; esac
}

# first_line NAME: cuts the first line off the variable NAME, into $first.
first_line() {
	eval "first=\${$1%%\"\$newline\"*}
	case \$$1 in *\"\$newline\"*) $1=\${$1#*\"\$newline\"} ;; *) $1= ;; esac"
}

find_places() {
	for name in conf prefix lua_root home; do
		arg "$name"
		where "$arg"
		real=$arg
		[ "$kind" != there ] || real "$arg"
		eval "kind_$name=\$kind near_$name=\$near real_$name=\$real"
	done
}

# find_roots: those that are there, as lines `NUMBER ./PATH` in $roots. Tells of the others.
find_roots() {
	count root
	roots=
	names=
	at=0
	here=0
	if cd "$a_lua_root" 2>/dev/null; then here=1; fi
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "root=\$a_root_$at"
		names="$names$root$newline"
		if [ "$here" = 1 ] && { [ -e "./$root" ] || [ -h "./$root" ]; }; then
			roots="$roots$at ./$root$newline"
		else
			where "$a_lua_root/$root"
			emit root "$at" "$kind"
		fi
	done
}

# find_files: every file below the roots, as lines in $files; those that are links themselves in $linked. With plain=0 they
# are too many or too odd for that, and find has to list them.
find_files() {
	files=
	linked=
	found=0
	plain=1
	lines
	for each in $roots; do
		words
		walk "${each#* }" 0
	done
	words
}

# walk PATH DEPTH
walk() {
	found=$((found + 1))
	# shellcheck disable=SC2254 # it is a pattern
	case $1 in $odd_name) plain=0 ;; esac
	if [ "$plain" = 0 ] || [ "$found" -gt "$few" ] || [ "$2" -gt 16 ]; then
		plain=0
	elif [ -d "$1" ]; then
		[ -r "$1" ] && [ -x "$1" ] || plain=0
		for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
			[ "$plain" = 1 ] || return
			if [ -e "$entry" ] || [ -h "$entry" ]; then walk "$entry" $(($2 + 1)); fi
		done
	elif [ ! -f "$1" ]; then
		# A link that leads nowhere is no file of a root.
		[ "$2" = 0 ] && [ -h "$1" ] && [ ! -e "$1" ] && linked=$linked$1$newline || plain=0
	elif [ -h "$1" ]; then
		linked=$linked$1$newline
	else
		files=$files$1$newline
	fi
}

# find_links: the switchable links, as lines in $links; others than bundles may have are none of ours.
find_links() {
	links=
	for each in "$a_home"/current/*; do
		case ${each##*/} in *[!A-Za-z0-9._-]*) continue ;; esac
		if [ -h "$each" ]; then links=$links$each$newline; fi
	done
}

# part NAME FILE LIMIT: one of the files that are sent, as a line `NAME LIMIT FILE` in $parts; at once if it is no plain one.
part() {
	[ -e "$2" ] || return 0
	if [ ! -r "$2" ]; then
		emit no-blob "$1" unreadable
	elif [ -h "$2" ] || [ ! -f "$2" ]; then
		blob "$1" "$2" "$3"
	else
		parts="$parts$1 $3 $2$newline"
	fi
}

find_parts() {
	parts=
	if [ -f "$a_prefix/.kong_env" ]; then part env "$a_prefix/.kong_env" "$blob_most"; fi
	if [ "$undoes" = 1 ]; then part saved "$a_home/state/guard/save/.kong_env" "$blob_most"; fi
	if [ -f "$a_conf" ]; then part conf "$real_conf" "$blob_most"; fi
	if [ -e "$a_home" ] && [ ! -x "$a_home/state" ] && [ -d "$a_home/state" ]; then
		emit no-blob manifest unreadable
		emit no-blob lease unreadable
		return
	fi
	part manifest "$a_home/state/manifest" "$blob_most"
	part lease "$a_home/state/lease" 4096
	find_receipts
}

# The newest that names workers says what they run: deletions, which name none, may follow it in any number. The newest three
# say what was done last; older ones matter only while they are open. Names sort by time.
find_receipts() {
	set --
	for each in "$a_home"/state/receipts/*; do
		case ${each##*/} in '*' | *[!A-Za-z0-9.]*) ;; *) set -- "$@" "$each" ;; esac
	done
	left=$#
	old=
	[ "$left" -le 3 ] || old=$newline$(old_receipts "$@")$newline
	for each; do
		left=$((left - 1))
		case $old in
			*"$newline$each$newline"*) ;;
			*) [ "$left" -lt 3 ] || continue ;;
		esac
		part "receipt.${each##*/}" "$each" 65536
	done
}

# old_receipts FILE...: those that are open, and the last one that names workers, as lines.
old_receipts() {
	awk '
		function tell() {
			if (name == "") return
			if (open) print name
			if (workers) proven = name
		}
		FNR == 1 { tell(); name = FILENAME; open = 1; workers = 0 }
		/^result / { open = 0 }
		/^worker / { workers = 1 }
		END { tell(); if (proven != "") print proven }
	' "$@" 2>/dev/null
}

# --- what one stat says of everything that was found

# ask_stat: its lines in $stats, in the order in which `take` asks for them; empty if one is missing or is more than a line.
ask_stat() {
	set -- /proc/self/stat
	for name in conf prefix lua_root home; do
		eval "each=\$real_$name kind=\$kind_$name"
		[ "$kind" != there ] || set -- "$@" "$each"
	done
	lines
	for each in $parts; do
		each=${each#* }
		set -- "$@" "${each#* }"
	done
	if [ -n "$log" ]; then set -- "$@" "$log"; fi
	for each in $roots; do set -- "$@" "${each#* }"; done
	[ "$plain" = 1 ] || files=
	# shellcheck disable=SC2086 # lines
	set -- "$@" $links $files
	words
	[ "$here" = 1 ] && cd "$a_lua_root" || cd /
	stats=$(stat -c '%f %d %i %u %g %h %s %Z %N' -- "$@" 2>/dev/null)
	number=0
	lines
	for each in $stats; do number=$((number + 1)); done
	words
	[ "$number" -eq $# ] || stats=
}

# take PATH: the next line of $stats, or what stat says of this path alone, in $mode (hexadecimal, with the type), $device,
# $inode, $owner, $group, $hard, $size, $ctime and $target. The mode is 0 if nothing is there any more.
take() {
	first_line stats
	[ -n "$first" ] || first=$(stat -c '%f %d %i %u %g %h %s %Z' -- "$1" 2>/dev/null) || first=
	target=
	case $first in a*)
		target=${first#*"'$1' -> '"}
		case ${target%\'} in
			"$first" | *[!A-Za-z0-9._/+@=,-]*) target=$(readlink -- "$1" 2>/dev/null) ;;
			*) target=${target%\'} ;;
		esac
		;;
	esac
	# What comes behind the numbers is a name, which begins with none of these.
	# shellcheck disable=SC2086 # numbers
	set -- ${first%%[!0-9a-f ]*}
	[ $# -eq 8 ] || set -- 0 0 0 0 0 0 0 0
	mode=$1 device=$2 inode=$3 owner=$4 group=$5 hard=$6 size=$7 ctime=$8
}

# take_end PATH: the same of what is at the end of all links, at once.
take_end() {
	rest=$stats
	stats=$(stat -L -c '%f %d %i %u %g %h %s %Z' -- "$1" 2>/dev/null) || stats='0 0 0 0 0 0 0 0'
	take "$1"
	stats=$rest
}

# mounted PATH...: those that are mount points, as lines, in $mounted.
mounted() {
	mounted=$newline
	wanted=$newline
	for path; do
		case $path in *\\* | *' '*) path=$(printf %s "$path" | sed 's/\\/\\134/g; s/ /\\040/g') ;; esac
		wanted=$wanted$path$newline
	done
	while read -r _ _ _ _ path _; do
		case $wanted in *"$newline$path$newline"*) mounted=$mounted$path$newline ;; esac
	done 2>/dev/null </proc/self/mountinfo
	case $mounted in *\\*) mounted=$newline$(printf %s "$mounted" | sed 's/\\040/ /g; s/\\134/\\/g')$newline ;; esac
}

# is_mount PATH: 1 or 0, in $mount.
is_mount() {
	mount=0
	case $mounted in *"$newline$1$newline"*) mount=1 ;; esac
}

find_mounts() {
	set -- "$real_conf" "$real_prefix" "$real_lua_root" "$real_home"
	lines
	for each in $roots; do set -- "$@" "$real_lua_root${each#*.}"; done
	words
	mounted "$@"
}

# The time is that at which stat itself began: what is in /proc is made when it is looked at.
tell_host() {
	take /proc/self/stat
	clock=$ctime
	case $clock in 1????????? | 2?????????) ;; *) clock=$(date +%s) ;; esac
	machine=
	{ read -r machine _ </etc/machine-id; } 2>/dev/null
	number=
	while read -r name number _; do
		[ "$name" != Uid: ] || break
	done 2>/dev/null <"/proc/$$/status"
	[ "$name" = Uid: ] || number=$(id -u)
	visible=0
	if { read -r _ </proc/1/stat; } 2>/dev/null; then visible=1; fi
	emit host "$machine" "$boot" "$clock" "$uptime" "${USER:-${LOGNAME:-$number}}" "$number" "$visible"
}

tell_places() {
	free=$(stat -f -c '%a %S' -- "$near_conf" "$near_prefix" "$near_lua_root" "$near_home" 2>/dev/null) || free=
	for name in conf prefix lua_root home; do
		tell_place "$name"
	done
}

tell_place() {
	eval "kind=\$kind_$1 near=\$near_$1 path=\$real_$1"
	writable=0
	if [ -w "$near" ]; then writable=1; fi
	first_line free
	space=-
	case $first in *[!0-9\ ]* | '') ;; *) space=$((${first% *} * ${first#* } / 1024)) ;; esac
	shown=$1
	[ "$1" != lua_root ] || shown=lua-root
	if [ "$kind" = there ]; then
		take "$path"
		[ ! -h "$path" ] || take_end "$path"
	fi
	if [ "$kind" != there ] || [ "$mode" = 0 ]; then
		emit place "$shown" "$kind" "$writable" "$space" 0
		return
	fi
	is_mount "$path"
	if [ -d "$path" ]; then kind=directory; elif [ -f "$path" ]; then kind=file; else kind=other; fi
	emit place "$shown" "$kind" "$writable" "$space" "$mount" "$device" "$inode" "$mode" "$owner" "$group" "$hard" "$path"
}

# tell_parts: all of them in one cat. What was read must be as long as stat said, else each is sent alone.
tell_parts() {
	set --
	sent=
	whole=0
	content=
	lines
	for each in $parts; do
		words
		name=${each%% *}
		each=${each#* }
		take "${each#* }"
		if [ "$name" = env ] && [ "$mode" != 0 ]; then printf 'env %s %s %s\n' "$mode" "$owner" "$group"; fi
		if [ "$size" -gt "${each%% *}" ]; then
			emit no-blob "$name" long
		elif [ "$mode" != 0 ]; then
			whole=$((whole + size + 2 * ${#boot} + 2))
			set -- "$@" "${each#* }" "$mark" "$mark"
			sent="$sent$name $size $each$newline"
		fi
	done
	[ $# -eq 0 ] || [ "$boot" = unknown ] || content=$(cat -- "$@" 2>/dev/null)$newline
	as_one=0
	[ "${#content}" -ne "$whole" ] || as_one=1
	lines
	for each in $sent; do
		words
		name=${each%% *}
		each=${each#* }
		size=${each%% *}
		each=${each#* }
		if [ "$as_one" = 1 ]; then emit part "$name" "$size"; else blob "$name" "${each#* }" "${each%% *}"; fi
	done
	words
	if [ "$as_one" = 1 ] && [ "$whole" -gt 0 ]; then printf 'blob parts %s\n%s' "$whole" "$content"; fi
}

# tell_log: the error log; where it is by default, it was asked about already.
tell_log() {
	search=
	usual=$log
	if [ -n "$usual" ]; then take "$usual"; fi
	log=logs/error.log
	case $as_one$parts in
		1env\ *)
			lines
			for each in $content; do
				case $each in
					'proxy_error_log = '*) log=${each#*= } ;;
					'lua_package_path = '*) search=${each#*= } ;;
					"$boot") break ;;
				esac
			done
			words
			content=
			;;
		?env\ *) log=$(sed -n 's/^proxy_error_log = //p' "$a_prefix/.kong_env" 2>/dev/null | tail -n 1) ;;
	esac
	case $log in
		'' | syslog:*) return ;;
		/*) ;;
		*) log=$a_prefix/$log ;;
	esac
	if [ "$log" != "$usual" ]; then
		[ -f "$log" ] || return 0
		take_end "$log"
	fi
	[ "$mode" = 0 ] || emit log "$log" "$inode" "$size"
}

tell_roots() {
	lines
	for each in $roots; do
		words
		path=${each#* }
		take "$path"
		case $mode in
			a???) kind=link ;;
			4???) kind=directory ;;
			8???) kind=file ;;
			0) kind=absent ;;
			*) kind=other ;;
		esac
		is_mount "$real_lua_root${path#.}"
		emit root "${each%% *}" "$kind" "$device" "$ctime" "$mount" "$target"
	done
	words
}

tell_links() {
	lines
	for each in $links; do
		words
		take "$each"
		[ -z "$target" ] || emit current "${each##*/}" "$ctime" "$target"
	done
	words
	for each in "$a_home"/releases/*/*; do
		if [ -d "$each" ]; then
			digest=${each##*/}
			each=${each%/*}
			emit release "${each##*/}" "$digest"
		fi
	done
}

tell_files() {
	if [ "$plain" = 0 ]; then
		list_all
		return
	fi
	set --
	listed=
	all=0
	lines
	for each in $files; do
		words
		take "$each"
		if [ "$mode" = 0 ]; then
			listed="${listed}cut 0$newline"
			continue
		fi
		all=$((all + size))
		listed="${listed}file $mode $ctime ${each#./}$newline"
		set -- "$@" "$each"
	done
	lines
	for each in $linked; do
		words
		take_end "$each"
		[ "$mode" != 0 ] || take "$each"
		listed="${listed}file $mode $ctime ${each#./}$newline"
		case $mode in 8???) all=$((all + size)) && set -- "$@" "$each" ;; esac
	done
	words
	if [ "$all" -gt "$bytes_most" ]; then
		list_all
		return
	fi
	printf %s "$listed"
	[ $# -gt 0 ] || return 0
	# shellcheck disable=SC2086 # words of ours
	sums=$($summer "$@" 2>/dev/null)
	lines
	for each in $sums; do printf 'sum %s %s\n' "${each%% *}" "${each#*./}"; done
	words
}

list_all() {
	set --
	lines
	for each in $roots; do set -- "$@" "${each#* }"; done
	words
	[ $# -eq 0 ] || list_files "$@"
}

# await_change: a change that is under way is over in a moment, and what is seen in its middle is true of nothing: a run that
# died leaves its script to put back or to commit, and a plan made meanwhile would find the node moved. The kernel tells who
# has the lock; nothing is locked for it.
await_change() {
	[ -d "$a_home/state/guard" ] || return 0
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
boot
uptime
look_at_tools
look_at_logind
look_at_guard
find_places
find_parts
find_unit
find_links
find_roots
find_files
log=$a_prefix/logs/error.log
[ -f "$log" ] && [ ! -h "$log" ] || log=
ask_stat
find_mounts
tell_host
tell_places
tell_parts
tell_log
tell_roots
tell_links
tell_files
cd /
look_at_master
look_at_rocks
look_for_doubles
finish 10
