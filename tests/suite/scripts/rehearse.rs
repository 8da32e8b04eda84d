//! `rehearse`: Kong's own command in a scratch prefix, as the master's user; nothing live is touched and nothing is left.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use muster::name::Digest;
use muster::remote::Script;
use muster::wire::{Args, Item, Status, head};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::gateway::Node;
use super::speak::{Answer, LINE, Shell, Talk, call, is_there, skip, until};

/// A node with settings that run, and a `kong` that does as this script says.
struct Stage {
    node: Node,
    cli: PathBuf,
}

impl Stage {
    fn new(body: &str) -> Self {
        let node = Node::new();
        fs::write(node.prefix.join(".kong_env"), "# do not edit\npg_password = s3cret\nplugins = bundled,old\n")
            .unwrap();
        let cli = node.path().join("kong");
        let seen = node.path().join("seen");
        fs::create_dir(&seen).unwrap();
        fs::set_permissions(&seen, fs::Permissions::from_mode(0o777)).unwrap();
        let text = format!(
            "#!/bin/sh\nS='{}'\necho $$ >\"$S/pid\"\nprintf '%s\\n' \"$@\" >\"$S/args\"\nenv >\"$S/env\"\npwd >\"$S/pwd\"\n\
             stat -c '%a' \"$5\" \"${{5%/*}}\" >\"$S/modes\"\ncat \"$5\" >\"$S/candidate\"\ncat \"$3\" >\"$S/empty\"\n{body}\n",
            seen.display()
        );
        fs::write(&cli, text).unwrap();
        fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
        Self { node, cli }
    }

    fn args(&self) -> Args {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let node = &self.node;
        let args = Args::new().with("home", text(&node.home)).unwrap().with("prefix", text(&node.prefix)).unwrap();
        let args = args.with("conf", text(&node.conf)).unwrap().with("lua_root", text(&node.root)).unwrap();
        let args = args.with("cli", text(&self.cli)).unwrap().with("base", "env").unwrap();
        let args = args.with("plugins", "bundled,old,new#1").unwrap().with("path", "/x/?.lua;./?.lua;;").unwrap();
        args.with("stage", "/r/?.lua;/r/?/init.lua;").unwrap()
    }

    fn seen(&self, what: &str) -> String {
        fs::read_to_string(self.node.path().join("seen").join(what)).unwrap_or_default()
    }

    /// The process that the command was.
    fn pid(&self) -> Option<i32> {
        self.seen("pid").trim().parse().ok()
    }

    #[track_caller]
    fn nothing_left(&self) {
        let names = fs::read_dir(&self.node.home).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_str().unwrap().starts_with(".trial")).collect();
        assert!(left.is_empty(), "{left:?}");
        if let Some(pid) = self.pid() {
            assert!(!lives(pid), "the command goes on");
        }
    }
}

fn rehearse(shell: Shell, args: &Args) -> Answer {
    call(shell, Script::Rehearse, args, None)
}

fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn said(answer: &Answer) -> String {
    let blob = answer.items.iter().find_map(|item| match item {
        Item::Blob { name, bytes } if name == "said" => Some(bytes),
        _ => None,
    });
    String::from_utf8(blob.cloned().unwrap_or_default()).unwrap()
}

