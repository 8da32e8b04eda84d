# After the proof: what makes the change last, in an order in which a power cut at any moment leaves the node with the old
# content or the new. The prefix is built anew from kong.conf at every start of the service, so kong.conf names a plugin only
# after its links are there, and a link goes only after kong.conf does not name it.
#
# Records: adopted PATH ATTIC exchange|rename    something not ours was in the way; where it is; without a gap, or with one
#          did WHAT [NAME]                       what was done, also in the receipt
#          collected BUNDLE DIGEST               an older release that is no longer kept
#          moved WHAT FOUND                      not as the plan saw it
#          problem commit WHAT                   it stopped there; the next activate goes on

# moved WHAT FOUND: the node is not as the plan saw it; nothing was touched.
moved() {
	emit moved "$@"
	finish 20
}

# The manifest is that of the plan's basis: whoever wrote a newer one knows more than the plan.
check_manifest_basis() {
	arg manifest_generation
	now=0
	if [ -e "$a_home/state/manifest" ]; then
		now=$(sed -n 's/^generation //p' "$a_home/state/manifest")
	fi
	[ "$now" = "$arg" ] || moved manifest "$now"
}

# did WHAT...: into the receipt and the answer.
did() {
	note did "$@"
	emit did "$@"
}

# stuck WHAT...: the commit cannot go on. The receipt stays open and the token confirmed, so that the next run goes forward.
stuck() {
	emit problem commit "$@"
	# Before the proof nothing lasts: the guard puts back what is in place already.
	[ -z "${placing-}" ] || give_up 30
	finish 30
}

# link_to TARGET PATH
link_to() {
	if [ "$(readlink -- "$2" 2>/dev/null)" = "$1" ]; then
		return 0
	fi
	beside=${2%/*}/.muster-new
	clear_away "$beside"
	ln -s -- "$1" "$beside" && rename "$beside" "$2" || {
		rm -f "$beside"
		return 1
	}
}

# clear_away PATH: what a run that died has left there: a link of ours, or what it was adopting, which is kept.
clear_away() {
	if [ -h "$1" ]; then
		rm -f -- "$1"
	elif [ -e "$1" ]; then
		mv -f -- "$1" "$a_home/attic/$run.$step-left" || stuck attic "$1"
	fi
}

# is_ours BUNDLE ROOT: the root is a link into our own directories.
is_ours() {
	[ -h "$a_lua_root/$2" ] || return 1
	target=$(readlink -- "$a_lua_root/$2")
	case $target in
		"$a_home/current/$1/$2" | "$a_home/releases/$1"/*/"$2") return 0 ;;
	esac
	return 1
}

# each_pair KEY FUNCTION: calls FUNCTION NAME VALUE for every `NAME VALUE` of the list KEY.
each_pair() {
	count "$1"
	set -- "$1" "$2" 0 "$count"
	while [ "$3" -lt "$4" ]; do
		set -- "$1" "$2" $(($3 + 1)) "$4"
		eval "pair=\$a_$1_$3"
		case $pair in ?*\ ?*) ;; *) die 90 argument-odd "$1_$3" ;; esac
		"$2" "${pair%% *}" "${pair#* }"
	done
}

# A root that goes is first tied to the release it is in, as switching its bundle would break it while kong.conf names it.
pin() {
	if [ -h "$a_home/current/$1" ] && is_ours "$1" "$2"; then
		old=$(readlink -- "$a_home/current/$1")
		link_to "$a_home/releases/$1/${old##*/}/$2" "$a_lua_root/$2" || stuck pin "$2"
	fi
}

switch() {
	[ "$2" != - ] || return 0
	link_to "../releases/$1/$2" "$a_home/current/$1" || stuck switch "$1"
	did switch "$1" "$2"
}

put_root() {
	path=$a_lua_root/$2
	if [ -e "$path" ] || [ -h "$path" ]; then
		if ! is_ours "$1" "$2"; then
			adopt "$path" "$a_home/current/$1/$2"
			return
		fi
	else
		mkdir -p "${path%/*}" || stuck root "$2"
	fi
	link_to "$a_home/current/$1/$2" "$path" || stuck root "$2"
	did root "$2"
}

