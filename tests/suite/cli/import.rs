//! `muster import`: five gateways, each set up in its own way on a machine of its own, and a first plan that is empty.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::gateways::{handler, next_second, schema};
use crate::harness::hosts::{Doors, Host, etc, script};
use crate::harness::{Gateways, Said};

/// Five gateways and the machines that they seem to be on.
struct Grown {
    gateways: Gateways,
    hosts: Vec<Host>,
    _doors: Doors,
}

const NAMES: [&str; 5] = ["gw-a", "gw-b", "gw-c", "gw-d", "gw-e"];

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn plugin(root: &Path, name: &str, version: &str, first: &str) -> PathBuf {
    let home = root.join("kong/plugins").join(name);
    write(&home.join("handler.lua"), &handler(version, first));
    write(&home.join("schema.lua"), &schema(name));
    home
}

/// What LuaRocks says that a rock deployed.
fn rock(root: &Path, name: &str, plugin: &str) {
    let text = format!(
        "rock_manifest = {{\n   lua = {{\n      kong = {{\n         plugins = {{\n            [\"{plugin}\"] = {{\n               \
         [\"handler.lua\"] = \"00\",\n               [\"schema.lua\"] = \"00\"\n            }}\n         }}\n      }}\n   }}\n}}\n"
    );
    write(&root.join(format!("lib/luarocks/rocks-5.1/{name}/1.0-1/rock_manifest")), &text);
}

impl Grown {
    async fn start() -> Option<Self> {
        let doors = Doors::new()?;
        let gateways = Gateways::start(&[("eu", &NAMES[..2]), ("us", &NAMES[2..4]), ("lab", &NAMES[4..])], |spec| {
            let line = doors.line(&spec.name);
            spec.server(&line)
        })
        .await?;
        for name in NAMES {
            gateways.node(name).stop().unwrap();
        }
        let hosts = vec![
            packaged(&gateways, &doors),
            elsewhere(&gateways, &doors),
            by_environment(&gateways, &doors),
            by_unit(&gateways, &doors),
            without_database(&gateways, &doors),
        ];
        let grown = Self { gateways, hosts, _doors: doors };
        next_second().await;
        grown.begin();
        Some(grown)
    }

    fn begin(&self) {
        let conf = |name: &str| self.gateways.node(name).conf.display().to_string();
        let kong = |name: &str| self.gateways.node(name).kong.display().to_string();
        self.hosts[0].run(&[], &[&kong("gw-a"), "start", "-c", "/etc/kong/kong.conf"]);
        self.hosts[1].run(&[], &[&kong("gw-b"), "start", "-c", &conf("gw-b")]);
        let vars = [("KONG_PLUGINS", "bundled,acme-auth"), ("KONG_LOG_LEVEL", "info")];
        self.hosts[2].run(&vars, &[&kong("gw-c"), "start", "-c", &conf("gw-c")]);
        let systemctl = self.gateways.node("gw-d").dir.join("bin/systemctl").display().to_string();
        self.hosts[3].run(&[], &[&systemctl, "daemon-reload"]);
        self.hosts[3].run(&[], &[&systemctl, "start", "kong.service"]);
        self.hosts[4].run(&[], &[&kong("gw-e"), "start", "-c", &conf("gw-e")]);
    }

    async fn import(&self, more: &[&str]) -> Said {
        let into = self.gateways.work_tree().display().to_string();
        let args: Vec<&str> = ["import", "--into", &into].into_iter().chain(more.iter().copied()).collect();
        self.gateways.begin_in(self.gateways.dir(), &args).said().await
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.gateways.work_tree().join(path)).unwrap()
    }
}

/// As the packages have it: every path is the default.
fn packaged(gateways: &Gateways, doors: &Doors) -> Host {
    let node = gateways.node("gw-a");
    let (dir, etc) = (&node.dir, etc(&node.dir));
    let local = dir.join("usr-local");
    fs::create_dir_all(local.join("bin")).unwrap();
    let root = local.join("share/lua/5.1");
    plugin(&root, "acme-auth", "1.0.0", "");
    plugin(&root, "key-auth", "3.9.1", "-- comes with Kong\n");
    symlink(&node.kong, local.join("bin/kong")).unwrap();
    let text = fs::read_to_string(&node.conf).unwrap().replace("plugins = bundled", "plugins = bundled,acme-auth");
    let text = text.lines().filter(|line| !line.starts_with("prefix") && !line.starts_with("lua_package_path"));
    let text = text.collect::<Vec<_>>().join("\n");
    write(
        &etc.join("kong/kong.conf"),
        &format!("{text}\nprefix = /usr/local/kong/\npg_host = db.eu.example\npg_password = s3cret-a\n"),
    );
    node.change(|settings| settings.lua_root = "/usr/local/share/lua/5.1".into()).unwrap();
    let mounts = format!("mount --bind {} /usr/local\nmount --bind {} /etc", local.display(), etc.display());
    doors.host("gw-a", &mounts, "")
}

