# The prelude of every script that runs on a node. POSIX sh: dash, busybox sh and bash run it.
#
# A script is the prelude, the parts that it shares with others, and its body, in one text (remote/script.rs). It comes on
# stdin behind its length; arguments follow as alternating lines of key and value, ended by an empty line (wire). What
# comes from outside is only ever the value of a variable `a_KEY`: never interpolated, never evaluated, never a format.
#
# Answer: `muster 1 NONCE`, records `tag field...`, `blob NAME LENGTH` and that many bytes, `end NONCE STATUS`.
# STATUS is also the exit status: 0 changed, 10 unchanged, 20 moved, 21 locked, 22 refused, 23 undone, 30 failed, 90 protocol.
#
# Records of the prelude, in any script:
#   problem CODE [FIELD...]    why the script ends as it does; CODE is a stable word
#
# Nothing here runs a login shell, python or anything that a minimal system has not; perl and flock are used where they are.

# Not every script uses every function here (2317), and arguments are variables that `begin` makes (2034, 2154); words such
# as `file` are values here, not commands (2209); `a && b || c` is used where b cannot fail, or c is for both (2015); a
# subshell's variables are its own on purpose (2030, 2031); `ulimit -n` and `-ef` are in dash, busybox and bash (3045, 3013).
# shellcheck disable=SC2317,SC2034,SC2154,SC2209,SC2015,SC2030,SC2031,SC3045,SC3013

set -u
LC_ALL=C
umask 022
# What the caller's PATH has comes first: under sudo it is sudo's, otherwise the user's own, who may run what he likes.
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
# These change what the tools below do or print; an operator's SendEnv must not.
unset CDPATH ENV BASH_ENV TAR_OPTIONS GZIP GREP_OPTIONS QUOTING_STYLE POSIXLY_CORRECT PERL5OPT PERL5LIB BLOCKSIZE DF_BLOCK_SIZE

a_nonce=
a_home=
newline='
'

# begin: reads the arguments and greets. What it does not understand ends it with 90, before the greeting.
begin() {
	while IFS= read -r key && [ -n "$key" ]; do
		IFS= read -r value || exit 90
		# The only text that is ever evaluated: a key, and only one of these letters.
		case $key in *[!a-z0-9_]* | [!a-z]*) exit 90 ;; esac
		eval "a_$key=\$value"
	done
	case $a_nonce in '' | *[!A-Za-z0-9]*) exit 90 ;; esac
	printf 'muster 1 %s\n' "$a_nonce"
}

# arg KEY [DEFAULT]: the argument in $arg; without a default it must be there.
arg() {
	eval "arg=\${a_$1-\$newline}"
	if [ "$arg" = "$newline" ]; then
		[ $# -gt 1 ] || die 90 argument-missing "$1"
		arg=$2
	fi
}

# count KEY: how many values the list KEY has, in $count. A list is KEY_1, KEY_2, ... and KEY_n.
count() {
	arg "$1_n" 0
	case $arg in '' | *[!0-9]* | ???????*) die 90 argument-not-a-number "$1_n" ;; esac
	count=$arg
}

# encode TEXT: the text as one field, in $field. Printable bytes except % stay as they are.
encode() {
	case $1 in
		'') field=% ;;
		*[!!-\$\&-~]*)
			field=$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | tr 'a-f' 'A-F' | sed 's/../%&/g')
			;;
		*) field=$1 ;;
	esac
}

# emit TAG FIELD...: one record.
emit() {
	line=$1
	shift
	for each; do
		case $each in
			'' | *[!!-\$\&-~]*)
				encode "$each"
				line="$line $field"
				;;
			*) line="$line $each" ;;
		esac
	done
	printf '%s\n' "$line"
}

# blob NAME FILE LIMIT: the bytes of a small text file. A file that is longer, or changes while it is read, or has NUL bytes
# is told by `no-blob NAME WHY` instead. One process: the length must be known before the bytes, and the bytes cannot change
# once they are in a variable.
blob() {
	size=$(wc -c <"$2" 2>/dev/null) || size=
	# shellcheck disable=SC2086 # wc pads with blanks
	set -- "$1" "$2" "$3" ${size:-x}
	case $4 in
		x) emit no-blob "$1" unreadable && return 0 ;;
	esac
	if [ "$4" -gt "$3" ]; then
		emit no-blob "$1" long
		return 0
	fi
	bytes=$(head -c "$3" <"$2" 2>/dev/null && printf x) || bytes=x
	bytes=${bytes%x}
	if [ "${#bytes}" -ne "$4" ]; then
		emit no-blob "$1" torn
		return 0
	fi
	printf 'blob %s %s\n%s' "$1" "$4" "$bytes"
}

# finish STATUS: the trailer, and the end.
finish() {
	unwatch
	printf 'end %s %s\n' "$a_nonce" "$1"
	exit "$1"
}

# die STATUS CODE [FIELD...]: says why, and ends.
die() {
	status=$1
	shift
	emit problem "$@"
	finish "$status"
}

