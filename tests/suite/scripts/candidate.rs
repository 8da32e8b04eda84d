//! `candidate`: what a node's own CLI would make of what runs; nothing of the node is touched, and nothing is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster::remote::Script;
use muster::survey::{CandidateDecoder, CandidateFacts};
use muster::wire::{Args, Item, Status};

use super::gateway::Node;
use super::speak::{Answer, Shell, Talk, call, until};

/// A node that runs, and a directory for what the script prepares.
struct Bench {
    node: Node,
    scratch: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let node = Node::new();
        let scratch = node.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).unwrap();
        Self { node, scratch }
    }

    fn started() -> Self {
        let bench = Self::new();
        assert!(bench.node.start());
        bench.node.serves("old=old 1");
        bench
    }

    /// Starts the gateway with a template of its own for nginx.conf.
    fn with_template(text: &str) -> Self {
        let bench = Self::new();
        let template = bench.node.path().join("template");
        fs::write(&template, text).unwrap();
        let (conf, prefix) = (&bench.node.conf, &bench.node.prefix);
        let mut command = Command::new(Node::cli());
        command.arg("start").arg("-c").arg(conf).arg("-p").arg(prefix).arg("--nginx-conf").arg(template);
        assert!(command.status().unwrap().success());
        bench.node.serves("old=old 1");
        bench
    }

    /// A `kong` that does this around the real one, `$0` being that.
    fn cli(&self, text: &str) -> PathBuf {
        let path = self.node.path().join("kong");
        fs::write(&path, format!("#!/bin/sh\nkong='{}'\n{text}\n", Node::cli())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn args(&self, cli: &Path, from: &str) -> Args {
        let all = [
            ("prefix", self.node.prefix.to_str().unwrap()),
            ("cli", cli.to_str().unwrap()),
            ("scratch", self.scratch.to_str().unwrap()),
            ("from", from),
        ];
        all.into_iter().fold(Args::new(), |args, (key, value)| args.with(key, value).unwrap())
    }

    fn nothing_is_left(&self) {
        until("the directory of the script is gone", || fs::read_dir(&self.scratch).unwrap().next().is_none());
    }

    fn look(&self, shell: Shell, cli: &Path, from: &str) -> (Answer, CandidateFacts) {
        let before = self.node.picture();
        let answer = call(shell, Script::Candidate, &self.args(cli, from), None).ends(Status::Unchanged);
        self.nothing_is_left();
        let kept =
            |lines: Vec<String>| lines.into_iter().filter(|line| !line.contains("/scratch ")).collect::<Vec<_>>();
        assert_eq!(kept(self.node.picture()), kept(before), "the node was touched");
        let mut decoder = CandidateDecoder::new();
        for item in &answer.items {
            if let Item::Record(record) = item {
                decoder.record(record).unwrap();
            }
        }
        let facts = decoder.finish(&[]).unwrap();
        (answer, facts)
    }
}

fn names(set: &std::collections::BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[test]
fn a_cli_that_makes_the_same_files_is_seen_to_do_so_and_nothing_is_touched() {
    let bench = Bench::started();
    for shell in Shell::all() {
        let (_, found) = bench.look(shell, Path::new(Node::cli()), "env");
        assert_eq!(found.prepared.as_ref().map(|(code, _)| *code), Some(0), "{found:?}");
        assert!(found.keys.is_empty() && found.files.is_empty() && found.cli && found.becomes, "{found:?}");
        assert_eq!((found.version.as_deref(), found.limit), (Some("3.9.1"), None));
        assert_eq!(found.staged, ["nginx-kong.conf"]);
        assert!(found.nginx.is_some() && !found.stopped);
    }
}

#[test]
fn a_template_of_ones_own_is_seen_as_a_file_that_would_change() {
    let bench = Bench::with_template("include 'nginx-kong.conf';\nserver { listen 9; }\n");
    for shell in Shell::all() {
        let (_, found) = bench.look(shell, Path::new(Node::cli()), "env");
        assert_eq!((names(&found.files), names(&found.keys)), (vec!["nginx.conf"], vec![]));
        assert_eq!(found.staged, ["nginx-kong.conf"]);
    }
}

#[test]
fn a_template_that_does_not_read_kongs_file_has_its_own_search_path_or_none() {
    let own = Bench::with_template("http {\n  lua_package_path '/x/?.lua;;';\n}\n");
    assert_eq!(own.look(Shell::Dash, Path::new(Node::cli()), "env").1.staged, ["nginx.conf"]);
    let none = Bench::with_template("http {\n}\n");
    assert!(none.look(Shell::Dash, Path::new(Node::cli()), "env").1.staged.is_empty());
}

#[test]
fn another_key_is_named_and_its_value_is_not() {
    let bench = Bench::started();
    let cli = bench.cli(
        r#""$kong" "$@" || exit
[ "$1" = prepare ] || exit 0
printf 'new_key = hunter2\nODD key = hunter2\n' >>"$5/.kong_env""#,
    );
    for shell in Shell::all() {
        let (answer, found) = bench.look(shell, &cli, "env");
        assert_eq!(names(&found.keys), ["new_key", "odd"]);
        assert!(!format!("{answer:?}").contains("hunter2") && !format!("{answer:?}").contains("s3cret"));
    }
}

#[test]
fn a_cli_that_says_no_is_heard_and_one_that_is_missing_is_told() {
    let bench = Bench::started();
    let no = bench.cli(r#"[ "$1" != prepare ] || { echo "Error: it will not" >&2; exit 3; }; exec "$kong" "$@""#);
    for shell in Shell::all() {
        let (_, found) = bench.look(shell, &no, "env");
        assert_eq!(found.prepared, Some((3, "Error: it will not".to_owned())));
        let (_, found) = bench.look(shell, Path::new("/no/such/kong"), "env");
        assert!(!found.cli && found.prepared.is_none() && found.nginx.is_some());
        let (_, found) = bench.look(shell, Path::new(Node::cli()), "none");
        assert!(found.cli && found.prepared.is_none() && found.version.is_some());
    }
}

#[test]
fn the_live_prefix_is_not_prepared_even_by_a_cli_that_is_told_otherwise() {
    let bench = Bench::started();
    // What it is called with is what it works on; the file that it gets says the same.
    let cli = bench.cli(
        r#"[ "$1" != prepare ] || { sed -n 's/^prefix = //p' "$3" | tail -n 1; echo "$5"; stat -c %a "$3" "${3%/*}"; exit 9; }
exec "$kong" "$@""#,
    );
    let (answer, _) = bench.look(Shell::Dash, &cli, "env");
    let said = answer.one("prepared")[1].clone();
    let lines: Vec<&str> = said.split('?').collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0].starts_with(bench.scratch.to_str().unwrap()), "{said}");
    assert_eq!(&lines[2..4], ["600", "700"]);
}

#[test]
fn a_node_that_does_not_run_is_told_and_no_cli_is_run() {
    let bench = Bench::new();
    let cli = bench.cli("touch \"$0.ran\"");
    for shell in Shell::all() {
        assert!(bench.look(shell, &cli, "env").1.stopped);
        assert!(!cli.with_extension("ran").exists());
    }
}

#[test]
fn what_it_prepared_is_gone_however_it_ends() {
    for shell in Shell::all() {
        let bench = Bench::started();
        let cli = bench.cli("case $1 in prepare) echo $$ >\"$0.pid\"; exec sleep 60 ;; esac; exec \"$kong\" \"$@\"");
        let pid = cli.with_extension("pid");
        let begun = || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'));
        // The client goes away.
        let mut talk = Talk::start(shell, Script::Candidate, &bench.args(&cli, "env"), None);
        until("the CLI runs", begun);
        talk.hang_up();
        bench.nothing_is_left();
        assert_ne!(talk.end().status, Some(Status::Unchanged));
        let process = fs::read_to_string(&pid).unwrap();
        until("the CLI is ended", || !Path::new("/proc").join(process.trim()).join("exe").exists());
        // The CLI takes too long.
        let args = bench.args(&cli, "env").with("cli_seconds", "1").unwrap();
        let answer = call(shell, Script::Candidate, &args, None).ends(Status::Unchanged);
        assert_ne!(answer.one("prepared")[0], "0");
        bench.nothing_is_left();
        // The script takes too long.
        let args = bench.args(&cli, "env").with("seconds", "1").unwrap();
        assert_eq!(call(shell, Script::Candidate, &args, None).status, None);
        bench.nothing_is_left();
    }
}

#[test]
fn a_limit_that_cannot_be_had_is_told_and_nothing_is_prepared() {
    let bench = Bench::started();
    let cli = bench.cli("touch \"$0.ran\"");
    for shell in Shell::all() {
        // As a login that may open fewer files than the master, and may not raise that: a `ulimit` that says no.
        let text = Script::Candidate.text().replace("$(ulimit -n)", "$(echo 77)");
        let answer = Talk::start_text(shell, &text, &bench.args(&cli, "env"), None).end().ends(Status::Unchanged);
        assert!(answer.one("limit")[0].parse::<u64>().unwrap() > 77);
        assert!(!cli.with_extension("ran").exists());
        bench.nothing_is_left();
    }
}
