//! `survey`: what lies on a node, told in records and read back as facts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use muster::name::{BundlePath, Digest, NodePath};
use muster::remote::Script;
use muster::survey::{Kind, NodeFacts, SurveyDecoder, SurveyRequest};
use muster::wire::{Item, Status};

use super::gateway::{Node, Plan, RUN, digest, proven};
use super::speak::{Answer, Shell, Talk, call, is_there, skip};

fn request(node: &Node, roots: &[&str]) -> SurveyRequest {
    let path = |path: &Path| NodePath::parse(path.to_str().unwrap()).unwrap();
    SurveyRequest {
        conf: path(&node.conf),
        prefix: path(&node.prefix),
        lua_root: path(&node.root),
        home: path(&node.home),
        cli: Some(Node::cli().to_owned()),
        roots: roots.iter().map(|root| BundlePath::parse(root).unwrap()).collect(),
    }
}

fn read(answer: &Answer, request: &SurveyRequest) -> NodeFacts {
    let mut decoder = SurveyDecoder::new(request.clone());
    for item in &answer.items {
        match item {
            Item::Record(record) => decoder.record(record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(name, bytes.clone()).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn look(shell: Shell, node: &Node, roots: &[&str]) -> NodeFacts {
    let request = request(node, roots);
    let answer = call(shell, Script::Survey, &request.args().unwrap(), None).ends(Status::Unchanged);
    read(&answer, &request)
}

/// The same, in the middle of a change.
fn look_now(shell: Shell, node: &Node, roots: &[&str]) -> NodeFacts {
    let request = request(node, roots);
    let args = request.args().unwrap().with("moment", "0").unwrap();
    read(&call(shell, Script::Survey, &args, None).ends(Status::Unchanged), &request)
}

fn root(name: &str) -> BundlePath {
    BundlePath::parse(name).unwrap()
}

#[test]
fn files_are_hashed_whatever_their_names() {
    for shell in Shell::all() {
        let node = Node::new();
        let dir = node.root.join("kong/plugins/odd");
        fs::create_dir_all(dir.join("-rf dir")).unwrap();
        let names: [&[u8]; 9] = [
            b"plain.lua",
            b"-rf",
            b"a b",
            b"new\nline",
            b"back\\slash",
            b"\x1b[31mred\x07",
            b"$(touch owned) `id` \"q\" 'q' ; & |",
            "\u{fc}ber.lua".as_bytes(),
            b"per%41cent",
        ];
        for name in names {
            fs::write(dir.join(OsStr::from_bytes(name)), name).unwrap();
        }
        fs::write(dir.join("-rf dir/x.lua"), "x").unwrap();
        let facts = look(shell, &node, &["kong/plugins/odd"]);
        let found = &facts.roots[&root("kong/plugins/odd")];
        assert_eq!((found.kind, found.cut, found.files.len()), (Kind::Directory, false, 10), "{shell:?}: {found:?}");
        for name in names {
            let shown: String =
                String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            assert_eq!(found.files[&shown].digest, Some(Digest::of(name)), "{shell:?} {shown}");
        }
        assert_eq!(found.files["-rf dir/x.lua"].digest, Some(Digest::of(b"x")));
        assert!(!node.root.join("owned").exists() && !Path::new("owned").exists());
    }
}

#[test]
fn roots_are_told_apart_by_what_they_are() {
    for shell in Shell::all() {
        let node = Node::new();
        let release = node.hello("hello 1");
        fs::create_dir_all(node.root.join("resty")).unwrap();
        fs::write(node.root.join("resty/one.lua"), "one").unwrap();
        fs::set_permissions(node.root.join("resty/one.lua"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink(format!("../releases/hello/{release}"), node.home.join("current/hello")).unwrap();
        let through = node.home.join("current/hello/kong/plugins/hello");
        symlink(&through, node.root.join("kong/plugins/hello")).unwrap();
        symlink("nowhere", node.root.join("kong/plugins/dangling")).unwrap();
        let fifo = node.root.join("kong/plugins/old/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        symlink("missing.lua", node.root.join("kong/plugins/old/broken.lua")).unwrap();
        let names =
            ["kong/plugins/hello", "kong/plugins/dangling", "kong/plugins/old", "kong/plugins/none", "resty/one.lua"];
        let facts = look(shell, &node, &names);
        let at = |name: &str| &facts.roots[&root(name)];
        assert_eq!(at("kong/plugins/hello").kind, Kind::Link);
        assert_eq!(at("kong/plugins/hello").target.as_deref(), through.to_str());
        assert_eq!(at("kong/plugins/hello").files["handler.lua"].digest, Some(Digest::of(b"hello 1\n")));
        assert_eq!((at("kong/plugins/dangling").kind, at("kong/plugins/none").kind), (Kind::Link, Kind::Absent));
        assert_eq!(at("kong/plugins/dangling").target.as_deref(), Some("nowhere"));
        let old = at("kong/plugins/old");
        assert_eq!(
            (old.kind, old.files["fifo"].kind, old.files["broken.lua"].kind),
            (Kind::Directory, Kind::Other, Kind::Link)
        );
        let one = at("resty/one.lua");
        assert_eq!((one.kind, one.files[""].mode), (Kind::File, 0o640), "{shell:?}");
        assert_eq!(one.files[""].digest, Some(Digest::of(b"one")));
        assert!(one.newest > 1_600_000_000 && !one.mount);
        let hello = muster::name::BundleName::parse("hello").unwrap();
        assert_eq!(facts.current[&hello].as_str(), release);
        assert!(facts.releases[&hello].iter().any(|digest| digest.as_str() == release));
    }
}

#[test]
fn odd_targets_of_links_are_read_one_by_one() {
    for shell in Shell::all() {
        let node = Node::new();
        for (name, target) in [("a", "it's \"odd\""), ("b", "two\nlines"), ("c", "x' -> 'y"), ("d", "plain")] {
            symlink(target, node.root.join(name)).unwrap();
        }
        let facts = look(shell, &node, &["a", "b", "c", "d"]);
        let target = |name: &str| facts.roots[&root(name)].target.as_deref().unwrap();
        assert_eq!([target("a"), target("c"), target("d")], ["it's \"odd\"", "x' -> 'y", "plain"], "{shell:?}");
        assert_eq!(target("b"), "two?lines", "{shell:?}");
    }
}

#[test]
fn too_many_files_are_cut_and_said() {
    for shell in Shell::all() {
        let node = Node::new();
        let dir = node.root.join("kong/plugins/many");
        fs::create_dir(&dir).unwrap();
        for i in 0..2100 {
            fs::write(dir.join(format!("{i}.lua")), "").unwrap();
        }
        let facts = look(shell, &node, &["kong/plugins/many", "kong/plugins/old"]);
        assert!(facts.roots[&root("kong/plugins/many")].cut, "{shell:?}");
        assert!(facts.roots[&root("kong/plugins/many")].files.len() <= 2000);
        assert!(!facts.roots[&root("kong/plugins/old")].cut);
        // A root that leads out of itself ends somewhere, too.
        symlink("/usr", node.root.join("kong/plugins/everything")).unwrap();
        let facts = look(shell, &node, &["kong/plugins/everything"]);
        assert!(facts.roots[&root("kong/plugins/everything")].cut, "{shell:?}");
    }
}

#[test]
fn a_running_kong_is_found_and_its_workers_counted() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let node = Node::new();
        let facts = look(shell, &node, &[]);
        assert!(facts.master.is_none());
        assert_eq!(facts.installed_version.as_deref(), Some("3.9.1"), "{shell:?}: asked as it does not run");
        assert!(node.start());
        let facts = look(shell, &node, &[]);
        assert_eq!(facts.installed_version, None);
        let master = facts.master.unwrap();
        assert_eq!(Some(master.process), node.master());
        let mut workers: Vec<_> = master.workers.iter().map(|(pid, _)| *pid).collect();
        let mut live = node.workers();
        workers.sort_unstable();
        live.sort_unstable();
        assert_eq!((workers, master.leaving.len(), master.idle), (live, 0, true), "{shell:?}");
        assert_eq!(master.owner.0, nix::unistd::geteuid().as_raw());
        assert!(master.nofile > 0 && master.cwd.is_some());
        let env = facts.env_file.unwrap();
        assert_eq!(env.open().bytes(), &fs::read(node.prefix.join(".kong_env")).unwrap());
        assert_eq!(facts.conf_file.unwrap().open().bytes(), &fs::read(&node.conf).unwrap());
        assert_eq!(facts.log.path.unwrap().as_str(), node.prefix.join("logs/error.log").to_str().unwrap());
        // A pid file that names somebody else is no running Kong.
        let pid_file = node.prefix.join("pids/nginx.pid");
        let pid = fs::read_to_string(&pid_file).unwrap();
        fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        assert!(look(shell, &node, &[]).master.is_none());
        fs::write(&pid_file, pid).unwrap();
    }
}

#[test]
fn places_are_described_and_absent_ones_too() {
    for shell in Shell::all() {
        let mut node = Node::new();
        let real = node.path().canonicalize().unwrap().join("real.conf");
        fs::rename(&node.conf, &real).unwrap();
        fs::hard_link(&real, node.path().join("second")).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real.conf", &node.conf).unwrap();
        fs::write(&real, "# This file is MANAGED BY Puppet\x1b[2J\nplugins = bundled\n").unwrap();
        node.home = node.path().canonicalize().unwrap().join("not/there");
        let facts = look(shell, &node, &["kong/plugins/old"]);
        assert_eq!((facts.conf.kind, facts.conf.links, facts.conf.mode), (Kind::File, 2, 0o640), "{shell:?}");
        assert_eq!(facts.conf.real.unwrap().as_str(), real.to_str().unwrap());
        assert_eq!(facts.conf_managed.as_deref(), Some("# This file is MANAGED BY Puppet?[2J"));
        assert_eq!((facts.home.kind, facts.home.writable, facts.home.id), (Kind::Absent, true, None));
        assert!(facts.home.free_kib.unwrap() > 0 && facts.prefix.free_kib.unwrap() > 0);
        assert_eq!((facts.prefix.kind, facts.prefix.mount), (Kind::Directory, false));
        assert!(facts.host.clock > 1_600_000_000 && !facts.host.boot.is_empty() && facts.host.proc_visible);
        assert_eq!(facts.host.user.1, nix::unistd::geteuid().as_raw());
        assert!(facts.host.tools.contains("sha256sum"), "{:?}", facts.host.tools);
    }
}

#[test]
fn what_muster_keeps_on_a_node_is_read() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let node = Node::new();
        assert!(node.start());
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "candidate", &release).talk(&node, shell, None);
        assert!(proven(&mut talk));
        let guard = look_now(shell, &node, &[]).guard.unwrap();
        assert_eq!(
            (guard.state.as_str(), guard.step.as_str(), guard.alive),
            ("armed", format!("{RUN}.1").as_str(), true)
        );
        assert!((1..=60).contains(&guard.left), "{guard:?}");
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        for n in 0..6 {
            let text =
                format!("muster-receipt 1\nrun {RUN}\nstep {n}\n{}", if n == 1 { "" } else { "result changed\n" });
            fs::write(node.home.join(format!("state/receipts/01AAAAAAAAAAAAAAAAAAAAAAAA.{n}")), text).unwrap();
        }
        fs::write(
            node.home.join("state/receipts/torn.9"),
            format!("muster-receipt 1\nrun {RUN}\nstep 9\nintent x\ndi"),
        )
        .unwrap();
        let facts = look(shell, &node, &["kong/plugins/hello"]);
        assert!(facts.guard.is_none());
        assert_eq!(facts.manifest.unwrap().unwrap().generation, 1);
        assert_eq!(facts.lease.unwrap().unwrap().run.as_str(), RUN);
        // The newest three, and those that are open.
        let open: Vec<_> = facts.receipts.iter().filter(|receipt| receipt.result.is_none()).map(|r| r.step).collect();
        assert_eq!((open, facts.receipts.len()), (vec![1, 9], 4), "{shell:?}");
        // Deletions name no workers: however many come later, what the workers run stays known.
        for n in 0..5 {
            let text = format!("muster-receipt 1\nrun {RUN}\nstep {n}\nintent delete x\nresult changed\n");
            fs::write(node.home.join(format!("state/receipts/7ZZZZZZZZZZZZZZZZZZZZZZZZZ.{n}")), text).unwrap();
        }
        let facts = look(shell, &node, &[]);
        let proven: Vec<_> = facts.receipts.iter().filter(|receipt| !receipt.workers.is_empty()).collect();
        assert_eq!((proven.len(), proven[0].run.as_str(), proven[0].step), (1, RUN, 1), "{shell:?}");
        assert_eq!(facts.receipts.len(), 5, "{shell:?}: three, of which one is open, another open one, and that one");
        fs::write(node.home.join("state/manifest"), "muster-manifest 9\n").unwrap();
        assert!(look(shell, &node, &[]).manifest.unwrap().is_err());
        fs::write(node.home.join("state/manifest"), "x".repeat(300_000)).unwrap();
        assert_eq!(look(shell, &node, &[]).manifest.unwrap().unwrap_err(), "it is far too long");
    }
}

#[test]
fn rocks_that_own_files_below_the_roots_are_named() {
    let manifest = r#"rock_manifest = {
   ["kong-plugin-x-1.2.0-1.rockspec"] = "0a",
   doc = { ["kong/plugins/x"] = "0b" },
   lua = {
      kong = {
         plugins = {
            x = {
               ["handler.lua"] = "0c",
               ["od\d name%.lua"] = "0d",
               schema = {
                  ["init.lua"] = "0e"
               }
            },
            y = {
               ["handler.lua"] = "0f"
            }
         }
      }
   }
}
"#;
    for shell in Shell::all() {
        let mut node = Node::new();
        let base = node.path().canonicalize().unwrap();
        let root = base.join("share/lua/5.1");
        fs::create_dir_all(&root).unwrap();
        node.root = root;
        for (rock, text) in
            [("kong-plugin-x/1.2.0-1", manifest), ("other/1-1", "rock_manifest = {\n lua = {\n  a = \"1\"\n }\n}\n")]
        {
            let dir = base.join("lib/luarocks/rocks-5.1").join(rock);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("rock_manifest"), text).unwrap();
        }
        let facts = look(shell, &node, &["kong/plugins/x"]);
        assert_eq!(facts.rocks.len(), 1, "{shell:?}: {:?}", facts.rocks);
        assert_eq!((facts.rocks[0].name.as_str(), facts.rocks[0].version.as_str()), ("kong-plugin-x", "1.2.0-1"));
        let files = ["kong/plugins/x/handler.lua", "kong/plugins/x/od\\d name%.lua", "kong/plugins/x/schema/init.lua"];
        assert_eq!(facts.rocks[0].files, BTreeSet::from(files.map(str::to_owned)), "{shell:?}");
        assert_eq!(facts.rocks[0].lua_root().as_deref(), node.root.to_str(), "{shell:?}");
        // The tree that LuaRocks itself looks in is looked at, too, wherever the Lua root is.
        let system = node.path().join("usr/lib/luarocks/rocks-5.1");
        fs::create_dir_all(system.join("kong-x/2-1")).unwrap();
        fs::write(system.join("kong-x/2-1/rock_manifest"), manifest).unwrap();
        let request = request(&node, &["kong/plugins/x"]);
        let args = request.args().unwrap().with("system_rocks", system.to_str().unwrap()).unwrap();
        let facts = read(&call(shell, Script::Survey, &args, None).ends(Status::Unchanged), &request);
        let trees: Vec<(&str, &str)> = facts.rocks.iter().map(|r| (r.name.as_str(), r.tree.as_str())).collect();
        let usr = node.path().join("usr");
        assert_eq!(trees, [("kong-plugin-x", base.to_str().unwrap()), ("kong-x", usr.to_str().unwrap())], "{shell:?}");
    }
}

