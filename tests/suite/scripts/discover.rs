//! `discover` and `collect`: which Kongs there are, where their plugins may be, and the bytes of those; and nothing else, ever.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use muster::name::{BundlePath, Digest, NodePath};
use muster::remote::Script;
use muster::survey::{
    CollectDecoder, CollectRequest, Collected, DiscoverRequest, Discovery, DiscoveryDecoder, FoundRoot, Kind, Withheld,
};
use muster::wire::{Item, Status};

use super::gateway::Node;
use super::speak::{Answer, Shell, call};

fn path(path: &Path) -> NodePath {
    NodePath::parse(path.to_str().unwrap()).unwrap()
}

fn looked(shell: Shell, prefixes: &[&Path], confs: &[&Path], roots: &[&Path]) -> Discovery {
    let paths = |all: &[&Path]| all.iter().map(|one| path(one)).collect();
    let request = DiscoverRequest { prefixes: paths(prefixes), confs: paths(confs), lua_roots: paths(roots) };
    let answer = call(shell, Script::Discover, &request.args().unwrap(), None).ends(Status::Unchanged);
    let mut decoder = DiscoveryDecoder::default();
    for item in answer.items {
        match item {
            Item::Record(record) => decoder.record(&record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn root<'a>(found: &'a Discovery, dir: &Path) -> &'a FoundRoot {
    found.kongs[0].lua_roots.iter().find(|root| root.path.as_str() == dir.to_str().unwrap()).unwrap()
}

#[test]
fn a_kong_is_found_by_the_title_of_its_master_with_its_search_path_and_what_lies_there() {
    for shell in Shell::all() {
        let node = Node::new();
        assert!(node.start());
        let other = node.path().join("other lua");
        fs::create_dir_all(other.join("kong/plugins/lib")).unwrap();
        let old = fs::read_to_string(node.prefix.join(".kong_env")).unwrap();
        let kept: Vec<&str> = old.lines().filter(|line| !line.starts_with("lua_package_path")).collect();
        let declared = node.path().join("kong.yml");
        fs::write(&declared, "_format_version: \"3.0\"\n").unwrap();
        let line = format!(
            "lua_package_path = {0}/?.lua;{0}/?/init.lua;/no/such/?.lua;{1}/?.lua;;\ndeclarative_config = {2}",
            other.display(),
            node.root.display(),
            declared.display()
        );
        fs::write(node.prefix.join(".kong_env"), format!("{}\n{line}\n", kept.join("\n"))).unwrap();
        let before = node.picture();
        let found = looked(shell, &[&node.prefix], &[&node.conf], &[]);
        assert_eq!(node.picture(), before, "{shell:?}: it only looks");
        let kong = &found.kongs[0];
        assert_eq!(kong.master, node.master().map(|(pid, _)| pid), "{shell:?}");
        assert_eq!(kong.prefix, Some(path(&node.prefix)));
        let names: Vec<&str> = kong.lua_roots.iter().map(|root| root.path.as_str()).take(3).collect();
        assert_eq!(names, [other.to_str().unwrap(), "/no/such", node.root.to_str().unwrap()], "{shell:?}");
        assert_eq!(root(&found, &other).directories, [("lib".to_owned(), false)].into(), "{shell:?}");
        assert_eq!(root(&found, &node.root).directories, [("old".to_owned(), true)].into(), "{shell:?}");
        assert_eq!(kong.lua_roots[1].kind, Kind::Absent);
        assert_eq!(kong.declared.as_ref().unwrap().1, Digest::of(&fs::read(&declared).unwrap()), "{shell:?}");
        assert!(kong.env.as_ref().unwrap().open().get("declarative_config").is_some());
        let (conf, content) = &found.confs[0];
        assert_eq!(
            (conf, content.as_ref().unwrap().open().text("plugins").as_deref()),
            (&path(&node.conf), Some("bundled,old"))
        );
        // Without a word of where: it is among all that run here, or there are more than are looked at.
        let all = looked(shell, &[], &[], &[]);
        assert!(
            all.kongs.len() >= 8 || all.kongs.iter().any(|kong| kong.prefix == Some(path(&node.prefix))),
            "{shell:?}"
        );
    }
}

#[test]
fn a_stopped_kong_has_no_master_and_what_is_not_there_is_said() {
    for shell in Shell::all() {
        let node = Node::new();
        fs::write(node.prefix.join(".kong_env"), "plugins = bundled\n").unwrap();
        let absent = node.path().join("none");
        let found = looked(shell, &[&node.prefix, &absent], &[&absent], &[&node.root]);
        assert_eq!(found.kongs.len(), 2, "{shell:?}");
        assert!(found.kongs.iter().all(|kong| kong.master.is_none()));
        assert!(found.kongs[0].env.is_some() && found.kongs[1].env.is_none(), "{shell:?}");
        assert!(found.kongs[0].id.is_some() && found.kongs[1].id.is_none(), "{shell:?}");
        assert_eq!(root(&found, &node.root).kind, Kind::Directory);
        assert!(!found.confs.iter().any(|(conf, _)| *conf == path(&absent)), "{shell:?}");
    }
}

#[test]
fn names_that_no_plugin_has_are_counted_and_more_than_enough_is_cut() {
    for shell in Shell::all() {
        let node = Node::new();
        fs::write(node.prefix.join(".kong_env"), "plugins = bundled\n").unwrap();
        let plugins = node.root.join("kong/plugins");
        let long = "x".repeat(101);
        for name in ["a b", "-rf", ".hidden", "$(touch owned)", "new\nline", "\u{1b}[2J", "größer", &long] {
            fs::create_dir(plugins.join(name)).unwrap();
        }
        fs::create_dir(plugins.join("x".repeat(100))).unwrap();
        fs::create_dir(plugins.join("backup.old")).unwrap();
        fs::write(plugins.join("file.lua"), "").unwrap();
        symlink("old", plugins.join("linked")).unwrap();
        let found = looked(shell, &[&node.prefix], &[], &[&node.root]);
        let names: Vec<&str> = root(&found, &node.root).directories.keys().map(String::as_str).collect();
        assert_eq!(names, ["backup.old", "linked", "old", &"x".repeat(100)], "{shell:?}");
        assert_eq!(root(&found, &node.root).odd, 8, "{shell:?}");
        assert!(!Path::new("owned").exists());
        for number in 0..401 {
            fs::create_dir(plugins.join(format!("many-{number}"))).unwrap();
        }
        let found = looked(shell, &[&node.prefix], &[], &[&node.root]);
        assert!(root(&found, &node.root).cut && root(&found, &node.root).directories.len() == 400, "{shell:?}");
    }
}

fn asked(node: &Node, files: &[&str]) -> CollectRequest {
    CollectRequest {
        conf: path(&node.conf),
        prefix: path(&node.prefix),
        lua_root: path(&node.root),
        files: files.iter().map(|file| BundlePath::parse(file).unwrap()).collect(),
    }
}

fn answer(shell: Shell, request: &CollectRequest) -> Answer {
    call(shell, Script::Collect, &request.args().unwrap(), None).ends(Status::Unchanged)
}

fn read(request: &CollectRequest, answer: Answer) -> Collected {
    let mut decoder = CollectDecoder::new(request);
    for item in answer.items {
        match item {
            Item::Record(record) => decoder.record(&record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn file<'a>(found: &'a Collected, path: &str) -> &'a Result<Vec<u8>, Withheld> {
    &found[&BundlePath::parse(path).unwrap()]
}

#[test]
fn bytes_come_as_they_are_whatever_they_are_and_whatever_the_names() {
    for shell in Shell::all() {
        let node = Node::new();
        let dir = node.root.join("kong/plugins/odd");
        fs::create_dir_all(dir.join("-rf dir")).unwrap();
        let names = ["plain.lua", "-rf", "a b", "$(touch owned) `id` \"q\" 'q' ; & |", "über.lua", "-rf dir/x"];
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).chain(*b"end\n\n").collect();
        for name in names {
            fs::write(dir.join(name), &bytes).unwrap();
        }
        fs::write(dir.join("empty"), "").unwrap();
        let paths: Vec<String> =
            names.iter().chain(&["empty"]).map(|name| format!("kong/plugins/odd/{name}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let request = asked(&node, &paths);
        let before = node.picture();
        let found = read(&request, answer(shell, &request));
        for path in &paths[..names.len()] {
            assert!(file(&found, path).as_ref() == Ok(&bytes), "{shell:?} {path}");
        }
        assert_eq!(*file(&found, "kong/plugins/odd/empty"), Ok(Vec::new()), "{shell:?}");
        assert_eq!(node.picture(), before);
        assert!(!node.root.join("owned").exists() && !Path::new("owned").exists());
    }
}

#[test]
fn a_plugin_may_be_a_link_to_a_plugin_and_to_nothing_else() {
    for shell in Shell::all() {
        let node = Node::new();
        let (plugins, outside) = (node.root.join("kong/plugins"), node.path().join("opt/mine"));
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(outside.join("handler.lua"), "mine\n").unwrap();
        fs::write(outside.join("sub/x.lua"), "x\n").unwrap();
        symlink(&outside, plugins.join("mine")).unwrap();
        let secrets = node.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("key"), "s3cret\n").unwrap();
        symlink(&secrets, plugins.join("bare")).unwrap();
        // A link for a handler does not make a directory that of a plugin.
        let dressed = node.path().join("dressed");
        fs::create_dir(&dressed).unwrap();
        fs::write(dressed.join("key"), "s3cret\n").unwrap();
        symlink(plugins.join("old/handler.lua"), dressed.join("handler.lua")).unwrap();
        symlink(&dressed, plugins.join("dressed")).unwrap();
        let old = plugins.join("old");
        fs::write(node.prefix.join(".kong_env"), "pg_password = s3cret\n").unwrap();
        symlink(&node.conf, old.join("conf.lua")).unwrap();
        symlink(node.prefix.join(".kong_env"), old.join("env.lua")).unwrap();
        symlink(secrets.join("key"), old.join("key.lua")).unwrap();
        symlink(&secrets, old.join("dir")).unwrap();
        symlink("/proc/self/environ", outside.join("environ.lua")).unwrap();
        symlink("handler.lua", old.join("inside.lua")).unwrap();
        symlink("../mine/handler.lua", old.join("neighbour.lua")).unwrap();
        let names = [
            "old/conf.lua",
            "old/env.lua",
            "old/key.lua",
            "old/dir/key",
            "old/neighbour.lua",
            "bare/key",
            "dressed/key",
            "dressed/handler.lua",
            "mine/environ.lua",
            "mine/handler.lua",
            "mine/sub/x.lua",
            "old/inside.lua",
        ];
        let paths: Vec<String> = names.iter().map(|name| format!("kong/plugins/{name}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let request = asked(&node, &paths);
        let answer = answer(shell, &request);
        assert!(!format!("{answer:?}").contains("s3cret"), "{shell:?}");
        assert!(
            !answer.items.iter().any(|item| matches!(item, Item::Blob { bytes, .. } if bytes.starts_with(b"s3cret")))
        );
        let found = read(&request, answer);
        for path in &paths[..9] {
            assert_eq!(*file(&found, path), Err(Withheld::Outside), "{shell:?} {path}");
        }
        for (path, text) in paths[9..].iter().zip(["mine\n", "x\n", "old 1\n"]) {
            assert_eq!(file(&found, path).as_deref(), Ok(text.as_bytes()), "{shell:?} {path}");
        }
    }
}

#[test]
fn what_is_no_file_or_too_much_says_so() {
    for shell in Shell::all() {
        let node = Node::new();
        let old = node.root.join("kong/plugins/old");
        fs::write(old.join("long"), vec![b'x'; 1_048_577]).unwrap();
        let fits: Vec<String> = (10..27).map(|n| format!("kong/plugins/old/{n}")).collect();
        for name in &fits {
            fs::write(node.root.join(name), vec![0; 1_048_000]).unwrap();
        }
        fs::create_dir(old.join("dir")).unwrap();
        let mut paths =
            vec!["kong/plugins/old/long", "kong/plugins/old/dir", "kong/plugins/old/none", "kong/plugins/none/x"];
        paths.extend(fits.iter().map(String::as_str));
        let request = asked(&node, &paths);
        let found = read(&request, answer(shell, &request));
        let why: Vec<Option<Withheld>> =
            paths[..4].iter().map(|path| file(&found, path).as_ref().err().copied()).collect();
        let [long, other, absent] = [Withheld::Long, Withheld::Other, Withheld::Absent].map(Some);
        assert_eq!(why, [long, other, absent, absent], "{shell:?}");
        let full = fits.iter().filter(|path| *file(&found, path) == Err(Withheld::Full)).count();
        assert_eq!(full, 1, "{shell:?}: sixteen mebibytes at once");
        fs::remove_dir_all(&node.root).unwrap();
        let gone = asked(&node, &["kong/plugins/old/long"]);
        assert_eq!(
            *file(&read(&gone, answer(shell, &gone)), "kong/plugins/old/long"),
            Err(Withheld::Absent),
            "{shell:?}"
        );
    }
}
