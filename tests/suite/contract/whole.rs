//! The whole program on the gateways at hand: install, then a removal with rows in use, on two nodes with one database. On a
//! real Kong, too, where `MUSTER_KONG` and `MUSTER_PG` name one.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::database::{beside, make, rows, with_database};
use super::gateway::{Gateway, Node, handler, schema, told};
use super::probe::wait_until;

/// A plugin that no other test of a real database uses.
const NAME: &str = "muster-trial";

fn inventory(nodes: [(&str, &Node); 2], plugin: &str) -> String {
    let line = |(name, node): (&str, &Node)| {
        let (conf, prefix, lua) = (node.conf.display(), node.prefix.display(), node.lua.display());
        let (home, cli) = (node.dir.path().join("muster"), node.cli().display());
        let home = home.display();
        format!(
            "      {name}: {{ kong: {{ conf: {conf}, prefix: {prefix}, lua_root: {lua}, home: {home}, cli: {cli} }} }}\n"
        )
    };
    let nodes: String = nodes.into_iter().map(line).collect();
    format!(
        "version: 1\nowner: edge\ndefaults: {{ become: none, transport: local }}\nbundles:\n  {NAME}: {{ dir: plugins/{NAME} }}\n\
         clusters:\n  eu:\n    topology: traditional\n    rollout: {{ waves: [1, 100%], at_once: 1, soak: 0s }}\n    nodes:\n{nodes}\
         \x20   plugins:\n      {NAME}: {plugin}\n"
    )
}

fn commit(top: &Path, text: &str) {
    fs::create_dir_all(top.join("plugins").join(NAME)).unwrap();
    fs::write(top.join("plugins").join(NAME).join("handler.lua"), handler(NAME, "1.0.0")).unwrap();
    fs::write(top.join("plugins").join(NAME).join("schema.lua"), schema(NAME)).unwrap();
    fs::write(top.join("inventory.yaml"), text).unwrap();
    let repository = git2::Repository::open(top).or_else(|_| git2::Repository::init(top)).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = git2::Signature::now("Op", "op@example.org").unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &who, &who, "wanted", &tree, &parents).unwrap();
}

/// Runs muster in the repository; its exit code and all that it said.
fn muster(top: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(args).current_dir(top).env_clear().env("PATH", told("PATH").unwrap_or_default());
    let state = top.parent().unwrap();
    command.env("HOME", state).env("XDG_STATE_HOME", state.join("state")).env("XDG_RUNTIME_DIR", state.join("run"));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), text.join("--- err\n"))
}

fn applied(top: &Path) {
    let (code, said) = muster(top, &["--apply", "--all"]);
    assert!(code == Some(0) && said.contains("verdict: converged"), "{code:?}\n{said}");
    let (code, said) = muster(top, &["--plan", "--detailed-exitcode"]);
    assert_eq!(code, Some(0), "the second plan is not empty\n{said}");
}

fn loads(node: &Node) -> bool {
    node.root()["plugins"]["available_on_server"].get(NAME).is_some()
}

fn install_and_remove(gateway: &Gateway, first: &Node) {
    let second = beside(gateway, first, "bundled,good");
    let nodes = [first, &second];
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("fleet");
    fs::create_dir_all(dir.path().join("run")).unwrap();
    commit(&top, &inventory([("a", first), ("b", &second)], "present"));
    applied(&top);
    assert!(nodes.iter().all(|node| loads(node)));

    let service = make(first, "services", "url=http://127.0.0.1:9");
    make(first, "plugins", &format!("name={NAME}&service.id={service}"));
    make(&second, "plugins", &format!("name={NAME}&enabled=false"));
    make(&second, "plugins", "name=good");
    commit(&top, &inventory([("a", first), ("b", &second)], "absent"));
    let (code, said) = muster(&top, &["--apply", "--all"]);
    assert!(code == Some(3) && said.contains("held"), "rows hold it\n{code:?}\n{said}");
    assert_eq!(rows(first).len(), 3);

    commit(&top, &inventory([("a", first), ("b", &second)], "{ state: absent, unapply: delete }"));
    let (_, said) = muster(&top, &["--plan"]);
    assert!(said.starts_with("DELETES 2 rows; "), "{said}");
    applied(&top);
    let left: Vec<_> = rows(first).iter().map(|row| row["name"].clone()).collect();
    assert_eq!(left, ["good"]);
    for node in nodes {
        assert!(!loads(node) && !node.lua.join("kong/plugins").join(NAME).exists());
        // What is left starts as it is.
        node.with_conf("restart");
        node.wait_ready();
        wait_until("the Admin API is there", || node.ask("GET", "/", "").is_some());
        assert!(!loads(node));
    }
}

#[test]
fn what_muster_installs_it_removes_with_rows_in_use_on_two_nodes_of_one_database() {
    with_database(install_and_remove);
}