#[test]
fn a_module_of_ours_in_another_directory_of_the_search_path_is_seen() {
    for shell in Shell::all() {
        let node = Node::new();
        let (early, late) = (node.path().join("opt"), node.path().join("la te"));
        for dir in [&early, &late] {
            fs::create_dir_all(dir.join("kong/plugins/old")).unwrap();
            fs::write(dir.join("kong/plugins/old/handler.lua"), "").unwrap();
        }
        fs::create_dir_all(late.join("resty")).unwrap();
        fs::write(late.join("resty/x.lua"), "").unwrap();
        // The same directory by another name is no other one.
        symlink(&node.root, node.path().join("link")).unwrap();
        let [early, late, link, root, home] =
            [&early, &late, &node.path().join("link"), &node.root, &node.home].map(|path| path.display().to_string());
        let path = format!(
            "{home}/releases/old/x/?.lua;./?.lua;relative/?.lua;{early}/?.lua;{link}/?.lua;{root}/?.lua;{late}/?.lua;;{late}/odd"
        );
        fs::write(node.prefix.join(".kong_env"), format!("plugins = bundled\nlua_package_path = {path}\n")).unwrap();
        let facts = look(shell, &node, &["kong/plugins/old", "resty/x.lua", "kong/plugins/new"]);
        let found: Vec<(usize, &str, &str)> =
            facts.doubles.iter().map(|d| (d.place, d.root.as_str(), d.path.as_str())).collect();
        let handler = |dir: &str| format!("{dir}/kong/plugins/old/handler.lua");
        let (first, second, third) = (handler(&early), handler(&late), format!("{late}/resty/x.lua"));
        let expected =
            [(4, "kong/plugins/old", &*first), (7, "kong/plugins/old", &*second), (7, "resty/x.lua", &*third)];
        assert_eq!(found, expected, "{shell:?}");
    }
}