# adopt PATH TARGET: what is there goes to the attic; with an exchange there is no instant without either.
adopt() {
	beside=${1%/*}/.muster-new
	attic=$a_home/attic/$run.$step-$(printf %s "${1#"$a_lua_root"/}" | tr '/' '+')
	note intent adopt "$1" "$attic"
	settle "$guard_receipt"
	clear_away "$beside"
	ln -s -- "$2" "$beside" || stuck adopt "$1"
	how=exchange
	exchange "$beside" "$1" || {
		how=rename
		rename "$1" "$beside.old" && rename "$beside" "$1" && rename "$beside.old" "$beside" || {
			[ -e "$1" ] || rename "$beside.old" "$1"
			stuck adopt "$1"
		}
	}
	# Off the search path now, so that a copy to another filesystem harms nobody.
	mv -f -- "$beside" "$attic" || stuck attic "$beside"
	emit adopted "$1" "$attic" "$how"
	did adopt "$1" "$attic"
}

drop_root() {
	if is_ours "$1" "$2"; then
		rm -f -- "$a_lua_root/$2" || stuck drop "$2"
		did drop "$2"
	fi
}

drop_bundle() {
	[ "$2" = - ] || return 0
	rm -f -- "$a_home/current/$1" || stuck drop "$1"
	did drop "$1"
}

# edit_conf: the new text of kong.conf beside it, checked against the digest that the plan has. Bytes come as octal.
edit_conf() {
	arg conf_offset 0
	offset=$arg
	arg conf_remove 0
	remove=$arg
	arg conf_insert ''
	edited=${conf_real%/*}/.${conf_real##*/}.muster
	[ -d "${conf_real%/*}" ] || mkdir -p "${conf_real%/*}" || return 1
	rm -f "$edited"
	(
		umask 077
		{
			if [ "$conf_before" != - ]; then head -c "$offset" "$conf_real"; fi
			printf %b "$arg"
			if [ "$conf_before" != - ]; then tail -c "+$((offset + remove + 1))" "$conf_real"; fi
		} >"$edited"
	) || return 1
	sum "$edited"
	[ "$sum" = "$conf_after" ] || {
		rm -f "$edited"
		return 1
	}
	if [ "$conf_before" = - ]; then
		chmod 0644 "$edited"
	else
		alike "$conf_real" "$edited"
	fi && settle "$edited"
}

# swap_conf: puts it in the place of the text that the plan saw, and of no other; 1: somebody else wrote, and his text stands.
# The two names are exchanged, and what came out is looked at: a check before a rename would lose what is written between.
swap_conf() {
	swapped=
	if [ "$conf_before" = - ]; then
		# link(2) does not replace.
		ln -- "$edited" "$conf_real" 2>/dev/null || return 1
		rm -f "$edited"
		return 0
	fi
	if exchange "$edited" "$conf_real"; then
		swapped=yes
		came_back "$conf_after"
		return
	fi
	sum "$conf_real"
	[ "$sum" = "$conf_before" ] || return 1
	mounted_conf=$(awk -v path="$conf_real" '$5 == path { print 1; exit }' /proc/self/mountinfo 2>/dev/null)
	if [ -n "$mounted_conf" ]; then
		# A mount point cannot be renamed over; a file that is mounted can only be written.
		cat "$edited" >"$conf_real" || return 1
		settle "$conf_real"
		rm -f "$edited"
	else
		rename "$edited" "$conf_real" || return 1
	fi
	sum "$conf_real"
	[ "$sum" = "$conf_after" ]
}

# came_back PUT: PUT is in place, and something came out. If that is not what the plan saw, it is somebody else's text and goes
# back, until what comes out is what we had put in. Against somebody who writes without end nobody wins: what he wrote is kept.
came_back() {
	inside=$1
	sum "$edited"
	[ "$sum" != "$conf_before" ] || return 0
	rounds=0
	while :; do
		theirs=$sum
		rounds=$((rounds + 1))
		if [ "$rounds" -gt 20 ] || ! exchange "$edited" "$conf_real"; then
			mv -f -- "$edited" "$a_home/attic/$run.$step-conf"
			emit problem conf-contended "$a_home/attic/$run.$step-conf"
			return 1
		fi
		sum "$edited"
		[ "$sum" != "$inside" ] || return 1
		inside=$theirs
	done
}

