# discover: finds the Kongs of a machine and where they keep their plugins. Changes nothing, and ends with 10.
#
# Arguments: prefix_N                       prefixes to look at instead of those that are found
#            conf_N                         where kong.conf may be, before the usual places
#            root_N                         where plugin files may be, before what `.kong_env` says
#            seconds                        the deadline (30)
# Records:   host MACHINE BOOT USER UID PROC
#                                           PROC: 1 if other users' processes can be seen
#            cli PATH                       the kong command, where there is one
#            kong N PID DEV INODE PREFIX    a prefix: of a master that runs, or with `.kong_env` and without one (PID 0);
#                                           DEV and INODE are 0 where the prefix cannot be looked at
#            other PID                      a master of nginx whose title names no prefix
#            conf N KIND PATH               a kong.conf that may be meant; its content is `conf.N`
#            root N M KIND PATH             a directory that Kong N looks for modules in (KIND directory absent denied)
#            dir N M NAME PLUGIN            a directory below its kong/plugins; PLUGIN: 1 if it has a handler
#            odd N M NUMBER                 how many there have names that are none of a plugin
#            many N M                       more than are told of
#            declared N SHA256 PATH         the declarative configuration that `.kong_env` names
#            no-blob NAME unreadable|long|torn
# Blobs:     env.N conf.N
#
# A prefix is read from the title of its master; which kong.conf it was started with is recorded nowhere (measured.md 4), so
# that every one that may be meant is sent, to be compared with `.kong_env`.

most_kongs=8
most_confs=12
most_roots=8
most_dirs=400
blob_most=262144
blanks=' 	
'

# trim PATH: it without blanks and slashes at its end, in $trimmed.
trim() {
	trimmed=$1
	while :; do
		case $trimmed in
			*' ') trimmed=${trimmed% } ;;
			?*/) trimmed=${trimmed%/} ;;
			*) break ;;
		esac
	done
}

# find_masters: the prefix of every master, as lines `PID PREFIX`, in $found.
find_masters() {
	found=
	masters=$(grep -l '^nginx: master process' /proc/[0-9]*/cmdline 2>/dev/null)
	for each in $masters; do
		each=${each#/proc/}
		each=${each%/cmdline}
		process "$each" && [ "$state" != Z ] || continue
		title "$each"
		rest=${title#* -p }
		case $rest in
			"$title") emit other "$each" && continue ;;
		esac
		# What follows in the title is `-c nginx.conf`, or blanks where it was longer before.
		trim "${rest%% -c *}"
		rest=$trimmed
		case $rest in /*) ;; *) emit other "$each" && continue ;; esac
		# An nginx that is no Kong has prefixes, too.
		[ -e "$rest/.kong_env" ] || [ ! -x "$rest" ] || continue
		found="$found$each $rest$newline"
	done
}

# find_kongs: lines `PID PREFIX` of the Kongs that are looked at, in $kongs.
find_kongs() {
	find_masters
	count prefix
	if [ "$count" -eq 0 ]; then
		kongs=$found
		case $newline$kongs in *' /usr/local/kong'"$newline"*) return ;; esac
		[ ! -e /usr/local/kong/.kong_env ] || kongs="${kongs}0 /usr/local/kong$newline"
		return
	fi
	kongs=
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "prefix=\$a_prefix_$at"
		pid=0
		IFS=$newline
		for each in $found; do
			same "${each#* }" "$prefix" && pid=${each%% *}
		done
		IFS=$blanks
		kongs="$kongs$pid $prefix$newline"
	done
}

# same ONE TWO: one directory, by whatever names.
same() {
	[ "$1" = "$2" ] || { [ -d "$1" ] && [ "$(stat -L -c %d:%i "$1" 2>/dev/null)" = "$(stat -L -c %d:%i "$2" 2>/dev/null)" ]; }
}

# tell_confs: every kong.conf that may be meant, each once.
tell_confs() {
	set --
	count conf
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "set -- \"\$@\" \"\$a_conf_$at\""
	done
	set -- "$@" /etc/kong/kong.conf /etc/kong.conf
	for each in /etc/kong/*.conf; do set -- "$@" "$each"; done
	IFS=$newline
	for each in $kongs; do
		each=${each#* }
		set -- "$@" "$each/kong.conf"
		case $each in ?*/?*) set -- "$@" "${each%/*}/etc/kong.conf" "${each%/*}/kong.conf" ;; esac
	done
	IFS=$blanks
	at=0
	told=$newline
	for each; do
		case $told in *"$newline$each$newline"*) continue ;; esac
		told=$told$each$newline
		[ -e "$each" ] && [ "$at" -lt "$most_confs" ] || continue
		at=$((at + 1))
		kind=other
		if [ -f "$each" ]; then kind=file; elif [ -d "$each" ]; then kind=directory; fi
		emit conf "$at" "$kind" "$each"
		[ "$kind" != file ] || blob "conf.$at" "$each" "$blob_most"
	done
}

