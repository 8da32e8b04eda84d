# delete: the third step of a removal. What is ours of some bundles goes from this node: links, then releases, then what they
# leave empty. It is safe to run again wherever it was ended: what is gone is gone, and the manifest is written last.
#
# Arguments: home conf prefix lua_root
#            run step generation ttl commit    the lease; the commit that was planned from, for the receipt
#            manifest_generation               the basis: 0 for no manifest
#            plugin_N                          the plugins that go: Kong may not be told to load any of them
#            bundle_N                          the bundles that go: their `current` links and releases
#            root_N                            `BUNDLE ROOT`: links of ours that go
#            adopt_N                           `ROOT`: what is there and is not ours goes to the attic
#            manifest_N                        the lines of the new manifest
# Records:   moved WHAT [DETAIL]               the basis does not hold
#            held conf|env FILE PLUGIN         the file still lists the plugin; .kong_env counts while Kong runs: a start makes
#                                              it anew from kong.conf
#            held unreadable FILE              whether it does cannot be read
#            held workers N                    so many old workers still run the old code
#            edited BUNDLE ATTIC               a release was not what its name says; where it is now
#            adopted ROOT ATTIC                what was there was not ours; where it is now
#            did WHAT [NAME]                   what was done, also in the receipt
#            problem delete WHAT               it stopped there; the next run goes on
#            those of the lock
# Ends with: 0; 10 nothing was left; 20, 21, 22 nothing was touched; 30 it could not go on.

held() {
	emit held "$@"
	finish 22
}

# The receipt stays open: the next run closes it, and does what is left.
stuck() {
	emit problem delete "$@"
	finish 30
}

# each_one KEY FUNCTION: calls FUNCTION VALUE for every value of the list KEY.
each_one() {
	count "$1"
	set -- "$1" "$2" 0 "$count"
	while [ "$3" -lt "$4" ]; do
		set -- "$1" "$2" $(($3 + 1)) "$4"
		eval "one=\$a_$1_$3"
		"$2" "$one"
	done
}

# there PATH: something is there, be it a link that leads nowhere.
there() {
	[ -e "$1" ] || [ -h "$1" ]
}

# --- what holds it

