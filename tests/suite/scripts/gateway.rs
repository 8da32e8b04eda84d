//! A scratch node with a gateway just real enough (tests/data/scripts/kong), and the arguments of `activate` for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster::kong::EnvFile;
use muster::name::Digest;
use muster::remote::Script;
use muster::wire::{Args, Receipt, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::speak::{Shell, Talk, call, until};

pub(super) const RUN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// The digest that a release of this text is said to have.
pub(super) fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// One node: kong.conf, a prefix, a Lua root with the plugin `old`, muster's home.
pub(super) struct Node {
    dir: tempfile::TempDir,
    pub(super) conf: PathBuf,
    pub(super) prefix: PathBuf,
    pub(super) root: PathBuf,
    pub(super) home: PathBuf,
    pub(super) generation: u64,
}

impl Node {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let base = dir.path().canonicalize().unwrap();
        let [conf, prefix, root, home] = ["kong.conf", "pre fix", "lua", "home"].map(|name| base.join(name));
        fs::create_dir_all(root.join("kong/plugins/old")).unwrap();
        fs::create_dir(&prefix).unwrap();
        fs::write(root.join("kong/plugins/old/handler.lua"), "old 1\n").unwrap();
        let text = format!("# the node\nplugins = bundled,old\nlua_root = {}\npg_password = s3cret\n", root.display());
        fs::write(&conf, text).unwrap();
        let mut node = Self { dir, conf, prefix, root, home, generation: 0 };
        node.lease(RUN);
        node
    }

    /// The same places in a directory of its own, for a test that lays another filesystem over `home`.
    pub(super) fn at(node: &Self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            dir,
            conf: node.conf.clone(),
            prefix: node.prefix.clone(),
            root: node.root.clone(),
            home: node.home.clone(),
            generation: node.generation,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes the lease for this run, by force if need be: another run's is over then.
    pub(super) fn lease(&mut self, run: &str) {
        let file = self.home.join("state/lease");
        if let Ok(text) = fs::read_to_string(&file) {
            let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("expires")).collect();
            fs::write(&file, lines.join("\n") + "\nexpires 0\n").unwrap();
        }
        let args = Args::new().with("home", self.home.to_str().unwrap()).unwrap();
        let args = args.with("op", "take").unwrap().with("run", run).unwrap().with("holder", "me").unwrap();
        let answer = call(Shell::Dash, Script::Lease, &args, None).ends(Status::Changed);
        self.generation = answer.one("lease")[0].parse().unwrap();
    }

    pub(super) fn cli() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scripts/kong")
    }

    /// Starts the gateway from kong.conf, as its service would; false if it does not come up.
    pub(super) fn start(&self) -> bool {
        let mut command = Command::new(Self::cli());
        command.arg("start").arg("-c").arg(&self.conf).arg("-p").arg(&self.prefix);
        command.stderr(std::process::Stdio::null()).status().unwrap().success()
    }

    /// Pid and start time of the master, if it runs.
    pub(super) fn master(&self) -> Option<(u32, u64)> {
        let pid: u32 = fs::read_to_string(self.prefix.join("pids/nginx.pid")).ok()?.trim().parse().ok()?;
        let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let found = title.starts_with(b"nginx: master process") && !title.is_empty();
        found.then(|| (pid, start_of(pid).unwrap_or(0)))
    }

    /// The workers that live.
    pub(super) fn workers(&self) -> Vec<u32> {
        let names = fs::read_dir(self.prefix.join("served")).into_iter().flatten();
        let pids = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| start_of(*pid).is_some()).collect()
    }

    /// What the workers that live have loaded, each different answer once.
    pub(super) fn served(&self) -> Vec<String> {
        let texts = self.workers().into_iter().filter_map(|pid| {
            let text = fs::read_to_string(self.prefix.join("served").join(pid.to_string())).ok()?;
            (!text.is_empty()).then(|| text.trim().to_owned())
        });
        let mut texts: Vec<_> = texts.collect();
        texts.sort();
        texts.dedup();
        texts
    }

    /// Waits until all workers serve this and nothing else.
    pub(super) fn serves(&self, what: &str) {
        until(&format!("{what} instead of {:?}", self.served()), || self.served() == [what]);
    }

    /// Every process of the node dies at once, as in a power cut; also what looks like a guard of ours.
    pub(super) fn power_cut(&self) {
        let guard = self.guard();
        let master = self.master().map(|(pid, _)| pid);
        for pid in guard.into_iter().chain(master).chain(self.workers()) {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
        }
        until("the master's end", || self.master().is_none());
        let _ = fs::remove_dir_all(self.prefix.join("served"));
        let _ = fs::remove_file(self.prefix.join("pids/nginx.pid"));
    }

    /// A release directory with one plugin, named after its own text.
    pub(super) fn release(&self, bundle: &str, files: &[(&str, &str)], name: &str) -> String {
        let name = digest(name);
        let dir = self.home.join("releases").join(bundle).join(&name);
        for (path, text) in files {
            let file = dir.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        name
    }

    /// A release of the plugin `hello` that says this.
    pub(super) fn hello(&self, says: &str) -> String {
        let text = format!("{says}\n");
        self.release("hello", &[("kong/plugins/hello/handler.lua", text.as_str())], says)
    }

    /// Everything that lies on the node, with content: to see that nothing was touched. Not what scripts write by right:
    /// the lease, which is renewed.
    pub(super) fn picture(&self) -> Vec<String> {
        let out = Command::new("find").arg(self.path()).args(["-printf", "%p %M %l %i %T@\n"]).output().unwrap();
        let mut lines: Vec<_> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.retain(|line| !line.contains("/home/state"));
        lines.sort();
        lines
    }

    fn guard(&self) -> Option<u32> {
        let ready = fs::read_to_string(self.home.join("state/guard/ready")).ok()?;
        let words: Vec<u64> = ready.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [pid, start] = words[..] else { return None };
        let pid = u32::try_from(pid).ok()?;
        (start_of(pid) == Some(start)).then_some(pid)
    }

    /// The guard's process is there.
    pub(super) fn guard_lives(&self) -> bool {
        self.guard().is_some()
    }

    pub(super) fn receipt(&self, step: u32) -> Receipt {
        self.receipt_of(RUN, step)
    }

    pub(super) fn receipt_of(&self, run: &str, step: u32) -> Receipt {
        let file = self.home.join(format!("state/receipts/{run}.{step}"));
        Receipt::parse(&fs::read_to_string(file).unwrap()).unwrap()
    }

    pub(super) fn conf_text(&self) -> String {
        fs::read_to_string(&self.conf).unwrap()
    }

    pub(super) fn env_value(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(self.prefix.join(".kong_env")).unwrap();
        text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(" = ")?.to_owned()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The master leaves when its directory is gone; no need to wait for it, but for nothing to be left.
        if self.master().is_some() {
            self.power_cut();
        }
        if let Some(pid) = self.guard() {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
        }
    }
}

