# activate: brings delivered bundles and the directive into force on one node, with one reload, and stays while that is proven.
#
# Arguments: home conf prefix lua_root cli     cli: the kong command
#            run step generation ttl           the lease
#            commit                            the commit that was planned from, for the receipt
#            keep                              how many releases of a switched bundle stay, the new one counted (0: all)
#            way candidate|hup|prepare|restart|unit|command|kept|none|settle   kept: what runs is right, only what the next start reads is not; none: Kong
#                                              does not run; settle: only finish or undo what an earlier run left
#            command                           way command: what /bin/sh -c is given
#            service                           way unit: the unit that is told to reload
#            again kong|unit NAME              how Kong is started again, should one of these four leave it down
#            plugins                           the new value of the directive, as Kong's own `.kong_env` has it
#            stage                             what is put before lua_package_path: `RELEASE/?.lua;RELEASE/?/init.lua;...`
#            patience                          seconds until the guard puts back by itself (300)
#            no_guard                          1: go on where no guard can be started
#            gap draining                      seconds since the last reload, old generations that may be leaving (nothing: any)
#            pace_seconds                      for how long these two are waited for (300)
#            idle_seconds cli_seconds          how long a busy master (60) and the CLI (120) are waited for
#            place place_sha                   the file that the directive is kept in, where that is not kong.conf
#            cgroup                            where it says in which unit the master runs (/proc/MASTER/cgroup)
#            unit unit_shows                   that file is a drop-in of this unit, of which systemd has to show this then
#   basis    source_N                          `SHA PATH`, `- PATH`: the files of Kong's unit
#            conf_sha env_sha                  digests, the second of the sorted lines that are no comments; `-` for no such file
#            nginx_sha                         one digest of the nginx files of the prefix; may be left out
#            master_pid master_start           `-` for none
#            manifest_generation               0 for no manifest
#            was_N                             `BUNDLE DIGEST`, `BUNDLE -`: where the switchable links point
#   wanted   switch_N                          `BUNDLE DIGEST`, `BUNDLE -` to drop it
#            root_N drop_N adopt_N             `BUNDLE ROOT`: roots to be links of ours, to go, that may be adopted
#            conf_offset conf_remove conf_insert conf_after    the edit of kong.conf, bytes as octal; none without conf_after
#            manifest_N                        the lines of the new manifest
#            content_N                         `BUNDLE DIGEST`: what the workers have loaded then
# Words:     look, confirm, undo. The end of input is undo.
# Records:   settled WHAT STEP                 an earlier run's guard: dropped, committed, undone ...
#            moved WHAT [DETAIL]               the basis does not hold
#            waiting WHAT COUNT                once a second, nothing touched: gap (seconds in all), draining (old workers)
#            before PID START                  a worker before the reload
#            no-guard                          there is none here
#            reloading                         from here on Kong may have been told
#            cli EXIT TEXT                     what the CLI said, if it said no
#            proof SECONDS IDLE ALIVE N PID START   seconds since the signal; the master is idle; it is there; N workers follow;
#                                              which process it is now: another one after a restart
#            worker PID START live|leaving
#            loading PLUGIN...                 at log_level debug, before the first proof of a resting master: the plugins that its
#                                              log says it loads
#            undone HOW                        proved, restored, unproved
# Blobs:     log                               what the error log has got since the reload, cut at 64 KiB; before `undone`; or
#                                              `no-blob log WHY WHERE`: syslog, stderr, absent, journal
#            those of the commit and the lock
# Ends with: 0 committed; 10 settle: nothing was there; 20, 21, 22 nothing was touched; 23 put back by the guard;
#            30 the CLI said no and the files are put back, or the commit could not go on.

# env_value KEY: the last value in the live .kong_env, as it is without escapes.
env_value() {
	sed -n "s/^$1 *= *//p" "$a_prefix/.kong_env" 2>/dev/null | tail -n 1 | sed 's/\\#/#/g'
}

# strip_path PATH: a search path without our releases, in $stripped.
strip_path() {
	rest=$1
	stripped=
	while [ -n "$rest" ]; do
		case $rest in
			*\;*) each="${rest%%;*};" && rest=${rest#*;} ;;
			*) each=$rest && rest= ;;
		esac
		case $each in "$a_home/releases/"*) ;; *) stripped=$stripped$each ;; esac
	done
}