/// Another prefix, another Lua root on a search path of its own, a rock, and another version than its neighbour has.
fn elsewhere(gateways: &Gateways, doors: &Doors) -> Host {
    let node = gateways.node("gw-b");
    plugin(&node.lua_root, "acme-auth", "2.0.0", "");
    plugin(&node.lua_root, "geo-ip", "0.3.0", "");
    rock(&node.lua_root, "kong-plugin-geo-ip", "geo-ip");
    let text = fs::read_to_string(&node.conf).unwrap();
    let text = text.replace("plugins = bundled", "plugins = bundled, acme-auth, geo-ip");
    fs::write(&node.conf, format!("{text}pg_host = db.eu.example\npg_password = s3cret-b\n")).unwrap();
    doors.host("gw-b", "", "")
}

/// Started by hand, with an environment that nobody can see afterwards.
fn by_environment(gateways: &Gateways, doors: &Doors) -> Host {
    let node = gateways.node("gw-c");
    plugin(&node.lua_root, "acme-auth", "1.0.0", "");
    let text = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("{text}pg_host = db.us.example\n")).unwrap();
    doors.host("gw-c", "", "")
}

/// Started by a unit whose environment names the plugins.
fn by_unit(gateways: &Gateways, doors: &Doors) -> Host {
    let node = gateways.node("gw-d");
    let (dir, state) = (&node.dir, node.dir.join("systemd"));
    plugin(&node.lua_root, "acme-auth", "1.0.0", "");
    let text = fs::read_to_string(&node.conf).unwrap();
    fs::write(&node.conf, format!("{text}pg_host = db.us.example\n")).unwrap();
    fs::create_dir_all(state.join("system/kong.service.d")).unwrap();
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scripts/systemctl");
    script(&dir.join("bin/systemctl"), &fs::read_to_string(tool).unwrap());
    let unit = "[Unit]\nDescription=Kong\n\n[Service]\nUser=root\nEnvironment=KONG_NGINX_DAEMON=off\n";
    write(&state.join("kong.service"), &format!("{unit}EnvironmentFile=-{}/etc/kong.env\n", dir.display()));
    write(&dir.join("etc/kong.env"), "KONG_PLUGINS=bundled,acme-auth\n");
    write(&state.join("conf"), &format!("{}\n", node.conf.display()));
    write(&state.join("prefix"), &format!("{}\n", node.prefix.display()));
    let mounts = format!(
        "mount -t tmpfs none /run\nmkdir -p /run/systemd/system\nmount --bind {}/system /etc/systemd/system",
        state.display()
    );
    doors.host("gw-d", &mounts, &format!("{}/bin", dir.display()))
}

/// Without a database; plugins by hand, with what people leave lying about: junk, a library, one that nobody lists, a backup.
fn without_database(gateways: &Gateways, doors: &Doors) -> Host {
    let node = gateways.node("gw-e");
    let root = &node.lua_root;
    let home = plugin(root, "by-hand", "0.1.0", "local lib = require \"kong.plugins.acme-lib.words\"\n");
    write(&home.join("data/words.txt"), "one\ntwo\n");
    write(&root.join("kong/plugins/acme-lib/words.lua"), "return {}\n");
    let junk = plugin(root, "junk", "0.2.0", "");
    write(&junk.join("handler.lua~"), "old\n");
    write(&junk.join("README.md"), "# junk\n");
    plugin(root, "not-listed", "3.0.0", "");
    plugin(root, "by-hand.bak", "0.0.9", "");
    write(&root.join("kong/plugins/unused-lib/x.lua"), "return {}\n");
    node.change(|settings| settings.database = None).unwrap();
    let text = fs::read_to_string(&node.conf).unwrap().replace("database = postgres", "database = off");
    let text = text.replace("plugins = bundled", "plugins = bundled,by-hand,junk");
    let declared = node.dir.join("etc/kong.yml");
    write(&declared, "_format_version: \"3.0\"\nplugins:\n- name: by-hand\n");
    fs::write(&node.conf, format!("{text}declarative_config = {}\n", declared.display())).unwrap();
    doors.host("gw-e", "", "")
}

