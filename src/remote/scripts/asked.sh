# The ways to reload that an inventory asks for: those of Kong's documents, the unit's own, the operator's command. Nothing can be
# staged with them: links and the file of the directive are in place before, and the guard knows how they were (revive.sh).

# save_places: for the guard, how they are now.
save_places() {
	: >"$guard/save/links" || unarmed write "$guard"
	each_pair root save_root
	each_pair drop save_root
	each_pair switch save_current
	if [ -n "$conf_after" ]; then
		[ "$conf_before" = - ] || cp -p -- "$conf_real" "$guard/save/conf" || unarmed write "$guard"
	fi
}

save_root() { save_link "$a_lua_root/$2"; }
save_current() { save_link "$a_home/current/$1"; }

save_link() {
	target=$(readlink -- "$1") || target=-
	printf '%s\n' "$1" "$target" >>"$guard/save/links" || unarmed write "$guard"
}

# say_places: the facts of the guard that revive.sh reads.
say_places() {
	arg unit ''
	if [ -n "$conf_after" ]; then
		printf '%s\n' "conf $conf_real" "conf_before $conf_before" "conf_after $conf_after" "unit $arg"
	fi
	arg again kong
	printf '%s\n' "again $arg" "cli $a_cli" "uid $master_uid" "gid $master_gid" "become $become" "nofile $nofile"
}

# place: links, then the file of the directive, each as in a commit.
place() {
	placing=yes
	each_pair drop pin
	each_pair switch switch
	each_pair root put_root
	settle_all "$a_home" "$a_lua_root"
	if [ -n "$conf_after" ]; then
		edit_conf || stuck conf-unwritten "$conf_real"
		swap_conf || stuck conf "$conf_real"
		settle "$conf_real"
		did conf "$conf_after"
		arg unit ''
		[ -z "$arg" ] || unit_reads "$arg" || stuck unit "$conf_real"
	fi
	placing=
}

# reload_asked: Kong is told in the way that was asked for.
reload_asked() {
	place
	arg cli_seconds 120
	: >"$guard/touched" && settle "$guard/touched"
	case $way in
		prepare)
			run_cli "$arg" "$guard/cli" prepare -c "$a_conf" -p "$a_prefix" &&
				run_cli "$arg" "$guard/cli" reload -c "$a_conf" -p "$a_prefix"
			;;
		restart) run_cli "$arg" "$guard/cli" restart -c "$a_conf" -p "$a_prefix" ;;
		unit)
			arg service
			systemctl reload "$arg" >"$guard/cli" 2>&1 </dev/null 9>&-
			;;
		command)
			arg command
			(cd / && limit_files && exec /bin/sh -c "$arg") >"$guard/cli" 2>&1 </dev/null 9>&-
			;;
	esac
	code=$?
	[ "$code" != 0 ] || return 0
	emit cli "$code" "$(head -c 1000 "$guard/cli")"
	# Kong's CLI signals last: where it says no, prepared files go back and no signal is needed (measured.md 5). Of a command of
	# somebody else nothing is known.
	case $way:$code in
		*:124 | *:137 | *:142) give_up 23 ;;
		prepare:*) rm -f "$guard/touched" ;;
	esac
	give_up 30
}