# unit_reads UNIT: systemd has read the drop-in, and the service is given what we wrote. Nothing is restarted.
unit_reads() {
	systemctl daemon-reload >/dev/null 2>&1 </dev/null 9>&- || return 1
	shows=$(systemctl show -p Environment "$1" 2>/dev/null </dev/null 9>&- | sed "s/^Environment=//; s/[\"']//g")
	arg unit_shows
	case " $shows " in *" $arg "*) return 0 ;; esac
	return 1
}

# unit_lost: it is not, so that what was there comes back.
unit_lost() {
	if [ "$conf_before" = - ]; then
		rm -f "$conf_real"
	elif [ "$swapped" = yes ]; then
		exchange "$edited" "$conf_real"
	fi
	systemctl daemon-reload >/dev/null 2>&1 </dev/null 9>&- || :
	conf_stays unit-unread
	stuck unit "$conf_real"
}

# check_conf: at the end of the commit. Who had the old file open and wrote into it meanwhile is heard, too.
check_conf() {
	if [ "$swapped" = yes ]; then
		sum "$edited"
		if [ "$sum" != "$conf_before" ]; then
			written=$sum
			exchange "$edited" "$conf_real" || return 1
			sum "$edited"
			[ "$sum" = "$conf_after" ] || came_back "$written"
			return 1
		fi
		rm -f "$edited"
	fi
	sum "$conf_real"
	[ "$sum" = "$conf_after" ]
}

# normal_path: `.kong_env` and the nginx files search where they did, without our releases. No signal: the next reload or start
# finds the same content by the links.
normal_path() {
	path=$(env_value lua_package_path)
	case $path in *"$a_home/releases/"*)
		strip_path "$path"
		rewrite_env '' "$stripped" || return 1
		;;
	esac
	for file in "$a_prefix/nginx.conf" "$a_prefix/nginx-kong.conf" "$a_prefix/nginx-kong-stream.conf"; do
		[ -f "$file" ] || continue
		rm -f "$file.muster"
		(
			umask 077
			MUSTER_OURS=$a_home/releases/ awk '
				/^[ \t]*lua_package_path[ \t]/ {
					ours = ENVIRON["MUSTER_OURS"]
					while ((from = index($0, ours)) > 0) {
						end = index(substr($0, from), ";")
						if (!end) break
						$0 = substr($0, 1, from - 1) substr($0, from + end)
					}
				}
				{ print }' "$file" >"$file.muster"
		) || return 1
		if cmp -s "$file" "$file.muster"; then
			rm -f "$file.muster"
		else
			replace "$file.muster" "$file" || return 1
		fi
	done
}

content() {
	note content "$1" "$2"
}

# commit: from here on nobody stops us but the machine. What is already done is done again without harm.
commit() {
	trap '' HUP INT TERM USR1 PIPE
	unwatch
	rm -rf "$guard/save"
	boot
	note boot "$boot"
	if [ "$way" != none ]; then
		note master "$master" "$master_start"
		workers "$master"
		for each in $live; do note worker "${each%:*}" "${each#*:}"; done
	fi
	each_pair content content
	settle "$guard_receipt"
	if [ -z "${placed-}" ]; then
		each_pair drop pin
		each_pair switch switch
		each_pair root put_root
		settle_all "$a_home" "$a_lua_root"
	fi
	if [ -n "$conf_after" ] && [ -z "${placed-}" ]; then
		edit_conf || conf_unwritten
		swap_conf || conf_lost
		settle "$conf_real"
		did conf "$conf_after"
		arg unit ''
		[ -z "$arg" ] || unit_reads "$arg" || unit_lost
	fi
	each_pair drop drop_root
	each_pair switch drop_bundle
	if [ "$way" != none ]; then
		normal_path || stuck normal-path "$a_prefix"
	fi
	write_manifest
	if [ -n "$conf_after" ]; then
		check_conf || conf_lost
	fi
	note result changed
	settle "$guard_receipt"
	rm -rf "$guard"
	collect
	finish 0
}