# lists FILE PLUGIN: Kong, reading this file, would load the plugin. The rules are Kong's (facts.md A1): the last line counts,
# comments begin at a # without a \ before it, a \ at the end goes on, nothing counts behind a [section].
lists() {
	MUSTER_PLUGIN=$2 awk '
		function trimmed(text) {
			sub(/^[ \t\r\013\014]+/, "", text)
			sub(/[ \t\r\013\014]+$/, "", text)
			return text
		}
		/^[ \t\r\013\014]*([#;]|$)/ { next }
		{
			line = line $0
			if (sub(/\\[ \t\r\013\014]*$/, "", line)) next
			whole = line
			line = ""
			if (substr(whole, 1, 1) == "[") exit
			at = index(whole, "=")
			if (!at || trimmed(substr(whole, 1, at - 1)) != "plugins") next
			directive = substr(whole, at + 1)
			for (i = 1; i <= length(directive); i++) {
				if (substr(directive, i, 1) == "#" && (i == 1 || substr(directive, i - 1, 1) != "\\")) {
					directive = substr(directive, 1, i - 1)
					break
				}
			}
		}
		END {
			count = split(directive, names, ",")
			for (i = 1; i <= count; i++) if (trimmed(names[i]) == ENVIRON["MUSTER_PLUGIN"]) exit 0
			exit 1
		}' "$1"
}

check_plugin() {
	! [ -e "$a_conf" ] || ! lists "$a_conf" "$1" || held conf "$a_conf" "$1"
	[ -z "$runs" ] || ! [ -e "$a_prefix/.kong_env" ] || ! lists "$a_prefix/.kong_env" "$1" || held env "$a_prefix/.kong_env" "$1"
}

# find_running: whether Kong runs, in $runs; where processes cannot be seen it is taken to run.
find_running() {
	runs=yes
	find_master "$a_prefix" "$(readlink -f -- "$a_prefix" || printf %s "$a_prefix")" || [ ! -e /proc/1/stat ] || runs=
}

check_settings() {
	find_running
	for each in "$a_conf" "$a_prefix/.kong_env"; do
		[ ! -e "$each" ] || [ -r "$each" ] || held unreadable "$each"
	done
	each_one plugin check_plugin
}

check_workers() {
	[ -n "$master" ] || return 0
	workers "$master"
	number=0
	for each in $leaving; do number=$((number + 1)); done
	[ "$number" = 0 ] || held workers "$number"
}

# --- the basis

check_root() {
	if there "$a_lua_root/$2" && ! is_ours "$1" "$2"; then
		adopting=
		wanted_root=$2
		each_one adopt may_adopt
		[ -n "$adopting" ] || moved root "$2"
	fi
}

may_adopt() {
	[ "$1" != "$wanted_root" ] || adopting=yes
}

check_bundle() {
	case $1 in '' | .* | */*) die 90 argument-odd bundle ;; esac
}

# --- what is left to do

root_left() {
	! there "$a_lua_root/$2" || left=yes
}

adopt_left() {
	! there "$a_lua_root/$1" || left=yes
}

bundle_left() {
	! there "$a_home/current/$1" && ! there "$a_home/releases/$1" || left=yes
}

# manifest_left: the manifest is not the one that is wanted.
manifest_left() {
	count manifest
	[ "$count" -gt 0 ] || return 0
	wanted_manifest=$(say_manifest && printf x)
	is_manifest=$(cat "$a_home/state/manifest" 2>/dev/null && printf x)
	[ "$is_manifest" = "$wanted_manifest" ] || left=yes
}

check_left() {
	left=
	each_pair root root_left
	each_one adopt adopt_left
	each_one bundle bundle_left
	manifest_left
}

# --- the deed

intend() {
	guard_receipt=$a_home/state/receipts/$run.$step
	begin_receipt || die 30 write "$guard_receipt"
	each_one bundle intend_bundle
	each_pair root intend_root
	each_one adopt intend_adopt
	settle "$guard_receipt" "$a_home/state/receipts"
}

intend_bundle() { note intent delete "$1"; }
intend_root() { note intent drop "$2"; }
intend_adopt() { note intent adopt "$1"; }

# to_attic PATH NAME: it is kept there under a name that is free, which is then in $attic.
to_attic() {
	name=$a_home/attic/$run.$step-$(printf %s "$2" | tr '/' '+')
	attic=$name
	number=1
	while there "$attic"; do
		number=$((number + 1))
		attic=$name-$number
	done
	mv -f -- "$1" "$attic" || stuck attic "$1"
}

drop_link() {
	if is_ours "$1" "$2"; then
		rm -f -- "$a_lua_root/$2" || stuck drop "$2"
		did drop "$2"
	fi
}

adopt_root() {
	there "$a_lua_root/$1" || return 0
	to_attic "$a_lua_root/$1" "$1"
	emit adopted "$a_lua_root/$1" "$attic"
	did adopt "$a_lua_root/$1" "$attic"
}

drop_current() {
	there "$a_home/current/$1" || return 0
	if [ -h "$a_home/current/$1" ]; then
		rm -f -- "$a_home/current/$1" || stuck current "$1"
	else
		to_attic "$a_home/current/$1" "$1"
		emit edited "$1" "$attic"
	fi
	did current "$1"
}

drop_releases() {
	bundle=$1
	for release in "$a_home/releases/$bundle"/* "$a_home/releases/$bundle"/.[!.]*; do
		there "$release" || continue
		if is_release "$release"; then
			drop_release "$bundle" "${release##*/}" || stuck release "$release"
			did release "$bundle" "${release##*/}"
		else
			to_attic "$release" "$bundle-${release##*/}"
			emit edited "$bundle" "$attic"
			did attic "$attic"
		fi
	done
	rmdir "$a_home/releases/$bundle" 2>/dev/null
	! there "$a_home/releases/$bundle" || stuck releases "$bundle"
}

# Directories above a root that nothing is in any more; kong/plugins belongs to everybody.
drop_empty() {
	above=${1%/*}
	while [ "$above" != "$1" ] && [ -n "$above" ]; do
		case $above in kong | kong/plugins) return 0 ;; esac
		rmdir -- "$a_lua_root/$above" 2>/dev/null || return 0
		did rmdir "$above"
		case $above in */*) above=${above%/*} ;; *) return 0 ;; esac
	done
}

drop_empty_of() { drop_empty "$2"; }

begin
deadline 300
for key in home conf prefix lua_root step; do arg "$key"; done
step=$a_step
case $step in '' | *[!0-9]*) die 90 argument-odd step ;; esac
each_one bundle check_bundle
hold
check_lease
case $run in '' | *[!0-9A-Z]*) die 90 argument-odd run ;; esac
guard=$a_home/state/guard
settle_guard
close_receipts
rm -rf "$a_home"/releases/.going-*
check_left
[ -n "$left" ] || finish 10
# What an earlier step had left open is not what the plan saw.
[ "$settled" = nothing ] || moved guard
check_manifest_basis
each_pair root check_root
check_settings
check_workers
# From here on the client may go away: what is begun is done.
trap '' PIPE HUP
intend
each_pair root drop_link
each_one adopt adopt_root
each_one bundle drop_current
settle_all "$a_home" "$a_lua_root"
each_one bundle drop_releases
each_pair root drop_empty_of
each_one adopt drop_empty
settle_all "$a_home" "$a_lua_root"
write_manifest
note result changed
settle "$guard_receipt"
finish 0