# env_line KEY VALUE: as Kong writes it.
env_line() {
	case $2 in
		*\#*) printf '%s = %s\n' "$1" "$(printf %s "$2" | sed 's/#/\\#/g')" ;;
		*) printf '%s = %s\n' "$1" "$2" ;;
	esac
}

# rewrite_env PLUGINS PATH: these lines of .kong_env and no other; an empty one stays as it is.
rewrite_env() {
	rm -f "$a_prefix/.kong_env.muster"
	(
		umask 077
		{
			MUSTER_PLUGINS=$1 MUSTER_PATH=$2 awk '
				/^plugins *=/ && ENVIRON["MUSTER_PLUGINS"] != "" { next }
				/^lua_package_path *=/ && ENVIRON["MUSTER_PATH"] != "" { next }
				{ print }' "$a_prefix/.kong_env" &&
				if [ -n "$1" ]; then env_line plugins "$1"; fi &&
				if [ -n "$2" ]; then env_line lua_package_path "$2"; fi
		} >"$a_prefix/.kong_env.muster"
	) && replace "$a_prefix/.kong_env.muster" "$a_prefix/.kong_env"
}

# --- the basis

check_was() {
	target=$(readlink -- "$a_home/current/$1" 2>/dev/null) || target=-
	[ "${target##*/}" = "$2" ] || moved link "$1"
}

check_release() {
	[ "$2" = - ] || [ -d "$a_home/releases/$1/$2" ] || moved release "$1"
}

check_root() {
	path=$a_lua_root/$2
	[ -e "$path" ] || [ -h "$path" ] || return 0
	! is_ours "$1" "$2" || return 0
	adopting=
	wanted_root="$1 $2"
	each_pair adopt may_adopt
	[ -n "$adopting" ] || moved root "$2"
}

may_adopt() {
	[ "$1 $2" != "$wanted_root" ] || adopting=yes
}

check_conf_basis() {
	conf_real=$(readlink -f -- "$a_conf") || conf_real=$a_conf
	arg conf_sha
	conf_before=$arg
	arg conf_after ''
	conf_after=$arg
	as_planned conf
	each_pair source check_source
	arg place ''
	if [ -n "$arg" ]; then
		conf_real=$arg
		arg place_sha
		conf_before=$arg
		as_planned place
	fi
	[ -n "$conf_after" ] || return 0
	if [ "$conf_before" != - ]; then
		[ "$(stat -c %h -- "$conf_real")" = 1 ] || die 22 conf-hard-links "$conf_real"
		[ -w "$conf_real" ] && [ -w "${conf_real%/*}" ] || die 22 conf-not-writable "$conf_real"
	fi
}

# as_planned WHAT: $conf_real is what the plan saw.
as_planned() {
	if [ "$conf_before" = - ]; then
		[ ! -e "$conf_real" ] || moved "$1"
		return
	fi
	sum "$conf_real"
	[ "$sum" = "$conf_before" ] || moved "$1" "$sum"
}

check_source() {
	sum=-
	if [ -e "$2" ]; then sum "$2"; fi
	[ "$sum" = "$1" ] || moved source "$2"
}

# check_nginx_basis: the files that the way was chosen by.
check_nginx_basis() {
	arg nginx_sha ''
	[ -n "$arg" ] || return 0
	sum_nginx
	[ "$sum" = "$arg" ] || moved nginx "$sum"
}

check_env_basis() {
	arg env_sha
	if [ "$arg" = - ]; then
		[ ! -e "$a_prefix/.kong_env" ] || moved env
		return
	fi
	# shellcheck disable=SC2086 # words of ours
	sum=$(grep -v -e '^#' -e '^$' "$a_prefix/.kong_env" 2>/dev/null | sort | $summer)
	[ "${sum%% *}" = "$arg" ] || moved env "${sum%% *}"
}