#[test]
fn a_change_that_is_about_to_end_is_awaited() {
    for shell in Shell::all().into_iter().filter(|_| is_there("perl")) {
        let node = Node::new();
        assert!(node.start());
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "candidate", &release).talk(&node, shell, None);
        assert!(proven(&mut talk));
        talk.hang_up();
        let facts = look(shell, &node, &[]);
        assert!(facts.guard.is_none(), "{shell:?}: {:?}", facts.guard);
        assert_eq!(facts.receipts.last().unwrap().result.as_deref(), Some("undone proved"), "{shell:?}");
    }
}

#[test]
fn looking_changes_nothing() {
    for shell in Shell::all() {
        let node = Node::new();
        let before = node.picture();
        look(shell, &node, &["kong/plugins/old", "kong/plugins/none"]);
        look(shell, &node, &["kong/plugins/old", "kong/plugins/none"]);
        assert_eq!(node.picture(), before, "{shell:?}");
    }
}

#[test]
fn paths_are_never_syntax() {
    for shell in Shell::all() {
        let mut node = Node::new();
        let odd = node.path().canonicalize().unwrap().join("k'o\"n $(touch owned) `id` \\ *");
        fs::create_dir_all(odd.join("kong/plugins/x y")).unwrap();
        fs::write(odd.join("kong/plugins/x y/handler.lua"), "x").unwrap();
        fs::write(odd.join("kong.conf"), "plugins = bundled\n").unwrap();
        node.conf = odd.join("kong.conf");
        node.root.clone_from(&odd);
        node.prefix.clone_from(&odd);
        let facts = look(shell, &node, &["kong/plugins/x y"]);
        assert_eq!(
            facts.roots[&root("kong/plugins/x y")].files["handler.lua"].digest,
            Some(Digest::of(b"x")),
            "{shell:?}"
        );
        assert_eq!(facts.lua_root.real.unwrap().as_str(), odd.to_str().unwrap());
        assert!(facts.conf_file.is_some());
        assert!(!Path::new("owned").exists() && !odd.join("owned").exists());
    }
}