/// Everything below a directory, with sizes and times.
fn state(dir: &Path) -> String {
    let out = Command::new("find").arg(dir).args(["-printf", "%P %y %m %s %C@ %T@\n"]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_command_gets_the_settings_that_run_and_ours_before_them_and_nothing_of_the_caller() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("echo parse successful");
        let before = (state(&stage.node.prefix), state(&stage.node.root), fs::read(&stage.node.conf).unwrap());
        let answer = rehearse(shell, &stage.args()).ends(Status::Unchanged);
        assert_eq!((answer.one("trial"), said(&answer).as_str()), (vec!["0".to_owned()], "parse successful\n"));
        let after = (state(&stage.node.prefix), state(&stage.node.root), fs::read(&stage.node.conf).unwrap());
        assert_eq!(before, after, "{shell:?}");
        let args = stage.seen("args");
        let args: Vec<&str> = args.lines().collect();
        assert_eq!((&args[..2], args[3], args.len()), (&["config", "parse"][..], "-c", 5), "{shell:?}");
        assert!(args[2].ends_with("/empty.yml") && args[2].starts_with(stage.node.home.to_str().unwrap()), "{args:?}");
        let env = fs::read_to_string(stage.node.prefix.join(".kong_env")).unwrap();
        assert_eq!(stage.seen("candidate"), env);
        assert_eq!(stage.seen("modes"), "600\n700\n", "who may read the secrets");
        assert_eq!((stage.seen("empty").as_str(), stage.seen("pwd").as_str()), ("_format_version: \"3.0\"\n", "/\n"));
        let env = stage.seen("env");
        let value = |name: &str| env.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        assert_eq!(value("KONG_PLUGINS"), Some("bundled,old,new#1"));
        assert_eq!(value("KONG_DATABASE"), Some("off"));
        assert_eq!(value("KONG_LUA_PACKAGE_PATH"), Some("/r/?.lua;/r/?/init.lua;/x/?.lua;/?.lua;;"));
        assert!(value("KONG_PREFIX").unwrap().starts_with(stage.node.home.to_str().unwrap()));
        let known = ["PATH", "LC_ALL", "HOME", "TMPDIR", "PWD", "SHLVL", "OLDPWD", "_"];
        let names = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        let more: Vec<&str> = names.filter(|name| !known.contains(name) && !name.starts_with("KONG_")).collect();
        assert!(more.is_empty(), "{shell:?}: {more:?}");
        stage.nothing_left();
    }
}

#[test]
fn a_failure_comes_with_what_was_said_and_with_the_names_that_have_no_files() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("printf 'Error: no\\000 \\033[2J\\n' >&2; exit 1");
        let args = stage.args().with("path", "/x/?.lua").unwrap();
        let args = args.with("plugins", "bundled,old,nowhere,$(id),off").unwrap();
        let answer = rehearse(shell, &args).ends(Status::Failed);
        assert_eq!(answer.one("trial"), ["1"]);
        assert_eq!(said(&answer), "Error: no? \u{1b}[2J\n");
        assert_eq!(answer.all("lacks"), [["nowhere"]], "{shell:?}");
        stage.nothing_left();
        let stage = Stage::new("head -c 200000 /dev/zero | tr '\\000' x; exit 3");
        let answer = rehearse(shell, &stage.args()).ends(Status::Failed);
        assert_eq!((answer.one("trial"), said(&answer).len()), (vec!["3".to_owned()], 65536));
        stage.nothing_left();
    }
}

#[test]
fn a_command_that_never_ends_is_ended_with_all_that_it_began() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("trap '' TERM; sleep 300 & echo $! >\"$S/child\"; echo begun; wait; sleep 300");
        let answer = rehearse(shell, &stage.args().with("limit", "1").unwrap()).ends(Status::Failed);
        assert_eq!((answer.one("trial"), said(&answer).as_str()), (vec!["124".to_owned()], "begun\n"));
        stage.nothing_left();
        let child: i32 = stage.seen("child").trim().parse().unwrap();
        until("the end of its child", || !lives(child));
    }
}

