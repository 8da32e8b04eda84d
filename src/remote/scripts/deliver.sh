# deliver: unpacks a bundle into its release directory. Nothing that Kong reads is touched.
#
# Arguments: home  bundle  digest          releases/BUNDLE/DIGEST is made
#            prefix                        of the Kong that must be able to read it (may be missing)
#            file_N                        `SHA256 PATH`: exactly these files
#            run  step  generation  ttl    the lease
#            seconds                       the deadline (300)
# Payload:   a tar.gz of these files
# Records:   release DIRECTORY             where it is
#            replaced ATTIC exchange|rename   what was there was not it any more; where that is now; without a gap, or with
#            problem unreadable PATH       a directory above it that Kong's processes may not enter
#            problem missing-tool NAME
#            problem unpack KIB            the archive could not be unpacked; free space left
#            problem content PATH          a file is not what was announced, or one too many
#            those of the lock
# Ends with: 0; 10 it was there; 21; 22; 30, with nothing left behind.

# readable DIRECTORY: Kong's master and workers can enter it and all above it. Their own rights count where they are known:
# the processes of a running Kong; else this user, if not root; else everybody.
readable() {
	who=
	if [ -n "${a_prefix-}" ] && find_master "$a_prefix"; then
		children "$master"
		for each in "$master" $children; do
			who="$who $(stat -c %u:%g "/proc/$each" 2>/dev/null)"
		done
	elif [ "$(id -u)" != 0 ]; then
		who="$(id -u):$(id -g)"
	fi
	above=$1
	while :; do
		may_enter "$above" || die 22 unreadable "$above"
		[ -n "$above" ] && [ "$above" != / ] || break
		above=${above%/*}
		above=${above:-/}
	done
}

may_enter() {
	facts=$(stat -L -c '%a %u %g' "$1" 2>/dev/null) || return 1
	mode=${facts%% *}
	facts=${facts#* }
	case $mode in *[1357]) return 0 ;; esac
	[ -n "$who" ] || return 1
	for each in $who; do
		case ${each%:*} in
			0) continue ;;
			"${facts% *}") case $mode in *[1357]??) continue ;; esac ;;
		esac
		[ "${each#*:}" = "${facts#* }" ] || return 1
		case $mode in *[1357]?) ;; *) return 1 ;; esac
	done
}

fail() {
	rm -rf "$incoming"
	rmdir "${release%/*}" 2>/dev/null
	finish 30
}

unpack() {
	mkdir "$incoming" || die 30 unpack 0
	unwrap "$incoming" || {
		emit problem unpack "$(df -Pk "$a_home" | awk 'NR == 2 { print $4 }')"
		fail
	}
	if ! holds_it "$incoming"; then
		say_difference "$incoming"
		fail
	fi
	set_modes "$incoming" || fail
	settle_all "$incoming"
}

# place_it: the new directory takes its place; what was there goes to the attic, with no instant without either if possible.
place_it() {
	if [ ! -e "$release" ] && [ ! -h "$release" ]; then
		rename "$incoming" "$release" || fail
		return
	fi
	attic=$a_home/attic/$a_bundle-$a_digest-$run.$step
	rm -rf "$attic"
	if exchange "$incoming" "$release"; then
		rename "$incoming" "$attic" || fail
		emit replaced "$attic" exchange
	else
		rename "$release" "$attic" || fail
		rename "$incoming" "$release" || {
			rename "$attic" "$release"
			fail
		}
		emit replaced "$attic" rename
	fi
}

begin
arg seconds 300
deadline "$arg"
arg home
arg bundle
arg digest
arg step
step=$arg
case $a_bundle in '' | .* | */*) die 90 argument-odd bundle ;; esac
case $a_digest in '' | *[!0-9a-f]*) die 90 argument-odd digest ;; esac
case $step in '' | *[!0-9]*) die 90 argument-odd step ;; esac
expect
hold
check_lease
case $run in '' | *[!0-9A-Z]*) die 90 argument-odd run ;; esac
readable "$a_home/releases"
# We have the lock: whoever made these is gone.
rm -rf "$a_home"/releases/.incoming-* "$a_home"/releases/.going-*
release=$a_home/releases/$a_bundle/$a_digest
incoming=$a_home/releases/.incoming-$run-$step
if [ -d "$release" ] && [ ! -h "$release" ] && holds_it "$release"; then
	set_modes "$release"
	emit release "$release"
	finish 10
fi
[ -d "${release%/*}" ] || mkdir "${release%/*}" && chmod 0755 "${release%/*}" || die 30 write "${release%/*}"
unpack
place_it
settle "${release%/*}"
emit release "$release"
finish 0