/// Every file of the nodes with its content, but for logs.
fn picture(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_symlink() {
            found.push(format!("{} -> {}", path.display(), fs::read_link(&path).unwrap().display()));
        } else if path.is_dir() {
            if name != "logs" && name != "whole-etc" {
                picture(&path, found);
            }
        } else if path.is_file() {
            found.push(format!("{} {:?}", path.display(), fs::read(&path).unwrap_or_default()));
        }
    }
}

#[tokio::test]
async fn five_gateways_set_up_in_five_ways_are_imported_and_the_first_plan_is_empty() {
    let Some(grown) = Grown::start().await else { return };
    let gateways = &grown.gateways;
    let before = {
        let mut all = Vec::new();
        for name in NAMES {
            picture(&gateways.node(name).dir, &mut all);
        }
        all
    };
    let said = grown.import(&["gw-a", "gw-b", "gw-c", "gw-d", "gw-e", "--owner", "edge"]).await;
    let text = grown.read("inventory.yaml");
    said.assert(3, &["the first plan from it is empty", "git -C", "muster --plan", "by-hand.bak", "unused-lib"]);
    assert!(!format!("{said}{text}").contains("s3cret"), "{said}\n{text}");
    gateways.commit(&[], "what runs");
    gateways.muster(&["check"]).await.assert(0, &[]);
    let plan = gateways.muster(&["--plan", "--detailed-exitcode", "--format", "json"]).await;
    assert_eq!(plan.code, 0, "{plan}\n{text}");
    let value = &plan.lines()[0];
    for part in ["steps", "blockers"] {
        assert_eq!(value[part].as_array().map(Vec::len), Some(0), "{part}: {plan}\n{text}");
    }
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["in line"]);
    let mut after = Vec::new();
    for name in NAMES {
        picture(&gateways.node(name).dir, &mut after);
    }
    assert_eq!(after, before, "something was written to a node");
    // What each of the five ways became.
    for line in [
        "prefix: /usr/local/kong\n          lua_root: /usr/local/share/lua/5.1\n",
        "conf: /etc/kong/kong.conf",
        "topology: dbless",
        "these nodes name the same database",
        "by-hand: present",
        "not-listed: staged",
        "files: external, as the rock kong-plugin-geo-ip 1.0-1 owns its files",
        "README.md",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(
        text.matches("directive: external }").count() + text.matches("directive: external,").count(),
        1 + 1,
        "{text}"
    );
    assert!(!text.contains("key-auth"), "it comes with Kong\n{text}");
    assert!(grown.read("plugins/by-hand/kong/plugins/acme-lib/words.lua").contains("return"));
    gateways.ssh.assert_nothing_left().await;
}

/// The path of a node's prefix, for `--prefix`: on this machine there are more Kongs than this test's.
fn prefixes(gateways: &Gateways, names: &[&str]) -> Vec<String> {
    let of = |name: &&str| ["--prefix".to_owned(), format!("{name}={}", gateways.node(name).prefix.display())];
    names.iter().flat_map(of).collect()
}