#[test]
fn however_the_script_ends_nothing_is_left_and_the_command_ends_with_it() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        for how in ["the client is gone", "TERM", "HUP", "KILL"] {
            let stage = Stage::new("sleep 300");
            let mut talk = Talk::start(shell, Script::Rehearse, &stage.args(), None);
            until("the command", || stage.pid().is_some_and(lives) && !stage.seen("empty").is_empty());
            let pid = Pid::from_raw(i32::try_from(talk.child.id()).unwrap());
            match how {
                "TERM" => kill(pid, Signal::SIGTERM).unwrap(),
                "HUP" => kill(pid, Signal::SIGHUP).unwrap(),
                "KILL" => kill(pid, Signal::SIGKILL).unwrap(),
                _ => talk.hang_up(),
            }
            let left = || {
                fs::read_dir(&stage.node.home)
                    .unwrap()
                    .any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with(".trial"))
            };
            until(&format!("{shell:?} after {how}: nothing is left"), || !left());
            let command = stage.pid().unwrap();
            until(&format!("{shell:?} after {how}: the command's end"), || !lives(command));
            talk.kill();
        }
    }
}

#[test]
fn what_a_dead_one_left_is_removed_and_what_is_in_use_stays() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("exit 0");
        let me = fs::read_to_string("/proc/self/stat").unwrap();
        let start = me.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
        let live = stage.node.home.join(format!(".trial-{}-{start}", std::process::id()));
        let (dead, other) = (stage.node.home.join(".trial-1-1"), stage.node.home.join(".trial-notes"));
        for dir in [&live, &dead, &other] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("candidate"), "pg_password = s3cret\n").unwrap();
        }
        rehearse(shell, &stage.args()).ends(Status::Unchanged);
        assert_eq!((live.exists(), dead.exists(), other.exists()), (true, false, true), "{shell:?}");
    }
}

#[test]
fn where_none_can_be_made_it_says_why() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("exit 0");
        let absent = stage.args().with("cli", "/nowhere/kong").unwrap();
        assert_eq!(rehearse(shell, &absent).ends(Status::Refused).one("problem"), ["no-cli", "/nowhere/kong"]);
        let odd = stage.node.path().join("odd");
        fs::write(&odd, "#!/nowhere/sh\n").unwrap();
        fs::set_permissions(&odd, fs::Permissions::from_mode(0o755)).unwrap();
        let args = stage.args().with("cli", odd.to_str().unwrap()).unwrap();
        assert_eq!(rehearse(shell, &args).ends(Status::Refused).one("problem")[0], "no-cli");
        stage.nothing_left();
        fs::remove_file(stage.node.prefix.join(".kong_env")).unwrap();
        assert_eq!(rehearse(shell, &stage.args()).ends(Status::Refused).one("problem")[0], "no-base");
        stage.nothing_left();
        // Neither place can take a directory: a read-only system, for one.
        let args = stage.args().with("home", stage.node.conf.to_str().unwrap()).unwrap();
        let text = format!("TMPDIR=/nowhere\n{}", Script::Rehearse.text());
        let talk = Talk::start_text(shell, &text, &args, None);
        assert_eq!(talk.end().ends(Status::Refused).one("problem")[0], "no-scratch");
    }
}

#[test]
fn a_stopped_node_is_rehearsed_with_its_conf_and_a_home_that_is_not_there_needs_none() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("exit 0");
        let args = stage.args().with("base", "conf").unwrap().with("home", "/nowhere/muster").unwrap();
        let temp = stage.node.path().join("temp");
        fs::create_dir(&temp).unwrap();
        fs::set_permissions(&temp, fs::Permissions::from_mode(0o777)).unwrap();
        let text = format!("TMPDIR='{}'\n{}", temp.display(), Script::Rehearse.text());
        Talk::start_text(shell, &text, &args, None).end().ends(Status::Unchanged);
        assert_eq!(stage.seen("candidate"), stage.node.conf_text(), "{shell:?}");
        assert!(stage.seen("args").contains(temp.to_str().unwrap()), "{shell:?}");
        assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
        assert!(!Path::new("/nowhere").exists());
    }
}