# collect: of each bundle that was switched the newest `keep` releases stay, the current one counted. While old workers are
# leaving nothing goes, as they may read a file of theirs yet (measured.md 6); a later commit gets there.
collect() {
	arg keep 0
	keep=$arg
	case $keep in '' | 0 | *[!0-9]* | ????*) return 0 ;; esac
	if [ "$way" != none ]; then
		workers "$master"
		[ -z "$leaving" ] || return 0
	fi
	rm -rf "$a_home"/releases/.going-*
	each_pair switch collect_bundle
}

collect_bundle() {
	[ "$2" != - ] || return 0
	kept=1
	# shellcheck disable=SC2045 # names of digests only are looked at
	for each in $(ls -1t "$a_home/releases/$1" 2>/dev/null); do
		case $each in "$2" | *[!0-9a-f]*) continue ;; esac
		case $stage in *"/releases/$1/$each/"*) continue ;; esac
		# What was edited by hand stays, and is not one to go back to.
		is_release "$a_home/releases/$1/$each" || continue
		if [ "$kept" -lt "$keep" ]; then
			kept=$((kept + 1))
		elif drop_release "$1" "$each"; then
			emit collected "$1" "$each"
		fi
	done
}

# is_release DIRECTORY: its content is what its name says (the digest of a bundle: of PATH NUL SHA256 NUL, sorted by path).
is_release() {
	[ -d "$1" ] && [ ! -h "$1" ] || return 1
	case ${1##*/} in *[!0-9a-f]*) return 1 ;; esac
	[ -z "$(find "$1" ! -type f ! -type d | head -n 1)" ] || return 1
	# A character before all that a path can have keeps the order of the paths.
	mark=$(printf '\001')
	# shellcheck disable=SC2086 # words of ours
	hash=$(cd "$1" && sums | sed "s|^\\([0-9a-f]*\\)  \\./\\(.*\\)\$|\\2$mark\\1|" | sort | while IFS= read -r each; do
		printf '%s\0%s\0' "${each%"$mark"*}" "${each##*"$mark"}"
	done | $summer)
	[ "${hash%% *}" = "${1##*/}" ]
}

# drop_release BUNDLE DIGEST: at once for whoever looks, whenever we die.
drop_release() {
	rename "$a_home/releases/$1/$2" "$a_home/releases/.going-$run-$step-$2" && rm -rf "$a_home/releases/.going-$run-$step-$2"
}

# The new text could not be written beside kong.conf. If kong.conf is what the plan saw, it was not somebody else.
conf_unwritten() {
	sum "$conf_real"
	[ "$sum" = "$conf_before" ] || conf_lost
	conf_stays conf-unwritten
	stuck conf-unwritten "$conf_real"
}

# Somebody else changed kong.conf after the plan saw it: his text stands, ours is for the next run.
conf_lost() {
	conf_stays conf-moved
	sum "$conf_real"
	stuck conf "$sum"
}

# conf_stays RESULT: kong.conf is not ours to change now; the rest of the commit is done.
conf_stays() {
	rm -f "$edited"
	[ "$way" = none ] || normal_path || :
	# With roots to drop the manifest stays the old one: they are not dropped yet.
	count drop
	[ "$count" -gt 0 ] || write_manifest
	note result "$1"
	settle "$guard_receipt"
	rm -rf "$guard"
}

write_manifest() {
	count manifest
	[ "$count" -gt 0 ] || return 0
	say_manifest | put "$a_home/state/manifest" || stuck manifest
}

say_manifest() {
	count manifest
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "printf '%s\n' \"\$a_manifest_$at\""
	done
}

# begin_receipt: the first lines of $guard_receipt.
begin_receipt() {
	{
		printf '%s\n' 'muster-receipt 1' "run $run" "step $step"
		[ -z "${a_commit-}" ] || printf 'commit %s\n' "$a_commit"
	} >"$guard_receipt"
}

# close_receipts: what a deletion that died has left open. Whoever wrote it is gone, as the lock is ours.
close_receipts() {
	for each in $(cd "$a_home/state/receipts" && grep -L '^result ' -- * 2>/dev/null); do
		guard_receipt=$a_home/state/receipts/$each
		# One that ends in the middle of a line is read as open, and would not be read at all with a line behind that.
		[ -z "$(tail -c 1 -- "$guard_receipt")" ] && grep -q '^intent delete ' -- "$guard_receipt" || continue
		note result interrupted
	done
	guard_receipt=
}