check_master_basis() {
	arg master_pid
	wanted=$arg
	arg master_start
	prefix_real=$(readlink -f -- "$a_prefix") || prefix_real=$a_prefix
	find_master "$a_prefix" "$prefix_real" || :
	[ "${master:--}" = "$wanted" ] && [ "${master_start:--}" = "$arg" ] || moved master "${master:--}"
	case $way:$master in
		none:) ;;
		none:* | *:) moved master "${master:--}" ;;
	esac
}

check_basis() {
	check_conf_basis
	check_env_basis
	check_nginx_basis
	check_master_basis
	check_manifest_basis
	each_pair was check_was
	each_pair switch check_release
	each_pair root check_root
}

# --- what must be possible before anything is touched

check_way() {
	[ -n "$signals" ] || return 0
	know_master
	[ "$self" = 0 ] || [ "$self" = "$master_uid" ] || die 22 not-the-owner "$master_uid"
	if [ "$way" = hup ]; then
		[ -z "$stage" ] || find_path_files || die 22 no-search-path
		return
	fi
	case $way in unit) return ;; esac
	[ "$become" != no ] || die 22 cannot-become "$master_uid"
	(limit_files) || die 22 open-files "$nofile"
}

# settle_pace: the last reload is long enough ago, and not too many old workers are leaving. Workers that came with their master
# are of no reload. What is waited for is said every second, so that this ends where nobody listens any more.
settle_pace() {
	arg gap 0
	gap=$arg
	arg draining ''
	most=$arg
	arg pace_seconds 300
	uptime
	give_in=$((uptime + gap + arg))
	ticks=$(getconf CLK_TCK 2>/dev/null) || ticks=100
	while :; do
		rest "$master" 60 || moved reload
		workers "$master"
		youngest=0
		serving=0
		for each in $live; do
			serving=$((serving + 1))
			[ "${each#*:}" -le "$youngest" ] || youngest=${each#*:}
		done
		going=0
		for each in $leaving; do going=$((going + 1)); done
		uptime
		if [ "$youngest" -gt $((master_start + 3 * ticks)) ] && [ $((uptime - youngest / ticks)) -lt "$gap" ]; then
			set -- gap "$gap"
		elif [ -n "$most" ] && [ "$going" -gt $((most * serving)) ]; then
			set -- draining "$going"
		else
			return 0
		fi
		emit waiting "$@"
		[ "$uptime" -lt "$give_in" ] || die 22 "pace-$1" "$2"
		sleep 1
	done
}

# --- the guard

arm() {
	arg patience 300
	uptime
	boot
	deadline_at=$((uptime + arg))
	rm -rf "$guard"
	mkdir -m 0700 "$guard" && mkdir "$guard/save" || die 30 write "$guard"
	guard_receipt=$a_home/state/receipts/$run.$step
	if [ -n "$signals" ]; then
		for file in "$a_prefix/.kong_env" "$a_prefix"/nginx*.conf; do
			[ ! -f "$file" ] || cp -p -- "$file" "$guard/save/" || unarmed write "$guard"
		done
	fi
	printf '%s\n' "step $run.$step" "boot $boot" "deadline $deadline_at" "master ${master:--}" "start ${master_start:--}" \
		"prefix $a_prefix" "receipt $guard_receipt" >"$guard/facts" || unarmed write "$guard"
	if [ -n "$placed" ]; then
		save_places
		say_places >>"$guard/facts" || unarmed write "$guard"
	fi
	read_guard
	: >"$guard/armed" || unarmed write "$guard"
	settle "$guard/facts" "$guard/armed"
	if [ -n "$signals" ]; then
		post_guard
	fi
}

unarmed() {
	rm -rf "$guard"
	die 30 "$@"
}

# post_guard: starts it apart from this session, with none of our descriptors, and waits until it says that it is there. The
# text of the guard is that of this script: `s` is what the wire's one line has read.
post_guard() {
	guarded_by=
	(umask 077 && printf '%s\n' "$s" >"$guard/script") || unarmed write "$guard"
	if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && has systemd-run; then
		# In a service of its own: logind may end what a session leaves behind.
		systemd-run --quiet --collect --unit="muster-guard-$run-$step" /bin/sh "$guard/script" guard "$guard" \
			</dev/null >/dev/null 2>&1 9>&- && guarded_by=systemd
	fi
	if [ -z "$guarded_by" ] && has setsid; then
		setsid /bin/sh "$guard/script" guard "$guard" </dev/null >/dev/null 2>&1 9>&- &
		guarded_by=setsid
	elif [ -z "$guarded_by" ] && has perl; then
		perl -e 'use POSIX (); fork and exit; POSIX::setsid(); exec @ARGV' /bin/sh "$guard/script" guard "$guard" \
			</dev/null >/dev/null 2>&1 9>&- &
		guarded_by=perl
	fi
	uptime
	until=$((uptime + 15))
	until [ -e "$guard/ready" ]; do
		uptime
		if [ -z "$guarded_by" ] || [ "$uptime" -ge "$until" ]; then
			emit no-guard
			[ "${a_no_guard-0}" = 1 ] || {
				rm -rf "$guard"
				finish 22
			}
			return 0
		fi
		nap
	done
}

# alarm: when the guard's time is up, this script hears of it although it is waiting for a word.
alarm() {
	dog $((deadline_at + 2)) USR1
	# In the trap itself, not behind the read: bash may go on reading after a trap.
	trap 'give_up 23' USR1
}

intend() {
	begin_receipt || unarmed write "$guard_receipt"
	note intent "$way" "$a_prefix"
	each_pair switch intend_switch
	each_pair root intend_root
	each_pair drop intend_drop
	[ -z "$conf_after" ] || note intent conf "$conf_real"
	settle "$guard_receipt"
}

intend_switch() { note intent switch "$1" "$2"; }
intend_root() { note intent root "$2"; }
intend_drop() { note intent drop "$2"; }

# --- the reload

staged_path() {
	path=$(env_value lua_package_path)
	[ -n "$path" ] || path='./?.lua;./?/init.lua;'
	strip_path "$path"
	new_path=$stage$stripped
	[ "$new_path" != "$path" ] || new_path=
}

reload() {
	uptime
	since=$uptime
	emit reloading
	if [ -n "$placed" ]; then
		reload_asked
		return
	fi
	staged_path
	: >"$guard/touched" && settle "$guard/touched"
	if [ "$way" = candidate ]; then
		reload_candidate
	else
		reload_hup
	fi
}

# The live .kong_env and our lines, given to the node's own CLI, as the master's user: nothing else changes.
reload_candidate() {
	candidate=$a_prefix/.muster-candidate
	rm -f "$candidate"
	(
		umask 077
		{
			cat "$a_prefix/.kong_env" && env_line plugins "$a_plugins" &&
				if [ -n "$new_path" ]; then env_line lua_package_path "$new_path"; fi
		} >"$candidate"
	) && { [ -z "$become" ] || chown "$master_uid:$master_gid" "$candidate"; } || {
		rm -f "$candidate" "$guard/touched"
		emit problem write "$candidate"
		give_up 30
	}
	arg cli_seconds 120
	run_cli "$arg" "$guard/cli" reload -c "$candidate" -p "$a_prefix"
	code=$?
	rm -f "$candidate"
	[ "$code" != 0 ] || return 0
	emit cli "$code" "$(head -c 1000 "$guard/cli")"
	case $code in
		# It was killed for being late: nobody knows how far it got.
		124 | 137 | 142) give_up 23 ;;
	esac
	# Kong's CLI signals last, so nothing was signalled: the files go back, and no signal is sent (measured.md 5).
	rm -f "$guard/touched"
	give_up 30
}

