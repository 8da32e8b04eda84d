# Kong's unit, where systemd runs: what systemd has of it, and the files that this comes from. Functions alone; the records are
# those at the top of survey.sh.

# find_unit: asks once, for both names that Kong's packages have, and a second time for systemd's own environment. The files are
# sent with the other parts.
find_unit() {
	shown=
	arg systemd /run/systemd/system
	[ -d "$arg" ] && has systemctl || return 0
	set -- systemctl show -p Id -p LoadState -p MainPID -p NeedDaemonReload -p FragmentPath -p DropInPaths -p Environment \
		-p EnvironmentFiles -p UnsetEnvironment kong.service kong-enterprise-edition.service
	# It waits 25 seconds for a systemd that does not answer.
	if has timeout; then set -- timeout 10 "$@"; fi
	shown=$("$@" 2>/dev/null </dev/null) || {
		shown=
		emit no-blob unit unreadable
		return 0
	}
	case $newline$shown$newline in *"${newline}LoadState=loaded$newline"*) ;; *) return 0 ;; esac
	manager=$(systemctl show -p Environment 2>/dev/null </dev/null) || manager=
	printf 'blob unit %s\n%s' "${#shown}" "$shown"
	printf 'blob manager %s\n%s' "${#manager}" "$manager"
	where /etc/systemd/system
	writable=0
	if [ -w "$near" ]; then writable=1; fi
	emit unit-place "$writable"
	unit_files=0
	lines
	for each in $shown; do
		case $each in
			FragmentPath=/* | DropInPaths=/* | EnvironmentFiles=/*) ;;
			*) continue ;;
		esac
		each=${each#*=}
		IFS=$blanks
		for path in ${each%" (ignore_errors="*}; do
			words
			find_unit_file "$path"
			set -f
		done
		IFS=$newline
	done
	words
	# One of ours that systemd has not read: a run died between the two.
	for each in kong.service kong-enterprise-edition.service; do
		each=/etc/systemd/system/$each.d/zz-muster.conf
		case $shown in
			*"$each"*) ;;
			*) [ ! -e "$each" ] || find_unit_file "$each" ;;
		esac
	done
}

# find_unit_file PATH: one of them. A name that is a pattern, or is quoted, is not ours to guess at.
find_unit_file() {
	# shellcheck disable=SC2254 # it is a pattern
	case $1 in $odd_name) return 0 ;; esac
	[ "$unit_files" -lt 64 ] || return 0
	unit_files=$((unit_files + 1))
	where "$1"
	real=$1
	writable=0
	if [ "$kind" = there ]; then
		real "$1"
		if [ -f "$real" ]; then kind=file; else kind=other; fi
		if [ -w "$real" ]; then writable=1; fi
	fi
	emit unit-file "$unit_files" "$kind" "$writable" "$real" "$1"
	[ "$kind" != file ] || part "unit.$unit_files" "$real" 65536
}
