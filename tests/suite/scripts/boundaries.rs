//! Deaths at every boundary: whatever dies when, the node serves, its service can start it again, and the next run gets there.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::gateway::{Node, Plan, deadly_tools, proven};
use super::speak::{Shell, is_there, until};

const OLD: &str = "old=old 1 hello=hello 1";
const NEW: &str = "old=old 1 hello=hello 2 extra=extra 1";
const BETWEEN: &str = "old=old 1 hello=hello 2";
const SECOND: &str = "01BX5ZZKBKACTAV9WEVGEMMVRZ";

/// A node that runs `hello 1` of ours, and the plan to bring it to `hello 2` and `extra`: links are switched and made, the
/// directive changes.
fn upgrade(way: &'static str) -> (Node, Plan) {
    let node = Node::new();
    assert!(node.start());
    let first = node.hello("hello 1");
    let mut talk = Plan::hello(&node, way, &first).talk(&node, Shell::Dash, None);
    assert!(proven(&mut talk), "{:?}", talk.seen);
    talk.say(b"confirm\n");
    talk.end().ends(muster::wire::Status::Changed);
    node.serves(OLD);
    let plan = wanted(&node, way);
    (node, plan)
}

fn wanted(node: &Node, way: &'static str) -> Plan {
    let files = [("kong/plugins/hello/handler.lua", "hello 2\n"), ("kong/plugins/extra/handler.lua", "extra 1\n")];
    let second = node.release("hello", &files, "second");
    let old = node.conf_text();
    let new = if old.contains("extra") { old.clone() } else { old.replace("old,hello", "old,hello,extra") };
    Plan {
        plugins: "bundled,old,hello,extra".to_owned(),
        roots: vec!["hello kong/plugins/hello".to_owned(), "hello kong/plugins/extra".to_owned()],
        conf: (new != old).then_some(new),
        patience: 6,
        ..Plan::hello(node, way, &second)
    }
}

/// Runs the plan with tools that end it at their Nth call; false once there is no Nth call.
fn die_at(node: &Node, plan: &Plan, shell: Shell, at: usize, late: bool) -> bool {
    let tools = node.path().join("tools");
    deadly_tools(&tools, at, late);
    let mut talk = plan.talk(node, shell, Some(&tools));
    if proven(&mut talk) {
        talk.say(b"confirm\n");
    }
    let answer = talk.end();
    let calls = std::fs::read_to_string(tools.join("calls")).unwrap_or_default().lines().count();
    std::fs::remove_dir_all(&tools).unwrap();
    assert_eq!(answer.status.is_none(), calls >= at, "{answer:?}");
    answer.status.is_none()
}

/// The gateway answers, with the old content or the new, all workers the same. In between stands: the links are switched and
/// kong.conf does not name the second plugin yet.
fn serves_either(node: &Node, when: &str) {
    until(&format!("{when}: {:?}", node.served()), || {
        let served = node.served();
        served == [OLD] || served == [BETWEEN] || served == [NEW]
    });
}

fn settles(node: &mut Node, plan: &Plan, shell: Shell) {
    // What the guard does, it does by itself.
    let guard = node.home.join("state/guard");
    until("the guard's end", || !node.guard_lives());
    serves_either(node, "after the guard");
    node.lease(SECOND);
    let settle = Plan { way: "settle", run: SECOND.to_owned(), ..plan.clone() };
    settle.talk(node, shell, None).end();
    assert!(!guard.exists());
    let again = Plan { run: SECOND.to_owned(), patience: 60, ..wanted(node, plan.way) };
    let mut talk = again.talk(node, shell, None);
    assert!(proven(&mut talk), "{:?}", talk.seen);
    talk.say(b"confirm\n");
    talk.end().ends(muster::wire::Status::Changed);
    node.serves(NEW);
    assert!(node.conf_text().contains("plugins = bundled,old,hello,extra\n"));
    assert!(!node.env_value("lua_package_path").unwrap().contains("releases"));
    let left = std::fs::read_dir(node.root.join("kong/plugins")).unwrap().map(|e| e.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_str().unwrap().contains("muster")));
}

fn one(way: &'static str, shell: Shell, at: usize, late: bool, cut: bool) -> bool {
    let (mut node, plan) = upgrade(way);
    if !die_at(&node, &plan, shell, at, late) {
        return false;
    }
    let when = format!("{way} {shell:?} died at call {at} (late: {late}), power cut: {cut}");
    if cut {
        node.power_cut();
        assert!(node.start(), "{when}: it does not start again");
    }
    serves_either(&node, &when);
    settles(&mut node, &plan, shell);
    true
}

/// Every call of a tool that changes something is a boundary: before it and after it, with the gateway going on and with a
/// power cut. Eight at a time, as most of it is waiting.
#[test]
fn a_death_at_any_boundary_leaves_a_node_that_serves_and_can_be_finished() {
    if !is_there("perl") || !Path::new("/proc/self/stat").exists() {
        return;
    }
    let shells = Shell::all();
    let next = AtomicUsize::new(0);
    let ended = AtomicUsize::new(usize::MAX);
    let report = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::SeqCst);
                    let at = turn / 2 + 1;
                    if at >= ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let way = if turn.is_multiple_of(3) { "hup" } else { "candidate" };
                    let (late, cut) = (turn.is_multiple_of(2), (turn / 2).is_multiple_of(2));
                    let died = one(way, shells[turn % shells.len()], at, late, cut);
                    report.lock().unwrap().push((turn, way, at, late, cut, died));
                    if !died {
                        ended.fetch_min(at, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let report = report.into_inner().unwrap();
    let deaths = report.iter().filter(|entry| entry.5).count();
    assert!(deaths > 30, "{report:?}");
}