reload_hup() {
	rewrite_env "$a_plugins" "$new_path" && stage_nginx && kill -HUP "$master" || {
		emit problem hup "$master"
		give_up 30
	}
}

stage_nginx() {
	[ -n "$stage" ] || return 0
	for file in $path_files; do
		file=$a_prefix/$file
		rm -f "$file.muster"
		(
			umask 077
			MUSTER_STAGE=$stage awk '
				/^[ \t]*lua_package_path[ \t]/ {
					at = match($0, /lua_package_path[ \t]+["\047]?/)
					$0 = substr($0, 1, at + RLENGTH - 1) ENVIRON["MUSTER_STAGE"] substr($0, at + RLENGTH)
				}
				{ print }' "$file" >"$file.muster"
		) && replace "$file.muster" "$file" || return 1
	done
}

# --- the proof, and the end

look() {
	uptime
	resting=0
	same=0
	live=
	leaving=
	if ! alive "$master" "$master_start"; then
		case $way in restart | unit | command) find_master "$a_prefix" "$prefix_real" || : ;; esac
	fi
	if alive "${master:--}" "$master_start"; then
		same=1
		# First the masks, then the workers: idle and then nobody new is a reload that is over.
		if idle "$master"; then resting=1; fi
		workers "$master"
		[ "$resting" = 0 ] || say_loading
	fi
	number=0
	for each in $live $leaving; do number=$((number + 1)); done
	emit proof $((uptime - since)) "$resting" "$same" "$number" "${master:--}" "${master_start:--}"
	for each in $live; do emit worker "${each%:*}" "${each#*:}" live; done
	for each in $leaving; do emit worker "${each%:*}" "${each#*:}" leaving; done
}

# give_up STATUS: asks the guard, waits for its word, and ends. Where there is no guard any more, this is the guard.
give_up() {
	trap '' USR1
	unwatch
	say_log
	: >"$guard/fire"
	while [ ! -e "$guard/done" ]; do
		if ! guard_lives; then
			[ ! -e "$guard/done" ] || break
			[ ! -e "$guard/armed" ] || mv "$guard/armed" "$guard/fired"
			# Whatever is confirmed is not undone, by nobody.
			[ -e "$guard/fired" ] || die 30 no-token
			finish_undo
			break
		fi
		nap
	done
	read -r undone <"$guard/done"
	emit undone "${undone#undone }"
	rm -rf "$guard"
	finish "$1"
}

confirm() {
	trap '' USR1
	if [ "$way" = none ] && find_master "$a_prefix" "$prefix_real"; then
		# It was started meanwhile, with the old content: the plan was for a node whose Kong does not run.
		emit problem started "$master"
		give_up 23
	fi
	mv "$guard/armed" "$guard/confirmed" 2>/dev/null || give_up 23
	commit
}

listen() {
	while [ -e "$guard/armed" ] && IFS= read -r word; do
		case $word in
			look) [ ! -e "$guard/armed" ] || look ;;
			confirm) confirm ;;
			*) break ;;
		esac
	done
	give_up 23
}

