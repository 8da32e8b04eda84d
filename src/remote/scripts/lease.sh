# lease: takes, renews or gives back the right to change this node.
#
# Arguments: home  op take|renew|release|break  run  ttl (seconds, 600)
#            break: run and generation are those of the lease that a person takes away from whoever has it
#            holder (take: user@host)  dead (take: a run that the caller knows to have died)  generation (renew, release, break)
# Records:   lease GENERATION LEFT BOOT     it is ours now, for that long
#            those of the lock
# Ends with: 0; 10 a lease given back that was not ours any more; 21; 22.
# A lease ends by its time, in seconds of uptime, with the boot, or when its run is known to be dead. While a guard lives
# nobody takes over: it will put back. A script of the dead run that still works has the kernel lock; one that comes later
# finds another generation.

# The run and generation of the arguments are those of the lease.
ours() {
	[ "$lease_run" = "$run" ] && [ "$lease_generation" = "$generation" ] && [ "$lease_boot" = "$boot" ]
}

# Ends with 21 if another run's lease is valid, and that run is not known to be dead.
yield() {
	arg dead ''
	if [ -n "$lease_run" ] && [ "$lease_boot" = "$boot" ] && [ "$lease_expires" -gt "$uptime" ] && [ "$lease_run" != "$run" ] &&
		[ "$lease_run" != "$arg" ]; then
		say_lease
		finish 21
	fi
}

take() {
	arg holder
	encode "$arg"
	holder=$field
	yield
	if [ "$lease_run" = "$run" ] && [ "$lease_boot" = "$boot" ]; then
		generation=$lease_generation
	else
		if guarded; then
			emit locked guard "$guard_step" "$guard_left"
			finish 21
		fi
		generation=$((lease_generation + 1))
	fi
}

begin
deadline 60
arg home
arg op
op=$arg
arg run
run=$arg
arg generation 0
generation=$arg
arg ttl 600
ttl=$arg
case $generation$ttl in *[!0-9]*) die 90 argument-not-a-number ttl ;; esac
case $run in '' | *[!0-9A-Z]*) die 90 argument-odd run ;; esac
boot
uptime
# The kernel lock is held for as long as a step of that run works: who holds the node can be said without waiting for it, as
# the file changes by rename.
[ "$op" != take ] || { read_lease && yield; }
hold
boot
uptime
read_lease
case $op in
	take) take ;;
	renew)
		ours || {
			say_lease
			finish 21
		}
		holder=$lease_holder
		;;
	release)
		ours || finish 10
		write_lease "$generation" "$run" "$lease_holder" 0
		finish 0
		;;
	break)
		ours || {
			say_lease
			finish 21
		}
		# What the run still does there would be put back by its guard; that comes first.
		if guarded; then
			emit locked guard "$guard_step" "$guard_left"
			finish 21
		fi
		write_lease $((generation + 1)) "$run" "$lease_holder" 0
		finish 0
		;;
	*) die 90 argument-odd op ;;
esac
write_lease "$generation" "$run" "$holder" $((uptime + ttl))
emit lease "$generation" "$ttl" "$boot"
finish 0
