# admin: one HTTP request to one of Kong's faces, made on the node itself: where its sshd forbids forwarding.
#
# Arguments: kind       tcp, or unix
#            to         ADDRESS:PORT, an IPv6 address in brackets; or the path of a socket
#            host       ADDRESS or the path, without port and brackets
#            port       the port; 0 for a socket
#            body       how many bytes the body has
#            seconds    after so long it is given up
# Payload: the request as it goes over the wire: its head with lines ended by CR LF, an empty one, the body. It may hold a
#            token: it stays in this shell and in pipes, and never is an argument, in the environment or in a file.
#
# Records:  by TOOL                       curl or perl
#           blob answer LENGTH            the answer as it came, head and all, in pieces that belong together
# Problems: no-tool                       neither curl nor perl's Socket is there (22: nothing was asked)
#           no-answer TOOL STATUS WHY     no whole answer (30); STATUS with curl's numbers: 7 nothing listens there, 28 too
#                                         slow, 52 closed without a byte, 56 broken off
# Ends with 10.

# Most of an answer, in pieces of a mebibyte: a body of 8 MiB, and its head.
pieces_most=9
# A longer body is not given to curl: a line of its settings may have 100 kB in some versions, and not more.
body_most=60000

cr=$(printf '\r')

# choose: what asks here, in $tool. Before 7.40 curl has no unix sockets.
choose() {
	if has curl && [ "$a_body" -le "$body_most" ] &&
		{ [ "$a_kind" = tcp ] || curl -q -V 2>/dev/null | grep -q UnixSockets; }; then
		tool=curl
	elif has perl && perl -MSocket=:DEFAULT,inet_pton -e 1 2>/dev/null; then
		tool=perl
	else
		die 22 no-tool
	fi
}

# setting NAME VALUE: one line of curl's settings, on stdout.
setting() {
	case $2 in
		*[\\\"]*) printf '%s = "%s"\n' "$1" "$(printf %s "$2" | sed 's/[\\"]/\\&/g')" ;;
		*) printf '%s = "%s"\n' "$1" "$2" ;;
	esac
}

# settings: the request, from stdin, as settings of curl. A body is one line of JSON.
settings() {
	IFS= read -r line
	line=${line%"$cr"}
	setting request "${line%% *}"
	target=${line#* }
	target=${target%% *}
	if [ "$a_kind" = unix ]; then
		setting unix-socket "$a_to"
		setting url "http://localhost$target"
	else
		setting url "http://$a_to$target"
	fi
	while IFS= read -r line; do
		line=${line%"$cr"}
		case $line in
			'') break ;;
			# It counts by itself.
			[Cc]ontent-[Ll]ength:*) ;;
			*) setting header "$line" ;;
		esac
	done
	# Otherwise it would wait for a leave to send the body.
	setting header Expect:
	[ "$a_body" -eq 0 ] || setting data-binary "$(cat)"
}

# ask: the request from stdin, the answer to stdout, with the tool's words and status.
ask() {
	case $tool in
		curl)
			settings | curl -q -sS -i --raw --http1.1 --globoff --path-as-is --noproxy '*' --max-time "$a_seconds" -K -
			;;
		perl)
			# shellcheck disable=SC2016 # perl's variables
			perl -MSocket=:DEFAULT,inet_pton -e '
				use strict;
				my ($kind, $host, $port, $seconds) = @ARGV;
				sub fail { my ($status, $why) = @_; print STDERR "$why\n"; exit $status }
				local $SIG{ALRM} = sub { fail(28, "no whole answer within $seconds s") };
				local $SIG{PIPE} = "IGNORE";
				alarm $seconds;
				my ($family, $to);
				if ($kind eq "unix") { ($family, $to) = (PF_UNIX, Socket::pack_sockaddr_un($host)) }
				elsif ($host =~ /:/) { ($family, $to) = (PF_INET6, Socket::pack_sockaddr_in6($port, inet_pton(PF_INET6, $host))) }
				else { ($family, $to) = (PF_INET, Socket::pack_sockaddr_in($port, inet_aton($host))) }
				socket(my $line, $family, SOCK_STREAM, 0) or fail(7, "no socket: $!");
				connect($line, $to) or fail(7, "$!");
				binmode $_ for \*STDIN, \*STDOUT, $line;
				while (my $some = sysread(STDIN, my $bytes, 65536)) {
					for (my $sent = 0; $sent < $some;) {
						my $more = syswrite($line, $bytes, $some - $sent, $sent);
						# An answer may stand there already: it says why no more is taken.
						defined $more or last;
						$sent += $more;
					}
				}
				my $heard = 0;
				while (1) {
					my $some = sysread($line, my $bytes, 65536);
					defined $some or fail(56, "$!");
					$some or last;
					$heard += $some;
					print STDOUT $bytes;
				}
				close STDOUT;
				$heard or fail(52, "closed without an answer");
			' -- "$a_kind" "$a_host" "$a_port" "$a_seconds"
			;;
	esac
}

# tell: stdin as blobs.
tell() {
	pieces=0
	while [ "$pieces" -lt "$pieces_most" ]; do
		piece=$(head -c 1048576 && printf x)
		piece=${piece%x}
		[ -n "$piece" ] || break
		printf 'blob answer %s\n%s' "${#piece}" "$piece"
		pieces=$((pieces + 1))
	done
}

begin
for key in kind to host port body seconds; do
	arg "$key"
done
case $a_body$a_port$a_seconds in *[!0-9]*) die 90 argument-not-a-number body ;; esac
deadline $((a_seconds + 2))
choose
emit by "$tool"
exec 5>&1
# What the tool says beside the answer, and behind it its status.
said=$({ { ask 2>&4 && status=0 || status=$?; printf '\n%s' "$status" >&4; } | tell >&5; } 4>&1)
status=${said##*"$newline"}
why=${said%"$newline"*}
case $status in
	0) finish 10 ;;
	*) die 30 no-answer "$tool" "$status" "$(printf %s "$why" | head -c 600)" ;;
esac
