# The content of bundles: a tar.gz on stdin, of exactly the files that the arguments announce.
#
# Arguments: file_N                        `SHA256 PATH`: exactly these files
# Records:   problem missing-tool NAME
#            problem content PATH          a file is not what was announced, or one too many

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

# expect: what is announced, in $expected; and what is needed to unpack it is there.
expect() {
	for tool in tar gzip find; do
		has "$tool" || die 22 missing-tool "$tool"
	done
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

# unwrap DIRECTORY: what comes on stdin, below it.
unwrap() {
	gzip -dc 2>/dev/null | (cd "$1" && tar -x -o -f -) 2>/dev/null
}