async fn imported(gateways: &Gateways, into: &Path, words: &[&str], more: &[String]) -> Said {
    let into = into.display().to_string();
    let args = ["import", "--into", &into].into_iter().chain(words.iter().copied());
    let args: Vec<&str> = args.chain(more.iter().map(String::as_str)).collect();
    gateways.begin_in(gateways.dir(), &args).said().await
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_and_the_rest_is_written() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    gateways.ssh.node("eu-2").wire.refuse().await;
    let into = gateways.work_tree().join("deep/er");
    let hints = prefixes(&gateways, &["eu-1", "eu-3"]);
    let said = imported(&gateways, &into, &["eu-1", "eu-2", "eu-3", "--cluster", "edge"], &hints).await;
    said.assert(
        4,
        &["! eu-2: ", "refused", "wrote ", "the first plan from it is empty", "--inventory deep/er/inventory.yaml"],
    );
    let text = fs::read_to_string(into.join("inventory.yaml")).unwrap();
    assert!(
        text.contains("# not here: eu-2: ") && text.contains("  edge:\n") && !text.contains("      eu-2:"),
        "{text}"
    );
    gateways.commit(&[], "what runs");
    let plan = gateways.muster(&["--plan", "--detailed-exitcode", "--inventory", "deep/er/inventory.yaml"]).await;
    plan.assert(0, &[]);
    // It is not written over, unless that is asked for; and nothing is asked before that is known.
    let logins = gateways.ssh.node("eu-1").wire.accepted();
    imported(&gateways, &into, &["eu-1"], &hints[..2]).await.assert(1, &["is there already", "--into", "--force"]);
    assert_eq!(gateways.ssh.node("eu-1").wire.accepted(), logins);
    let json = imported(&gateways, &into, &["eu-1", "--force", "--format", "json"], &hints[..2]).await;
    assert_eq!(json.code, 0, "{json}");
    let value = &json.lines()[0];
    assert_eq!((value["muster"].as_str(), value["first_plan"]["empty"].as_bool()), (Some("import"), Some(true)));
    assert_eq!(value["nodes"][0]["node"], "eu-1");
    // Nobody answers: nothing is written.
    let none = gateways.dir().join("none");
    imported(&gateways, &none, &["eu-2"], &[]).await.assert(1, &["! eu-2: ", "nothing was written"]);
    assert!(!none.exists());
    gateways.ssh.node("eu-2").wire.listen().await;
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn a_host_under_two_names_is_one_node_and_wrong_words_are_told_before_anything_is_asked() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let prefix = gateways.node("eu-1").prefix.display().to_string();
    let into = gateways.dir().join("out");
    let address = gateways.ssh.node("eu-1").address();
    // A second name for it in the operator's own configuration.
    let config = gateways.ssh.ssh_config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("Host eu-1\n", "Host eu-1 alias\n")).unwrap();
    let said = imported(&gateways, &into, &["eu-1", "alias", "--prefix", &prefix], &[]).await;
    said.assert(0, &["= alias: it is the same machine and prefix as eu-1", "git init"]);
    let text = fs::read_to_string(into.join("inventory.yaml")).unwrap();
    assert!(!text.contains("      alias:"), "{text}");
    let before = gateways.ssh.node("eu-1").wire.accepted();
    for (words, expected) in [
        (&["eu-1", "--conf", "nowhere=/etc/kong.conf"][..], "nowhere is not among the hosts"),
        (&["eu-1", "--conf", "etc/kong.conf"], "it is not absolute"),
        (&["-oProxyCommand=x"], "unexpected argument"),
        (&["eu 1"], "may not contain"),
        (&["eu-1", "--node", "eu-1"], "--node does not go with muster import"),
        (&["eu-1", "--repo", "x"], "--into DIR"),
        (&["eu-1", "--become", "root"], "invalid value"),
    ] {
        imported(&gateways, &gateways.dir().join("no"), words, &[]).await.assert(64, &[expected]);
    }
    assert_eq!(gateways.ssh.node("eu-1").wire.accepted(), before, "{address}");
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn files_that_are_in_the_way_of_a_bundle_stop_it_before_anything_is_written() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let node = gateways.node("eu-1");
    node.plugin("acme-auth", &handler("1.0.0", ""), &schema("acme-auth")).unwrap();
    let prefix = node.prefix.display().to_string();
    let into = gateways.dir().join("out");
    write(&into.join("plugins/acme-auth/notes.txt"), "mine");
    let said = imported(&gateways, &into, &["eu-1", "--prefix", &prefix, "--force"], &[]).await;
    said.assert(1, &["notes.txt is there, and on no node"]);
    assert!(!into.join("inventory.yaml").exists());
    fs::remove_file(into.join("plugins/acme-auth/notes.txt")).unwrap();
    let other = into.join("plugins/acme-auth/kong/plugins/acme-auth/handler.lua");
    write(&other, "mine");
    imported(&gateways, &into, &["eu-1", "--prefix", &prefix], &[]).await.assert(1, &["with other content"]);
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    imported(&gateways, &into, &["eu-1", "--prefix", &prefix, "--force"], &[]).await.assert(0, &["wrote "]);
    assert_eq!(fs::read_to_string(&other).unwrap(), handler("1.0.0", ""));
    gateways.assert_nothing_left().await;
}