/// Starts something that looks like a master with a worker of another user, and gives it.
fn master_with_worker(node: &Node, worker: u32) -> std::process::Child {
    let title = format!("nginx: master process /usr/bin/nginx -p {} -c nginx.conf", node.prefix.display());
    let code = r#"
        use POSIX ();
        my ($title, $pids, $uid) = @ARGV;
        my $child = fork;
        if (!$child) { $0 = "nginx: worker process"; $) = "$uid $uid"; POSIX::setgid($uid); POSIX::setuid($uid); sleep 1 while getppid != 1 }
        chdir "/usr";
        $0 = $title;
        open my $file, ">", $pids or die; print $file "$$\n"; close $file;
        $SIG{TERM} = sub { kill "KILL", $child; exit };
        sleep 1 while 1;
    "#;
    fs::create_dir_all(node.prefix.join("pids")).unwrap();
    let pids = node.prefix.join("pids/nginx.pid");
    let child =
        Command::new("perl").arg("-e").arg(code).arg(&title).arg(&pids).arg(worker.to_string()).spawn().unwrap();
    until("the master", || node.master().is_some());
    child
}

#[test]
fn permission_for_the_workers_user_is_looked_at_where_the_master_is_root() {
    if !is_there("perl") || !nix::unistd::geteuid().is_root() {
        skip("only root can be a master whose workers are somebody else");
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("exit 0");
        let lib = stage.node.root.join("kong/plugins/old/lib.lua");
        fs::write(&lib, "return {}\n").unwrap();
        let mut master = master_with_worker(&stage.node, 65534);
        let root = stage.node.root.display();
        let args = stage.args().with("path", format!("{root}/?.lua;./?.lua;;")).unwrap();
        let args = args.with_list("plugin", ["old"]).unwrap();
        rehearse(shell, &args).ends(Status::Unchanged);
        // What counts from the directory of the master is there for the command, too.
        let path = stage.seen("env");
        assert!(path.contains(&format!("{root}/?.lua;/usr/?.lua;;\n")), "{shell:?}: {path}");
        fs::set_permissions(&lib, fs::Permissions::from_mode(0o600)).unwrap();
        let answer = rehearse(shell, &args).ends(Status::Failed);
        assert_eq!(answer.one("unreadable"), ["65534".to_owned(), lib.display().to_string()], "{shell:?}");
        assert_eq!(answer.one("trial"), ["0"], "the master loads it");
        kill(Pid::from_raw(i32::try_from(master.id()).unwrap()), Signal::SIGTERM).unwrap();
        master.wait().unwrap();
        stage.nothing_left();
    }
}

/// Two bundles that come as payload: the arguments, and the archive.
fn content(args: &Args) -> (Args, Vec<u8>) {
    let files = [
        ("acme/kong/plugins/acme/handler.lua", "return {}\n"),
        ("acme/kong/plugins/acme/a b 'c'.txt", "blanks\n"),
        ("geo.ip/kong/plugins/geo/handler.lua", "return { 1 }\n"),
    ];
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o6700);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    let list = files.iter().map(|(path, text)| format!("{} {path}", Digest::of(text.as_bytes())));
    let args = args.clone().with("stage", "").unwrap().with_list("content", ["geo.ip", "acme"]).unwrap();
    (args.with_list("file", list).unwrap(), gzip.finish().unwrap())
}

