//! A reload while it happens: what master, old and new workers show meanwhile (measured.md 2 and 9, protocols.md B3).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::gateway::{Gateway, Node, each, handler};
use super::probe::{wait_for, wait_until};

/// Takes 0.4 seconds of a processor to load.
fn slow_handler(version: &str) -> String {
    format!("local t = os.clock()\nwhile os.clock() - t < 0.4 do end\n{}", handler("good", version))
}

/// Waits as long as the query says before it lets a request go on.
const WAITING: &str = "local H = { PRIORITY = 950, VERSION = '1.0.0' }\nfunction H:access()\n  local ms = kong.request.get_query_arg('ms')\n  \
                       if ms then ngx.sleep(tonumber(ms) / 1000) end\nend\nreturn H\n";

fn good(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,good", &["good"]);
    node.write_plugin("good", "1.0.0");
    node.started()
}

fn version(node: &Node) -> String {
    node.root()["plugins"]["available_on_server"]["good"]["version"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_good_reload_ends_in_an_answer_with_the_new_version_from_new_workers() {
    each(|gateway| {
        let node = good(gateway);
        let (master, before, announced) = (node.master(), node.live(), node.announced().unwrap());
        node.write_plugin("good", "1.1.0");
        node.with_conf("reload").says("Kong reloaded\n");
        // Old workers may go on answering, even with the new pids, until they are told to go: only both together count.
        wait_until("version and pids are new in one answer", || {
            let root = node.root();
            let pids: Vec<i64> = root["pids"]["workers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(serde_json::Value::as_i64)
                .collect();
            let version = root["plugins"]["available_on_server"]["good"]["version"].as_str() == Some("1.1.0");
            version && !pids.is_empty() && pids.iter().all(|pid| !announced.contains(pid))
        });
        node.wait_replaced(&before);
        assert_eq!(node.master(), master);
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.1.0"));
    });
}

#[test]
fn answers_never_go_back_from_new_to_old() {
    each(|gateway| {
        let node = good(gateway);
        let before = node.live();
        node.write_plugin("good", "1.1.0");
        node.with_conf("reload").says("Kong reloaded\n");
        let mut seen = Vec::new();
        wait_until("only new workers are left", || {
            seen.push(version(&node));
            let live = node.live();
            node.is_idle() && !live.is_empty() && live.iter().all(|process| !before.contains(process))
        });
        let first_new = seen.iter().position(|version| version == "1.1.0").unwrap_or(seen.len());
        assert!(seen[first_new..].iter().all(|version| version == "1.1.0"), "{seen:?}");
    });
}

#[test]
fn while_it_loads_the_master_is_not_idle_pids_are_gone_and_the_old_workers_serve() {
    each(|gateway| {
        let node = good(gateway);
        let before = node.live();
        node.write("good/handler.lua", &slow_handler("1.1.0"));
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the master works", || !node.is_idle());
        wait_until("the announced pids vanish", || node.announced().is_none());
        assert_eq!(node.live(), before);
        assert_eq!((version(&node).as_str(), node.ready()), ("1.0.0", Some(503)));
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
        node.wait_replaced(&before);
        assert_eq!(version(&node), "1.1.0");
    });
}

#[test]
fn a_slow_load_that_fails_is_not_idle_until_it_has_failed() {
    each(|gateway| {
        let node = good(gateway);
        let before = node.live();
        node.write(
            "good/handler.lua",
            &format!("{}\nerror('late')\n", slow_handler("1.1.0").replace("return H\n", "")),
        );
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the master works", || !node.is_idle());
        node.wait_idle();
        assert_eq!(node.live(), before, "idle and no new worker: failed, at once");
        assert!(node.announced().is_none());
    });
}

#[test]
fn hangups_that_come_while_it_loads_count_as_one() {
    each(|gateway| {
        let node = good(gateway);
        node.write("good/handler.lua", &slow_handler("1.1.0"));
        let already = node.log().len();
        node.hup();
        // The first one is taken when the pids vanish; before that it would merge with those that follow.
        wait_until("the announced pids vanish", || node.announced().is_none());
        for _ in 0..3 {
            node.hup();
        }
        wait_until("both loads are done", || {
            let log = node.log();
            node.is_idle() && log[already..].matches("start worker processes").count() >= 2
        });
        let loads = node.log()[already..].lines().filter(|line| line.ends_with(": reconfiguring")).count();
        assert_eq!(loads, 2, "one for the first, one for the three that waited");
    });
}

#[test]
fn an_old_worker_lingers_with_its_request_under_another_title_and_no_api_shows_it() {
    each(|gateway| {
        let node = gateway.node("bundled,good,waiting", &["good", "waiting"]);
        node.write_plugin("good", "1.0.0");
        node.write_plugin("waiting", "1.0.0");
        node.write("waiting/handler.lua", WAITING);
        if !gateway.is_real() && nix::unistd::geteuid().is_root() {
            node.change(|settings| settings.worker_user = Some("nobody".into()));
        }
        let node = node.started();
        let before = node.live();
        std::thread::scope(|scope| {
            let began = Instant::now();
            let held = scope.spawn(|| node.proxy("/?ms=3000"));
            // The request has to reach the worker before the reload does.
            std::thread::sleep(Duration::from_millis(300));
            node.write_plugin("good", "1.1.0");
            node.with_conf("reload").says("Kong reloaded\n");
            let lingering = wait_for("a worker that is shutting down", || {
                node.children().into_iter().find(super::probe::Process::is_leaving)
            });
            assert!(before.iter().any(|process| process.pid == lingering.pid));
            node.wait_replaced(&before);
            assert!(!node.announced().unwrap().contains(&i64::from(lingering.pid)));
            let answer = held.join().unwrap().expect("the held request is answered");
            assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
            assert_eq!((answer.status, answer.header("X-good")), (200, Some("1.0.0")), "by the old code");
            wait_until("it is gone", || node.children().iter().all(|process| process.pid != lingering.pid));
        });
    });
}

#[test]
fn an_idle_connection_to_the_admin_api_ends_with_the_worker_that_took_it() {
    each(|gateway| {
        let node = good(gateway);
        let mut stream = TcpStream::connect((node.address, 8001)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let get = format!("GET /plugins/enabled HTTP/1.1\r\nHost: {}\r\n\r\n", node.address);
        stream.write_all(get.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
        node.reloaded();
        // What is left of the answer, then the end; a reset is an end too.
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        wait_until("the connection ends", || match stream.read(&mut answer) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        });
    });
}

#[test]
fn no_new_connection_fails_during_a_reload() {
    each(|gateway| {
        let node = good(gateway);
        let before = node.live();
        node.write_plugin("good", "1.1.0");
        std::thread::scope(|scope| {
            let prober = scope.spawn(|| {
                let mut failed = Vec::new();
                for at in 0..300 {
                    match node.proxy("/") {
                        Some(answer) if answer.status == 200 => {}
                        other => failed.push((at, other)),
                    }
                }
                failed
            });
            node.with_conf("reload").says("Kong reloaded\n");
            node.wait_replaced(&before);
            let failed = prober.join().unwrap();
            assert!(failed.is_empty(), "{failed:?}");
        });
    });
}

#[test]
fn a_load_that_never_ends_is_never_idle_and_serves_until_it_may_go_on() {
    each(|gateway| {
        if gateway.is_real() {
            return;
        }
        let node = good(gateway);
        let before = node.live();
        node.change(|settings| settings.faults.endless_load = true);
        node.with_conf("reload").says("Kong reloaded\n");
        wait_until("the announced pids vanish", || node.announced().is_none());
        assert!(!node.is_idle() && node.proxied("X-good").is_some() && node.live() == before);
        node.change(|settings| settings.faults.endless_load = false);
        node.wait_replaced(&before);
    });
}