#[test]
fn a_survey_ends_with_its_client() {
    for shell in Shell::all() {
        let node = Node::new();
        let tools = node.path().join("tools");
        fs::create_dir(&tools).unwrap();
        fs::write(tools.join("stat"), "#!/bin/sh\necho $$ >\"${0%/*}/pid\"\nexec sleep 600\n").unwrap();
        fs::set_permissions(tools.join("stat"), fs::Permissions::from_mode(0o755)).unwrap();
        let args = request(&node, &[]).args().unwrap();
        // Once because the client goes, once because the time is up.
        for (args, goes) in [(args.clone(), true), (args.with("seconds", "1").unwrap(), false)] {
            let mut talk = Talk::start(shell, Script::Survey, &args, Some(&tools));
            // The shell makes the file before `echo` writes into it.
            let pid = || fs::read_to_string(tools.join("pid")).ok()?.strip_suffix('\n')?.parse::<i32>().ok();
            super::speak::until("the survey to hang", || pid().is_some());
            if goes {
                talk.hang_up();
            }
            let answer = talk.end();
            assert_eq!(answer.status, None, "{shell:?}: no trailer, so that nobody takes it for whole");
            let pid = nix::unistd::Pid::from_raw(pid().unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            fs::remove_file(tools.join("pid")).unwrap();
        }
    }
}

#[test]
fn an_unreadable_root_is_unknown_and_not_empty() {
    if nix::unistd::geteuid().is_root() {
        skip("root can read everything");
        return;
    }
    for shell in Shell::all() {
        let node = Node::new();
        let dir = node.root.join("kong/plugins/old/secret");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o000)).unwrap();
        let facts = look(shell, &node, &["kong/plugins/old"]);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(facts.roots[&root("kong/plugins/old")].cut, "{shell:?}");
        assert_eq!(digest("x").len(), 64);
    }
}