/// The start time of a process that lives.
pub(super) fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit(") ").next()?.split(' ').map(str::to_owned).collect();
    if fields[0] == "Z" { None } else { fields[19].parse().ok() }
}

/// What an `activate` is asked for; the basis is the node as it is when the arguments are made.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) way: &'static str,
    pub(super) run: String,
    pub(super) patience: u32,
    pub(super) plugins: String,
    /// Bundles and what they are switched to, `-` to drop.
    pub(super) switch: Vec<(String, String)>,
    pub(super) roots: Vec<String>,
    pub(super) drops: Vec<String>,
    pub(super) adopts: Vec<String>,
    /// The text of kong.conf afterwards.
    pub(super) conf: Option<String>,
    pub(super) more: Vec<(&'static str, String)>,
}

impl Plan {
    /// Install or upgrade the plugin `hello` to this release.
    pub(super) fn hello(node: &Node, way: &'static str, release: &str) -> Self {
        let old = node.conf_text();
        let new = if old.contains("hello") { old.clone() } else { old.replace("bundled,old", "bundled,old,hello") };
        Self {
            way,
            run: RUN.to_owned(),
            patience: 60,
            plugins: "bundled,old,hello".to_owned(),
            switch: vec![("hello".to_owned(), release.to_owned())],
            roots: vec!["hello kong/plugins/hello".to_owned()],
            drops: Vec::new(),
            adopts: Vec::new(),
            conf: (new != old).then_some(new),
            more: Vec::new(),
        }
    }

