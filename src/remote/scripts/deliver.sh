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

# holds_it DIRECTORY: exactly the files announced, and nothing that is no file.
holds_it() {
	actual=$(cd "$1" && sums && find . ! -type f ! -type d) || return 1
	[ "$actual" = "$expected" ]
}

# What is there and was not announced, or is announced and not there: the first such line.
say_difference() {
	first=$({
		printf '%s\n' "$expected"
		cd "$1" && sums && find . ! -type f ! -type d
	} | sort | uniq -u | head -n 1)
	emit problem content "${first#*  ./}"
}

set_modes() {
	find "$1" -type d -exec chmod 0755 {} + && find "$1" -type f -exec chmod 0644 {} +
}

expect() {
	count file
	expected=
	at=0
	while [ "$at" -lt "$count" ]; do
		at=$((at + 1))
		eval "each=\$a_file_$at"
		case $each in
			????????????????????????????????????????????????????????????????\ ?*) ;;
			*) die 90 argument-odd "file_$at" ;;
		esac
		expected="$expected${each%% *}  ./${each#* }$newline"
	done
	[ "$count" -gt 0 ] || die 90 argument-missing file_1
	expected=$(printf %s "$expected" | sort)
}

fail() {
	rm -rf "$incoming"
	rmdir "${release%/*}" 2>/dev/null
	finish 30
}

unpack() {
	mkdir "$incoming" || die 30 unpack 0
	gzip -dc 2>/dev/null | (cd "$incoming" && tar -x -o -f -) 2>/dev/null || {
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
for tool in tar gzip find; do
	has "$tool" || die 22 missing-tool "$tool"
done
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