read_arguments() {
	arg home
	arg run
	case $arg in '' | *[!0-9A-Z]*) die 90 argument-odd run ;; esac
	run=$arg
	arg step
	case $arg in '' | *[!0-9]*) die 90 argument-odd step ;; esac
	step=$arg
	arg way
	way=$arg
	case $way in settle) return ;; candidate | hup | prepare | restart | unit | command | kept | none) ;; *) die 90 argument-odd way ;; esac
	for each in conf prefix lua_root plugins; do arg "$each"; done
	arg cli ''
	a_cli=$arg
	arg stage ''
	stage=$arg
	guard=$a_home/state/guard
	# Whether Kong is told, so that there is something to guard and to prove.
	signals=
	case $way in candidate | hup | prepare | restart | unit | command) signals=yes ;; esac
	# Whether links and the file of the directive are in place before Kong is told.
	placed=
	case $way in prepare | restart | unit | command) placed=yes ;; esac
}

main() {
	begin
	read_arguments
	guard=$a_home/state/guard
	hold
	check_lease
	settle_guard
	if [ "$way" = settle ]; then
		[ "$settled" = nothing ] && finish 10
		finish 0
	fi
	close_receipts
	check_basis
	check_way
	if [ -n "$signals" ]; then
		arg idle_seconds 60
		rest "$master" "$arg" || moved reload
		settle_pace
		workers "$master"
		for each in $live; do emit before "${each%:*}" "${each#*:}"; done
	fi
	# The client may go away; from here on the guard decides, not a signal for a closed pipe.
	trap '' PIPE HUP
	arm
	intend
	alarm
	since=$uptime
	case $way in
		none) emit proof 0 0 0 0 ;;
		kept) look ;;
		*)
			mark_log
			reload
			look
			;;
	esac
	listen
}

case ${1-} in
	guard) guard_main "$2" ;;
	*) main ;;
esac