#[test]
fn content_that_comes_along_is_loaded_from_the_scratch_directory_and_is_gone_with_it() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let list = "find \"${5%/*}/content\" -printf '%P %m\\n' | sort >\"$S/content\"; sleep 1.5";
        let stage = Stage::new(list);
        let before = (state(&stage.node.prefix), state(&stage.node.root), state(&stage.node.home));
        let (args, payload) = content(&stage.args());
        let answer = call(shell, Script::Rehearse, &args, Some(&payload)).ends(Status::Unchanged);
        let at = answer.one("content").remove(0);
        assert!(at.starts_with(stage.node.home.to_str().unwrap()) && at.ends_with("/content"), "{at}");
        assert!(!answer.all("alive").is_empty(), "{shell:?}: it says that it lives: {answer:?}");
        let env = stage.seen("env");
        let path = format!(
            "KONG_LUA_PACKAGE_PATH={at}/geo.ip/?.lua;{at}/geo.ip/?/init.lua;{at}/acme/?.lua;{at}/acme/?/init.lua;/x/?.lua;"
        );
        assert!(env.contains(&path), "{shell:?}: {env}");
        let seen = stage.seen("content");
        for line in
            ["acme/kong/plugins/acme/handler.lua 644", "acme/kong/plugins/acme/a b 'c'.txt 644", "geo.ip/kong 755"]
        {
            assert!(seen.lines().any(|each| each == line), "{shell:?}: {line}: {seen}");
        }
        stage.nothing_left();
        let home = |text: String| text.lines().filter(|line| !line.starts_with(' ')).collect::<Vec<_>>().join("\n");
        let after = (state(&stage.node.prefix), state(&stage.node.root), state(&stage.node.home));
        // The directory itself has another time; nothing in it has.
        assert_eq!((&before.0, &before.1, home(before.2)), (&after.0, &after.1, home(after.2)), "{shell:?}");
    }
}

#[test]
fn content_that_is_not_what_was_announced_is_not_tried() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let stage = Stage::new("exit 0");
        let (args, payload) = content(&stage.args());
        for (what, bytes, problem) in [
            ("torn", &payload[..payload.len() / 2], "unpack"),
            ("none", &b""[..], "unpack"),
            ("noise", &b"no archive at all"[..], "unpack"),
        ] {
            let answer = call(shell, Script::Rehearse, &args, Some(bytes)).ends(Status::Failed);
            assert_eq!(answer.one("problem")[0], problem, "{shell:?} {what}");
            assert!(stage.pid().is_none(), "{shell:?} {what}: it was tried");
            stage.nothing_left();
        }
        let other = args.clone().with_list("file", [format!("{} acme/x.lua", Digest::of(b"x"))]).unwrap();
        let answer = call(shell, Script::Rehearse, &other, Some(&payload)).ends(Status::Failed);
        assert_eq!(answer.one("problem")[0], "content", "{shell:?}");
        for name in ["../acme", ".acme", "a/b", "a;b", "a?"] {
            let odd = args.clone().with_list("content", [name]).unwrap();
            let answer = call(shell, Script::Rehearse, &odd, Some(&payload)).ends(Status::Protocol);
            assert_eq!(answer.one("problem")[0], "argument-odd", "{shell:?} {name}");
        }
        assert!(stage.pid().is_none(), "{shell:?}: it was tried");
        stage.nothing_left();
    }
}

#[test]
fn with_content_too_nothing_is_left_however_it_ends() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        for how in ["nobody takes the answer", "TERM", "KILL"] {
            let stage = Stage::new("sleep 300");
            let (args, payload) = content(&stage.args());
            let mut command = shell.command();
            command.arg("-c").arg(LINE).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&head(Script::Rehearse.text(), &args.with("nonce", "N0").unwrap())).unwrap();
            stdin.write_all(&payload).unwrap();
            drop(stdin);
            until("the command", || stage.pid().is_some_and(lives) && !stage.seen("empty").is_empty());
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            match how {
                "TERM" => kill(pid, Signal::SIGTERM).unwrap(),
                "KILL" => kill(pid, Signal::SIGKILL).unwrap(),
                _ => drop(child.stdout.take()),
            }
            let left = || {
                let names = fs::read_dir(&stage.node.home).unwrap().map(|entry| entry.unwrap().file_name());
                names.filter(|name| name.to_str().unwrap().starts_with(".trial")).count() > 0
            };
            until(&format!("{shell:?} after {how}: nothing is left"), || !left());
            let command = stage.pid().unwrap();
            until(&format!("{shell:?} after {how}: the command's end"), || !lives(command));
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
}
