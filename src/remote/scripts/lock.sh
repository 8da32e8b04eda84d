# What every script that changes a node does first: muster's directory, the kernel lock, the lease (protocols.md A, "Lease").
#
# Records: problem home-unusable PATH
#          problem no-lock                       neither flock nor perl is here
#          locked HOLDER RUN LEFT                another run's lease, seconds left
#          locked script % 0                     another script of ours runs on the node
#          locked guard STEP LEFT                a guard is armed and alive

# A lease in words of $lease_generation, $lease_run, $lease_holder, $lease_boot, $lease_expires; all empty without one.
read_lease() {
	lease_generation=0
	lease_run=
	lease_holder=
	lease_boot=
	lease_expires=0
	[ -e "$a_home/state/lease" ] || return 0
	read -r first <"$a_home/state/lease" || first=
	[ "$first" = 'muster-lease 1' ] || die 22 unknown-format "$a_home/state/lease"
	while read -r name value; do
		case $name in
			generation) lease_generation=$value ;;
			run) lease_run=$value ;;
			holder) lease_holder=$value ;;
			boot) lease_boot=$value ;;
			expires) lease_expires=$value ;;
		esac
	done <"$a_home/state/lease"
	case $lease_generation$lease_expires in *[!0-9]*) die 22 unknown-format "$a_home/state/lease" ;; esac
}

# write_lease GENERATION RUN HOLDER EXPIRES: HOLDER as a field.
write_lease() {
	printf '%s\n' 'muster-lease 1' "generation $1" "run $2" "holder $3" "boot $boot" "expires $4" |
		put "$a_home/state/lease" || die 30 write "$a_home/state/lease"
}

# put FILE: stdin becomes the file, at once or not at all.
put() {
	cat >"$1.new" && settle "$1.new" && rename "$1.new" "$1" || {
		rm -f "$1.new"
		return 1
	}
}

# hold: makes muster's directories and takes the kernel lock, for as long as this process lives. It is never inherited: every
# child that may outlive us gets 9>&-.
hold() {
	for each in "$a_home" "$a_home/releases" "$a_home/current"; do
		[ -d "$each" ] || mkdir -p "$each" 2>/dev/null && chmod 0755 "$each" 2>/dev/null || [ -d "$each" ] || die 22 home-unusable "$each"
	done
	for each in state state/receipts attic; do
		[ -d "$a_home/$each" ] || mkdir -m 0700 "$a_home/$each" 2>/dev/null || [ -d "$a_home/$each" ] ||
			die 22 home-unusable "$a_home/$each"
	done
	# A failing exec would end the shell without a word.
	(: >>"$a_home/state/lock") 2>/dev/null || die 22 home-unusable "$a_home/state/lock"
	exec 9>>"$a_home/state/lock"
	uptime
	until=$((uptime + 10))
	until try_lock; do
		uptime
		[ "$uptime" -lt "$until" ] || { emit locked script '' 0 && finish 21; }
		nap
	done
}

try_lock() {
	if has flock; then
		flock -n 9
	elif has perl; then
		# The lock belongs to the open file, which this shell keeps open when perl has gone.
		perl -e 'use Fcntl ":flock"; open(my $lock, ">>&=", 9) or exit 1; exit(flock($lock, LOCK_EX | LOCK_NB) ? 0 : 1)'
	else
		die 22 no-lock
	fi 2>/dev/null
}

# guarded: a guard is armed, or still putting back, and its process lives; $guard_step and $guard_left say which and how long.
guarded() {
	if [ ! -e "$a_home/state/guard/armed" ]; then
		[ -e "$a_home/state/guard/fired" ] && [ ! -e "$a_home/state/guard/done" ] || return 1
	fi
	guard_step=-
	guard_left=0
	pid=
	begun=
	{ read -r pid begun _ <"$a_home/state/guard/ready"; } 2>/dev/null
	[ -n "$pid" ] && alive "$pid" "$begun" || return 1
	while read -r name value; do
		case $name in
			step) guard_step=$value ;;
			deadline) guard_left=$((value - uptime)) ;;
		esac
	done 2>/dev/null <"$a_home/state/guard/facts"
	return 0
}

# check_lease: the lease is still this run's (arguments run, generation), else 21. Renews it by `ttl` seconds (600).
check_lease() {
	arg run
	run=$arg
	arg generation
	generation=$arg
	boot
	uptime
	read_lease
	if [ "$lease_run" != "$run" ] || [ "$lease_generation" != "$generation" ] || [ "$lease_boot" != "$boot" ]; then
		say_lease
		finish 21
	fi
	arg ttl 600
	write_lease "$generation" "$run" "$lease_holder" $((uptime + arg))
}

say_lease() {
	left=$((lease_expires - uptime))
	[ "$lease_boot" = "$boot" ] && [ "$left" -gt 0 ] || left=0
	line="locked ${lease_holder:-%} ${lease_run:-%} $left"
	case $line in *[!\ -~]*) line="locked ? ? $left" ;; esac
	printf '%s\n' "$line"
}
