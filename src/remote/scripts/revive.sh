# What the guard puts back beside the files of the prefix, for the ways to reload with which nothing can be staged: links and the
# file of the directive are in place before the reload there, and a restart may have left nobody to tell.

guard_conf=
guard_conf_before=-
guard_conf_after=
guard_unit=
guard_again=
guard_cli=
guard_nofile=

# restore_places: links and the file of the directive as they were.
restore_places() {
	restore_conf || return 1
	[ -f "$guard/save/links" ] || return 0
	while IFS= read -r path && IFS= read -r target; do
		if [ "$target" != - ]; then
			link_to "$target" "$path" || return 1
		elif [ -h "$path" ]; then
			rm -f -- "$path" || return 1
		fi
	done <"$guard/save/links"
}

# restore_conf: unless somebody else has written it since.
restore_conf() {
	[ -n "$guard_conf" ] || return 0
	beside=${guard_conf%/*}/.${guard_conf##*/}.muster
	sum=
	if [ -e "$guard_conf" ]; then sum "$guard_conf"; fi
	if [ "$sum" = "$guard_conf_after" ]; then
		if [ "$guard_conf_before" = - ]; then
			rm -f -- "$guard_conf" || return 1
		else
			(umask 077 && cat "$guard/save/conf" >"$beside") && alike "$guard_conf" "$beside" && settle "$beside" || return 1
			# A mounted file can only be written.
			rename "$beside" "$guard_conf" || cat "$guard/save/conf" >"$guard_conf" || return 1
		fi
	fi
	rm -f -- "$beside"
	if [ -n "$guard_unit" ]; then
		systemctl daemon-reload >/dev/null 2>&1 </dev/null 9>&- || :
	fi
}

# revive: what runs in the prefix now is what is told; where nobody runs, Kong is started again, from the settings that ran. 1: it
# is not to be, or cannot be, started.
revive() {
	[ -n "$guard_again" ] || return 1
	prefix_real=$(readlink -f -- "$guard_prefix") || prefix_real=$guard_prefix
	tries=0
	until find_master "$guard_prefix" "$prefix_real"; do
		tries=$((tries + 1))
		[ "$tries" -le 5 ] || return 1
		note intent start "$guard_again"
		start_again
		uptime
		give_in=$((uptime + 30))
		until find_master "$guard_prefix" "$prefix_real"; do
			uptime
			[ "$uptime" -lt "$give_in" ] || break
			nap
		done
	done
	guard_master=$master
	guard_start=$master_start
}

# start_again: by the service where there is one, else by the CLI with the saved settings, as the user that the master was.
start_again() {
	case $guard_again in unit\ *)
		systemctl start "${guard_again#unit }" >/dev/null 2>&1 </dev/null 9>&-
		return
		;;
	esac
	a_cli=$guard_cli
	nofile=$guard_nofile
	again=$guard_prefix/.muster-again
	rm -f "$again"
	(umask 077 && cat "$guard/save/.kong_env" >"$again") || return 1
	[ -z "$become" ] || chown "$master_uid:$master_gid" "$again"
	run_cli 120 "$guard/again" start -c "$again" -p "$guard_prefix"
	rm -f "$again"
}