#[test]
fn what_keeps_a_deadline_goes_with_its_script_however_that_ends() {
    for shell in Shell::all() {
        let node = Node::new();
        let tools = node.path().join("tools");
        fs::create_dir(&tools).unwrap();
        let tool = |name: &str, text: &str| {
            fs::write(tools.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        let real = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|path| Path::new(path).is_file()).unwrap();
        tool("sleep", &format!("echo $$ >>\"${{0%/*}}/sleeps\"\nexec {real} \"$@\""));
        let args = request(&node, &[]).args().unwrap();
        for _ in 0..20 {
            super::speak::call_with(shell, Script::Survey, &args, None, Some(&tools)).ends(Status::Unchanged);
        }
        // And one that is killed in its middle.
        tool("stat", &format!(": >\"${{0%/*}}/hangs\"\nexec {real} 3"));
        let talk = Talk::start(shell, Script::Survey, &args, Some(&tools));
        super::speak::until("the survey to hang", || tools.join("hangs").exists() && tools.join("sleeps").exists());
        talk.kill();
        let begun = std::time::Instant::now();
        let left = || {
            let pids = fs::read_to_string(tools.join("sleeps")).unwrap();
            let title = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            pids.lines().map(title).filter(|title| title.contains("sleep")).collect::<Vec<_>>()
        };
        super::speak::until("the end of all sleeps", || {
            assert!(begun.elapsed().as_secs() < 15, "{shell:?}: {:?}", left());
            left().is_empty()
        });
    }
}

/// A directory of tools that write down their calls.
fn counted_tools(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let tools =
        "stat cat sha256sum sleep find awk sed grep id date mv wc head tail realpath readlink df od tr sort xargs";
    for tool in tools.split(' ') {
        let real =
            ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.is_file()).unwrap();
        let text = format!("#!/bin/sh\necho {tool} >>'{}/calls'\nexec {} \"$@\"\n", dir.display(), real.display());
        fs::write(dir.join(tool), text).unwrap();
        fs::set_permissions(dir.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_look_at_a_usual_node_starts_five_processes() {
    if !is_there("perl") {
        return;
    }
    for shell in Shell::all() {
        let mut node = Node::new();
        // Every field that needs escapes costs three more.
        let prefix = node.prefix.with_file_name("prefix");
        fs::rename(&node.prefix, &prefix).unwrap();
        node.prefix = prefix;
        assert!(node.start());
        let release = node.hello("hello 1");
        let mut talk = Plan::hello(&node, "candidate", &release).talk(&node, shell, None);
        assert!(proven(&mut talk));
        talk.say(b"confirm\n");
        talk.end().ends(Status::Changed);
        let tools = node.path().join("tools");
        counted_tools(&tools);
        let request = request(&node, &["kong/plugins/hello", "kong/plugins/old"]);
        let answer = super::speak::call_with(shell, Script::Survey, &request.args().unwrap(), None, Some(&tools));
        let facts = read(&answer.ends(Status::Unchanged), &request);
        assert!(facts.manifest.is_some() && facts.master.is_some() && facts.receipts.len() == 1);
        assert!(facts.roots[&root("kong/plugins/hello")].files["handler.lua"].digest.is_some());
        let calls = fs::read_to_string(tools.join("calls")).unwrap();
        let mut calls: Vec<_> = calls.lines().collect();
        calls.sort_unstable();
        assert_eq!(calls, ["cat", "sha256sum", "sleep", "stat", "stat"], "{shell:?}");
    }
}

#[test]
fn the_tools_of_busybox_tell_the_same() {
    if !is_there("busybox") {
        return;
    }
    for shell in Shell::all() {
        let node = Node::new();
        let release = node.hello("hello 1");
        symlink(format!("../releases/hello/{release}"), node.home.join("current/hello")).unwrap();
        symlink(node.home.join("current/hello/kong/plugins/hello"), node.root.join("kong/plugins/hello")).unwrap();
        let request = request(&node, &["kong/plugins/hello", "kong/plugins/old", "kong/plugins/none"]);
        let tools = node.path().join("tools");
        fs::create_dir(&tools).unwrap();
        for tool in
            ["stat", "cat", "sha256sum", "sleep", "find", "awk", "sed", "grep", "date", "realpath", "readlink", "xargs"]
        {
            fs::write(tools.join(tool), format!("#!/bin/sh\nexec busybox {tool} \"$@\"\n")).unwrap();
            fs::set_permissions(tools.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut facts = [None, Some(tools.as_path())].map(|path| {
            let answer = super::speak::call_with(shell, Script::Survey, &request.args().unwrap(), None, path);
            read(&answer.ends(Status::Unchanged), &request)
        });
        let [usual, busy] = &mut facts;
        assert_eq!(format!("{:?}", busy.roots), format!("{:?}", usual.roots), "{shell:?}");
        assert_eq!((&busy.current, &busy.releases, &busy.lease), (&usual.current, &usual.releases, &usual.lease));
        for (busy, usual) in [(&busy.conf, &usual.conf), (&busy.home, &usual.home), (&busy.prefix, &usual.prefix)] {
            assert_eq!((&busy.real, busy.id, busy.mode, busy.links), (&usual.real, usual.id, usual.mode, usual.links));
        }
        assert!((busy.host.clock - usual.host.clock).abs() < 60 && busy.conf.free_kib.is_some());
    }
}

#[test]
fn a_file_with_zero_bytes_or_without_an_end_of_line_is_told_alone_or_exactly() {
    for shell in Shell::all() {
        let node = Node::new();
        let env = node.prefix.join(".kong_env");
        fs::write(&env, "a = b").unwrap();
        let facts = look(shell, &node, &[]);
        assert_eq!(facts.env_file.unwrap().open().bytes(), b"a = b", "{shell:?}");
        assert_eq!(facts.conf_file.unwrap().open().bytes(), &fs::read(&node.conf).unwrap());
        fs::write(&env, b"a = \0b\n").unwrap();
        let facts = look(shell, &node, &[]);
        assert!(
            facts.env_file.is_none(),
            "{shell:?}: a shell cannot carry zero bytes, and what it cannot it does not tell"
        );
        assert_eq!(facts.conf_file.unwrap().open().bytes(), &fs::read(&node.conf).unwrap());
    }
}

#[test]
fn whose_the_running_settings_are_and_who_may_read_them_is_told() {
    for shell in Shell::all() {
        let node = Node::new();
        assert_eq!(look(shell, &node, &[]).env_rights, None, "{shell:?}");
        fs::create_dir_all(&node.prefix).unwrap();
        fs::write(node.prefix.join(".kong_env"), "plugins = bundled\n").unwrap();
        fs::set_permissions(node.prefix.join(".kong_env"), fs::Permissions::from_mode(0o604)).unwrap();
        let facts = look(shell, &node, &[]);
        assert_eq!(facts.env_file.unwrap().open().get("plugins").as_deref(), Some("bundled"), "{shell:?}");
        let rights = facts.env_rights.unwrap();
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        assert_eq!((rights.mode, rights.owner), (0o604, (uid, gid)), "{shell:?}");
    }
}

#[test]
fn what_logind_does_to_what_a_login_leaves_is_read_from_its_files_the_last_one_counts() {
    for shell in Shell::all() {
        let node = Node::new();
        let etc = tempfile::tempdir().unwrap();
        let request = request(&node, &[]);
        let kills = || {
            let args = request.args().unwrap().with("systemd", etc.path().to_str().unwrap()).unwrap();
            read(&call(shell, Script::Survey, &args, None).ends(Status::Unchanged), &request).host.kills
        };
        let write = |file: &str, text: &str| {
            let path = etc.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=yes\n");
        assert_eq!(kills(), None, "{shell:?}: there is no systemd");
        fs::create_dir_all(etc.path().join("run/systemd/system")).unwrap();
        assert_eq!(kills(), Some(true), "{shell:?}");
        write(
            "etc/systemd/logind.conf.d/10-lenient.conf",
            "[Login]\n#KillUserProcesses=yes\n KillUserProcesses = no\n",
        );
        assert_eq!(kills(), Some(false), "{shell:?}");
        write("etc/systemd/logind.conf.d/20-odd.conf", "KillUserProcesses=perhaps\n");
        assert_eq!(kills(), None, "{shell:?}: what it says is no answer");
    }
}
