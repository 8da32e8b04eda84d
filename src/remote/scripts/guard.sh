# The dead-man's guard, and what a node needs so that a change can be put back (protocols.md A, "Dead-man's guard").
#
# HOME/state/guard/ (0700) holds: armed, or confirmed, or fired: one file that is renamed, so that one side wins; `touched`
# once Kong may have been told; `fire` to ask for it; `ready` (PID START of the guard's process); `facts`; `save/`, the files
# of the prefix as they were; `done`, how the undoing ended. Only who renamed `armed` to `fired` undoes.
#
# How an undoing ends: `undone proved` (a good reload of the old state was seen), `undone restored` (nothing was signalled, or
# there is nobody to signal), `undone unproved` (Kong did not take it; the files are as they were).

guard=$a_home/state/guard
guard_step=-
guard_boot=
guard_deadline=0
guard_master=-
guard_start=-
guard_prefix=
guard_receipt=

# read_guard: the facts of $guard. Values are paths and numbers of ours, one line each.
read_guard() {
	while read -r name value; do
		case $name in
			step) guard_step=$value ;;
			boot) guard_boot=$value ;;
			deadline) guard_deadline=$value ;;
			master) guard_master=$value ;;
			start) guard_start=$value ;;
			prefix) guard_prefix=$value ;;
			receipt) guard_receipt=$value ;;
			conf) guard_conf=$value ;;
			conf_before) guard_conf_before=$value ;;
			conf_after) guard_conf_after=$value ;;
			unit) guard_unit=$value ;;
			again) guard_again=$value ;;
			cli) guard_cli=$value ;;
			uid) master_uid=$value ;;
			gid) master_gid=$value ;;
			become) become=$value ;;
			nofile) guard_nofile=$value ;;
		esac
	done 2>/dev/null <"$guard/facts"
	[ -n "$guard_prefix" ]
}

# note KEY FIELD...: one line of the receipt.
note() {
	emit "$@" >>"$guard_receipt"
}

# restore: links and the file of the directive, and the files of the prefix as they were saved, each by rename, where they differ.
restore() {
	restore_places || return 1
	for saved in "$guard"/save/.kong_env "$guard"/save/nginx*.conf; do
		[ -f "$saved" ] || continue
		file=$guard_prefix/${saved##*/}
		if cmp -s "$saved" "$file"; then
			continue
		fi
		rm -f "$file.muster"
		(umask 077 && cat "$saved" >"$file.muster") && alike "$saved" "$file.muster" && settle "$file.muster" &&
			rename "$file.muster" "$file" || return 1
	done
}

# rest PID SECONDS: waits until it is idle. A reload that takes long is no failed one.
rest() {
	uptime
	until=$((uptime + $2))
	until idle "$1"; do
		uptime
		[ "$uptime" -lt "$until" ] && [ -e "/proc/$1" ] || return 1
		nap
	done
}

# fresh OLD: the master is idle, none of OLD serves any more, somebody does. $verdict: yes, no (idle, and nobody new: it
# failed), or a mix that may still change.
fresh() {
	verdict=mix
	idle "$guard_master" || return 1
	workers "$guard_master"
	kept=0
	new=0
	for each in $live; do
		case " $1 " in *" $each "*) kept=1 ;; *) new=1 ;; esac
	done
	if [ "$new" = 0 ]; then
		verdict=no
	elif [ "$kept" = 0 ]; then
		verdict=yes
	fi
	[ "$verdict" = yes ]
}

# prove OLD: `fresh` in two equal looks, within a minute.
prove() {
	uptime
	until=$((uptime + 60))
	seen=
	# The signal is on its way; nginx takes it within a moment.
	nap
	while alive "$guard_master" "$guard_start"; do
		if fresh "$1"; then
			[ "$seen" != "$live" ] || return 0
			seen=$live
		else
			[ "$verdict" != no ] || return 1
			seen=
		fi
		uptime
		[ "$uptime" -lt "$until" ] || return 1
		nap
	done
	return 1
}

# undo: puts back, tells Kong if it was told of the change, and says how that ended in $undone. Safe to run again.
undo() {
	undone='undone unproved'
	note intent restore "$guard_prefix"
	tries=0
	until restore; do
		tries=$((tries + 1))
		[ "$tries" -lt 5 ] || return 1
		sleep 1
	done
	note did restore "$guard_prefix"
	boot
	if [ ! -e "$guard/touched" ] || [ "$boot" != "$guard_boot" ]; then
		undone='undone restored'
		return 0
	fi
	if ! alive "$guard_master" "$guard_start"; then
		if [ -z "$guard_again" ]; then
			undone='undone restored'
			return 0
		fi
		revive || return 1
	fi
	pause=1
	while [ "$pause" -le 32 ]; do
		# While it still works on our reload, whoever is new may be the bad generation: only what is there when it rests counts.
		rest "$guard_master" 300 || :
		alive "$guard_master" "$guard_start" || {
			[ -n "$guard_again" ] && revive || break
		}
		workers "$guard_master"
		old=$live
		note intent signal "$guard_master"
		kill -HUP "$guard_master" 2>/dev/null
		if prove "$old"; then
			undone='undone proved'
			return 0
		fi
		sleep "$pause"
		pause=$((pause * 2))
	done
	return 1
}

# finish_undo: undo, the receipt's last line, and the word for whoever waits. The copies go: they hold passwords.
finish_undo() {
	undo
	# shellcheck disable=SC2086 # two words
	note result $undone
	settle "$guard_receipt"
	rm -rf "$guard/save"
	printf '%s\n' "$undone" >"$guard/done.new" && settle "$guard/done.new"
	mv -f "$guard/done.new" "$guard/done"
}

# guard_main DIRECTORY: the process. It has no terminal, no client and no lock.
guard_main() {
	guard=$1
	read_guard || exit 1
	process $$
	printf '%s %s\n' $$ "$start" >"$guard/ready.new" && mv "$guard/ready.new" "$guard/ready"
	while [ -e "$guard/armed" ]; do
		uptime
		if [ -e "$guard/fire" ] || [ "$uptime" -ge "$guard_deadline" ]; then
			if mv "$guard/armed" "$guard/fired" 2>/dev/null; then
				finish_undo
			fi
			exit 0
		fi
		nap
	done
	exit 0
}

# guard_lives: the guard's process is there.
guard_lives() {
	pid=
	begun=
	{ read -r pid begun _ <"$guard/ready"; } 2>/dev/null
	[ -n "$pid" ] && alive "$pid" "$begun"
}

# settle_guard: what an earlier run left is finished or undone before anything else; the lock is ours. $settled says what:
# nothing, dropped, committed (its commit goes on with ours), or how it was undone.
settle_guard() {
	settled=nothing
	[ -d "$guard" ] || return 0
	read_guard || :
	if [ -e "$guard/confirmed" ]; then
		settled=committed
		[ -z "$guard_receipt" ] || note result interrupted
	elif [ -e "$guard/done" ]; then
		read -r settled <"$guard/done"
	elif guard_lives; then
		emit locked guard "$guard_step" $((guard_deadline - uptime))
		finish 21
	elif [ -e "$guard/armed" ] || [ -e "$guard/fired" ]; then
		[ ! -e "$guard/armed" ] || mv "$guard/armed" "$guard/fired"
		finish_undo
		settled=$undone
	else
		settled=dropped
	fi
	rm -rf "$guard"
	emit settled "$settled" "$guard_step"
}