# process PID: $state, $parent and $start (clock ticks since boot: with the pid, one process of this boot). 1: it is gone.
process() {
	{ IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	# The name in parentheses may hold anything, so what counts begins behind the last one.
	# shellcheck disable=SC2086 # numbers and one letter
	set -- ${stat##*) }
	[ $# -ge 20 ] || return 1
	state=$1
	parent=$2
	shift 19
	start=$1
}

# alive PID START: the very same process.
alive() {
	process "$1" && [ "$start" = "$2" ] && [ "$state" != Z ]
}

dogs=

# deadline SECONDS: this script does not live longer.
deadline() {
	uptime
	dog $((uptime + 1 + $1)) TERM
}

# dog UPTIME SIGNAL: sends this script a signal at that time, unless it is gone. The dog holds no descriptor of ours, so that
# nobody waits for it, and bites nobody who got our number later. It sleeps for a second at a time and has no trap, so that
# whatever ends it at whatever instant leaves nothing that lives longer than that second.
dog() {
	process $$
	begun=$start
	(
		uptime
		while [ "$uptime" -lt "$1" ]; do
			sleep 1
			alive $$ "$begun" || exit 0
			uptime
		done
		kill "-$2" $$
	) </dev/null >/dev/null 2>&1 9>&- &
	dogs="$dogs $!"
	trap unwatch EXIT
}

# watch: a script that only looks ends when its client is gone, which shows as the end of stdin.
watch() {
	exec 3<&0 </dev/null
	(
		while IFS= read -r _; do :; done
		kill -TERM $$
	) <&3 >/dev/null 2>&1 &
	dogs="$dogs $!"
	exec 3<&-
	trap unwatch EXIT
}

unwatch() {
	# shellcheck disable=SC2086 # a list of our own numbers
	[ -z "$dogs" ] || kill $dogs 2>/dev/null
	dogs=
}

# has TOOL
has() {
	command -v "$1" >/dev/null 2>&1
}

# nap: a short wait between two looks, a tenth of a second where sleep can.
nap() {
	sleep 0.1 2>/dev/null || sleep 1
}

# uptime: seconds since boot, in $uptime. Deadlines are in these: a clock may be set, this cannot.
uptime() {
	read -r uptime _ </proc/uptime
	uptime=${uptime%%.*}
}

# boot: the boot id, in $boot.
boot() {
	boot=unknown
	read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id || boot=unknown
}

# What computes SHA-256 here, in words; all of them print `HASH  NAME` or `HASH *NAME`.
if has sha256sum; then
	summer=sha256sum
elif has shasum; then
	summer='shasum -a 256'
else
	summer='openssl dgst -sha256 -r'
fi

# sum FILE: its SHA-256 in $sum; empty if it cannot be read. The name is not an argument, as tools escape odd ones.
sum() {
	# shellcheck disable=SC2086 # words of ours
	sum=$($summer <"$1") 2>/dev/null || sum=
	sum=${sum%% *}
}

# sums: lines `SHA256  ./PATH` of all files below the current directory, sorted.
sums() {
	# shellcheck disable=SC2086 # words of ours
	find . -type f -exec $summer {} + | sed 's/^\([0-9a-f]*\) \*/\1  /' | sort
}

# settle PATH...: what was written is on the disk. Old systems have only the sync of everything.
settle() {
	sync "$@" 2>/dev/null || sync
}

# settle_all PATH...: everything on the filesystems of these is on the disk.
settle_all() {
	sync -f "$@" 2>/dev/null || sync
}

# rename FROM TO: rename(2), also when TO is a link to a directory, which plain mv would move into.
mv_t=
rename() {
	if [ -z "$mv_t" ]; then
		case $(mv -T /proc/self/none-1 /proc/self/none-2 2>&1) in
			*nvalid* | *nrecognized* | *sage*) mv_t=no ;;
			*) mv_t=yes ;;
		esac
	fi
	if [ "$mv_t" = yes ]; then
		mv -f -T -- "$1" "$2" 2>/dev/null
	else
		perl -e 'exit(rename($ARGV[0], $ARGV[1]) ? 0 : 1)' -- "$1" "$2" 2>/dev/null
	fi
}

# exchange ONE TWO: both names at once (renameat2 with RENAME_EXCHANGE). Kong needs perl, so a node of Kong has it; still,
# 1 means that it could not be done and nothing was. The number of the call depends on the machine perl was built for.
exchange() {
	has perl || return 1
	# shellcheck disable=SC2016 # perl's variables
	perl -e '
		use POSIX ();
		my %wide = (x86_64 => 316, aarch64 => 276, riscv64 => 276, loongarch64 => 276, s390x => 347, ppc64 => 357, ppc64le => 357);
		my %narrow = (i386 => 353, i486 => 353, i586 => 353, i686 => 353, x86_64 => 353, armv6l => 382, armv7l => 382, aarch64 => 382);
		my $machine = (POSIX::uname())[4];
		my $number = (length(pack("p", "")) == 8 ? \%wide : \%narrow)->{$machine} or exit 1;
		my ($one, $two) = @ARGV;
		exit(syscall($number, -100, $one, -100, $two, 2) == 0 ? 0 : 1);
	' -- "$1" "$2" 2>/dev/null
}

# alike FROM TO: TO gets owner, mode, context and attributes of FROM.
alike() {
	if cp -a --attributes-only -- "$1" "$2" 2>/dev/null; then
		touch -c -- "$2"
		return 0
	fi
	owner=$(stat -c %u:%g "$1") && mode=$(stat -c %a "$1") || return 1
	# Only root may give a file away; for anybody else it has the right owner already, or cannot have it.
	chown "$owner" "$2" 2>/dev/null || [ "$(stat -c %u:%g "$2")" = "$owner" ] || return 1
	chmod "$mode" "$2" || return 1
	if has chcon; then
		chcon --reference="$1" "$2" 2>/dev/null || :
	fi
}

# replace NEW FILE: NEW, beside FILE, takes its place, as FILE was in owner and mode.
replace() {
	if [ -e "$2" ]; then
		alike "$2" "$1" || return 1
	fi
	settle "$1"
	rename "$1" "$2"
}