    pub(super) fn args(&self, node: &Node) -> Args {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let sha =
            |bytes: std::io::Result<Vec<u8>>| bytes.map_or("-".to_owned(), |bytes| Digest::of(&bytes).to_string());
        let env = fs::read(node.prefix.join(".kong_env"));
        let (pid, start) =
            node.master().map_or(("-".to_owned(), "-".to_owned()), |(p, s)| (p.to_string(), s.to_string()));
        let was = self.switch.iter().map(|(bundle, _)| {
            let link = fs::read_link(node.home.join("current").join(bundle)).ok();
            let name = link.and_then(|link| Some(link.file_name()?.to_str()?.to_owned()));
            format!("{bundle} {}", name.unwrap_or("-".to_owned()))
        });
        let stage = self.switch.iter().filter(|(_, to)| to != "-").map(|(bundle, to)| {
            let dir = text(&node.home.join("releases").join(bundle).join(to));
            format!("{dir}/?.lua;{dir}/?/init.lua;")
        });
        let stage: String = stage.collect();
        let manifest = fs::read_to_string(node.home.join("state/manifest")).unwrap_or_default();
        let generation: u64 =
            manifest.lines().find_map(|line| line.strip_prefix("generation ")?.parse().ok()).unwrap_or(0);
        let pairs = self.switch.iter().map(|(bundle, to)| format!("{bundle} {to}"));
        let content = self.switch.iter().filter(|(_, to)| to != "-").map(|(bundle, to)| format!("{bundle} {to}"));
        let (conf_sha, env_sha) =
            (sha(fs::read(&node.conf)), env.map_or("-".to_owned(), |env| EnvFile::parse(env).digest().to_string()));
        let mut all = vec![
            ("home", text(&node.home)),
            ("conf", text(&node.conf)),
            ("prefix", text(&node.prefix)),
            ("lua_root", text(&node.root)),
            ("cli", Node::cli().to_owned()),
            ("run", self.run.clone()),
            ("step", "1".to_owned()),
            ("generation", node.generation.to_string()),
            ("way", self.way.to_owned()),
            ("plugins", self.plugins.clone()),
            ("stage", stage),
            ("patience", self.patience.to_string()),
            ("conf_sha", conf_sha),
            ("env_sha", env_sha),
            ("master_pid", pid),
            ("master_start", start),
            ("manifest_generation", generation.to_string()),
        ];
        if let Some(new) = &self.conf {
            let (offset, remove, insert) = hunk(fs::read(&node.conf).unwrap_or_default().as_slice(), new.as_bytes());
            all.push(("conf_offset", offset.to_string()));
            all.push(("conf_remove", remove.to_string()));
            all.push(("conf_insert", insert));
            all.push(("conf_after", Digest::of(new.as_bytes()).to_string()));
        }
        for (key, value) in &self.more {
            all.retain(|(old, _)| old != key);
            all.push((key, value.clone()));
        }
        let args = all.iter().fold(Args::new(), |args, (key, value)| args.with(key, value).unwrap());
        let lines = ["muster-manifest 1".to_owned(), format!("generation {}", generation + 1)];
        let args = args.with_list("was", was).unwrap().with_list("switch", pairs).unwrap();
        let args = args.with_list("root", &self.roots).unwrap().with_list("drop", &self.drops).unwrap();
        let args = args.with_list("adopt", &self.adopts).unwrap().with_list("manifest", lines).unwrap();
        args.with_list("content", content).unwrap()
    }

    /// Starts it.
    pub(super) fn talk(&self, node: &Node, shell: Shell, path: Option<&Path>) -> Talk {
        Talk::start(shell, Script::Activate, &self.args(node), path)
    }
}

/// Looks until the reload is proven as muster proves it: idle, the same master, and nobody from before. False: it failed, as
/// the master is idle and nobody new is there; or the answer ended.
pub(super) fn proven(talk: &mut Talk) -> bool {
    loop {
        let Some(proof) = talk.wait_for("proof") else { return false };
        let before = pids(talk, "before");
        let count: usize = proof.number(3).unwrap();
        let mut live = Vec::new();
        for _ in 0..count {
            let Some(worker) = talk.wait_for("worker") else { return false };
            if worker.exact(2) == Some("live") {
                live.push(worker.exact(0).unwrap().to_owned());
            }
        }
        if proof.exact(1) == Some("1") {
            let new = live.iter().any(|pid| !before.contains(pid));
            if !new {
                return false;
            }
            if !live.iter().any(|pid| before.contains(pid)) {
                return true;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        talk.say(b"look\n");
    }
}

fn pids(talk: &Talk, tag: &str) -> Vec<String> {
    let records = talk.seen.iter().filter_map(|item| match item {
        muster::wire::Item::Record(record) if record.tag == tag => Some(record.exact(0)?.to_owned()),
        _ => None,
    });
    records.collect()
}

fn hunk(old: &[u8], new: &[u8]) -> (usize, usize, String) {
    use std::fmt::Write as _;
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut insert = String::new();
    for byte in &new[front..new.len() - back] {
        let _ = write!(insert, "\\0{byte:03o}");
    }
    (front, old.len() - back - front, insert)
}

/// A directory of tools that count their calls and end their caller with kill -9 at the Nth: a death between any two
/// changes. A tool that is `late` does its work first.
pub(super) fn deadly_tools(dir: &Path, at: usize, late: bool) {
    fs::create_dir_all(dir).unwrap();
    for tool in ["mv", "sync", "ln", "rm"] {
        let real =
            ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.is_file()).unwrap();
        let file = dir.join(tool);
        let (real, dir) = (real.display(), dir.display());
        let work = if late { format!("{real} \"$@\"\n") } else { String::new() };
        // The caller may be a subshell: all of its parents that run the same line die with it. The guard is not meant.
        let text = format!(
            r#"#!/bin/sh
line() {{ tr '\0' ' ' <"/proc/$1/cmdline" | grep -c "$2"; }}
[ "$(line $PPID 'guard/script')" = 0 ] || exec {real} "$@"
echo {tool} "$@" >>'{dir}/calls'
if [ "$(wc -l <'{dir}/calls')" -eq {at} ]; then
    {work}
    all= pid=$PPID
    while [ "$(line "$pid" 'IFS= read')" != 0 ]; do
        all="$pid $all"
        pid=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f2)
    done
    kill -9 $all
    exit 1
fi
exec {real} "$@"
"#
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