# setting KEY: of `.kong_env` of this prefix, in $setting.
setting() {
	setting=$(sed -n "s/^$1 = //p" "$prefix/.kong_env" 2>/dev/null | tail -n 1)
}

# tell_roots: the directories that this Kong looks for modules in, in their order, each once.
tell_roots() {
	set --
	count root
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "set -- \"\$@\" \"\$a_root_$at\""
	done
	setting lua_package_path
	cwd=
	if [ "$pid" != 0 ] && cd -P "/proc/$pid/cwd" 2>/dev/null; then cwd=$PWD; fi
	cd /
	set -f
	IFS=';'
	for each in $setting; do
		case $each in
			*/'?.lua') each=${each%/\?.lua} ;;
			*) continue ;;
		esac
		case $each in
			. | ./*) [ -n "$cwd" ] && [ "$cwd" != / ] && each=$cwd${each#.} || continue ;;
		esac
		case $each in /*) set -- "$@" "$each" ;; esac
	done
	IFS=$blanks
	set +f
	set -- "$@" /usr/local/share/lua/5.1
	told=$newline
	at=0
	for each; do
		trim "$each"
		each=$trimmed
		case $told in *"$newline$each$newline"*) continue ;; esac
		told=$told$each$newline
		at=$((at + 1))
		[ "$at" -le "$most_roots" ] || return 0
		tell_root "$each"
	done
}

tell_root() {
	kind=directory
	if [ ! -d "$1" ]; then
		kind=absent
		[ ! -d "${1%/*}" ] || [ -x "${1%/*}" ] || kind=denied
	elif [ ! -x "$1" ]; then
		kind=denied
	fi
	emit root "$number" "$at" "$kind" "$1"
	[ "$kind" = directory ] || return 0
	dirs=0
	odd=0
	for dir in "$1"/kong/plugins/* "$1"/kong/plugins/.[!.]*; do
		[ -d "$dir" ] || continue
		dir=${dir##*/}
		case ${#dir}:$dir in
			[0-9]*:[!A-Za-z0-9_]* | *:*[!A-Za-z0-9_.-]* | 10[1-9]:* | 1[1-9]?:* | [2-9]??:*)
				odd=$((odd + 1))
				continue
				;;
		esac
		dirs=$((dirs + 1))
		if [ "$dirs" -gt "$most_dirs" ]; then
			emit many "$number" "$at"
			break
		fi
		plugin=0
		if [ -e "$1/kong/plugins/$dir/handler.lua" ] || [ -e "$1/kong/plugins/$dir/handler/init.lua" ]; then plugin=1; fi
		printf 'dir %s %s %s %s\n' "$number" "$at" "$dir" "$plugin"
	done
	[ "$odd" -eq 0 ] || emit odd "$number" "$at" "$odd"
}

tell_kongs() {
	number=0
	rest=$kongs
	while [ -n "$rest" ] && [ "$number" -lt "$most_kongs" ]; do
		each=${rest%%"$newline"*}
		rest=${rest#*"$newline"}
		number=$((number + 1))
		pid=${each%% *}
		prefix=${each#* }
		ids=$(stat -L -c '%d %i' -- "$prefix" 2>/dev/null) || ids='0 0'
		emit kong "$number" "$pid" "${ids% *}" "${ids#* }" "$prefix"
		if [ -e "$prefix/.kong_env" ]; then
			blob "env.$number" "$prefix/.kong_env" "$blob_most"
		else
			emit no-blob "env.$number" unreadable
		fi
		tell_roots
		setting declarative_config
		case $setting in
			/*)
				sum "$setting"
				[ -z "$sum" ] || emit declared "$number" "$sum" "$setting"
				;;
		esac
	done
}

begin
arg seconds 30
watch
deadline "$arg"
boot
machine=
{ read -r machine _ </etc/machine-id; } 2>/dev/null
visible=0
if { read -r _ </proc/1/stat; } 2>/dev/null; then visible=1; fi
uid=$(id -u)
emit host "$machine" "$boot" "${USER:-${LOGNAME:-$uid}}" "$uid" "$visible"
cli=$(command -v kong 2>/dev/null) || cli=
case $cli in /*) emit cli "$cli" ;; esac
find_kongs
tell_confs
tell_kongs
finish 10
