//! `activate` with the ways that an inventory asks for: links and kong.conf are in place before Kong is told, and come back.

use std::fs;

use muster::wire::Status;

use super::gateway::{Node, Plan, proven};
use super::speak::{Answer, Shell, Talk, is_there, until};

const OLD: &str = "old=old 1";
const NEW: &str = "old=old 1 hello=hello 1";
const WAYS: [&str; 3] = ["prepare", "restart", "command"];

/// Every shell with every way, each on a node of its own that runs.
fn cases() -> Vec<(Shell, &'static str, Node)> {
    if !is_there("perl") {
        return Vec::new();
    }
    let each = Shell::all().into_iter().flat_map(|shell| WAYS.map(|way| (shell, way, Node::new())));
    each.inspect(|(_, _, node)| assert!(node.start())).collect()
}

fn plan(node: &Node, way: &'static str, release: &str) -> Plan {
    let mut plan = Plan::hello(node, way, release);
    let (cli, conf, prefix) = (Node::cli(), node.conf.display(), node.prefix.display());
    let command =
        format!("'{cli}' prepare -c '{conf}' -p '{prefix}' && kill -HUP \"$(cat '{prefix}/pids/nginx.pid')\"");
    plan.more.extend([("stage", String::new()), ("command", command)]);
    plan
}

fn confirmed(mut talk: Talk) -> Answer {
    assert!(proven(&mut talk), "{:?}", talk.seen);
    talk.say(b"confirm\n");
    talk.end().ends(Status::Changed)
}

fn is_as_it_was(node: &Node, serves: &str) {
    node.serves(serves);
    assert_eq!(node.env_value("plugins").unwrap(), "bundled,old");
    assert!(!node.conf_text().contains("hello"));
    assert!(!node.root.join("kong/plugins/hello").exists());
    assert!(!node.home.join("current/hello").exists());
    assert!(!node.home.join("state/guard").exists());
    assert!(!node.prefix.join(".muster-again").exists());
}

#[test]
fn each_way_is_proven_and_committed() {
    for (shell, way, node) in cases() {
        let answer = confirmed(plan(&node, way, &node.hello("hello 1")).talk(&node, shell, None));
        node.serves(NEW);
        assert!(node.conf_text().contains("bundled,old,hello"), "{way}");
        assert!(node.root.join("kong/plugins/hello/handler.lua").exists());
        assert!(answer.all("undone").is_empty());
        let master = node.master().unwrap();
        let told = answer.all("proof").pop().unwrap();
        assert_eq!(told[4..], [master.0.to_string(), master.1.to_string()], "{way}");
        let receipt = node.receipt(1);
        assert_eq!(receipt.result.as_deref(), Some("changed"), "{way}");
    }
}

#[test]
fn a_plugin_that_does_not_load_is_put_back_and_a_node_that_is_down_is_started_again() {
    for (shell, way, node) in cases() {
        let mut talk = plan(&node, way, &node.hello("BROKEN")).talk(&node, shell, None);
        assert!(!proven(&mut talk));
        talk.say(b"undo\n");
        let answer = talk.end();
        assert_eq!(answer.one("undone"), ["proved"], "{way}: {answer:?}");
        // A restart says so itself; the others know nothing of it.
        let status = if way == "restart" { Status::Failed } else { Status::Undone };
        answer.ends(status);
        is_as_it_was(&node, OLD);
    }
}

#[test]
fn an_upgrade_that_does_not_load_goes_back_to_what_it_was() {
    for (shell, way, node) in cases() {
        let first = node.hello("hello 1");
        confirmed(plan(&node, way, &first).talk(&node, shell, None));
        let mut talk = plan(&node, way, &node.hello("BROKEN")).talk(&node, shell, None);
        assert!(!proven(&mut talk));
        talk.hang_up();
        assert_eq!(talk.end().one("undone"), ["proved"], "{way}");
        node.serves(NEW);
        let link = fs::read_link(node.home.join("current/hello")).unwrap();
        assert!(link.ends_with(&first), "{way}: {link:?}");
        assert!(!node.home.join("state/guard").exists());
    }
}

#[test]
fn without_a_word_the_guard_puts_links_and_kong_conf_back() {
    for (shell, way, node) in cases() {
        let mut plan = plan(&node, way, &node.hello("hello 1"));
        plan.patience = 8;
        let mut talk = plan.talk(&node, shell, None);
        assert!(proven(&mut talk), "{way}");
        talk.kill();
        until("the guard's end", || !node.guard_lives());
        node.serves(OLD);
        assert!(!node.conf_text().contains("hello"), "{way}");
        assert!(!node.root.join("kong/plugins/hello").exists(), "{way}");
        assert_eq!(node.receipt(1).result.as_deref(), Some("undone proved"), "{way}");
    }
}

#[test]
fn what_somebody_wrote_into_kong_conf_meanwhile_stays() {
    for (shell, way, node) in cases().into_iter().filter(|(_, way, _)| *way == "prepare") {
        let mut talk = plan(&node, way, &node.hello("BROKEN")).talk(&node, shell, None);
        assert!(!proven(&mut talk));
        let text = node.conf_text() + "# by somebody\n";
        fs::write(&node.conf, &text).unwrap();
        talk.say(b"undo\n");
        assert_eq!(talk.end().one("undone"), ["proved"]);
        assert_eq!(node.conf_text(), text);
        node.serves(OLD);
    }
}

#[test]
fn a_command_that_says_no_is_heard_and_everything_is_put_back() {
    for (shell, _, node) in cases().into_iter().filter(|(_, way, _)| *way == "command") {
        let mut plan = plan(&node, "command", &node.hello("hello 1"));
        plan.more.push(("command", "echo it will not; exit 7".to_owned()));
        let answer = plan.talk(&node, shell, None).end().ends(Status::Failed);
        assert_eq!(answer.one("cli"), ["7", "it will not"]);
        assert_eq!(answer.one("undone"), ["proved"]);
        is_as_it_was(&node, OLD);
    }
}
