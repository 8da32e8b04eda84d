use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::execute::pool::Pool;
use crate::perform::scripted::{self, Scripted, ok, record};
use crate::remote::{Ended, HttpAddress, HttpAnswer, Reply, Script};
use crate::survey::NodeFacts;
use crate::wire::{Status, escape};

const HOST: &str = "host m1 b1 1700000000 900 deploy 1000 1\ntools flock perl
place conf file 1 1000 0 1 2 81a4 0 0 1 /etc/kong/kong.conf
place prefix directory 1 1000 0 1 3 41ed 0 0 2 /usr/local/kong
place lua-root directory 1 1000 0 1 4 41ed 0 0 2 /usr/local/share/lua/5.1
place home absent 1 1000 0";
const MASTER: &str = "master 100 5 0 0 1024 1 /\nworker 11 110 live";
const ROOT: &str = "root 1 absent";
const NODE: &str = r#"{"version":"3.9.1","plugins":{"available_on_server":{"acme-auth":{"version":"2.1.0"}}},
    "configuration":{"plugins":["bundled"]},"pids":{"master":100,"workers":[11]}}"#;

fn requests(names: &[&str]) -> Vec<(NodeName, LookRequest)> {
    let roots = vec![BundlePath::parse("kong/plugins/acme-auth").unwrap()];
    let of = |name: &&str| {
        let request = LookRequest { site: scripted::site(name), roots: roots.clone() };
        (NodeName::parse(name).unwrap(), request)
    };
    names.iter().map(of).collect()
}

fn settings() -> LookSettings {
    LookSettings::for_cores(2)
}

async fn look_with(node: &Scripted, names: &[&str], settings: LookSettings) -> Survey {
    let pool = Pool::new(Arc::new(node.clone()));
    look(&requests(names), &pool, &settings, Timestamp::UNIX_EPOCH, &|_, _| {}).await
}

async fn look_once(node: &Scripted) -> NodeSurvey {
    let mut survey = look_with(node, &["eu-1"], settings()).await;
    survey.nodes.remove(&NodeName::parse("eu-1").unwrap()).unwrap()
}

fn seen(survey: NodeSurvey) -> Arc<NodeFacts> {
    match survey {
        NodeSurvey::Seen(facts) => facts,
        NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble) => panic!("not seen: {trouble:?}"),
    }
}

/// A survey answer with `.kong_env` in it.
fn with_env(env: &'static str) -> Scripted {
    let node = Scripted::default();
    node.stages(Script::Survey, move |_| {
        let mut replies: Vec<Reply> = [HOST, MASTER, ROOT].iter().flat_map(|part| part.lines()).map(record).collect();
        replies.push(Reply::Blob { name: "env".to_owned(), bytes: env.as_bytes().to_vec() });
        Ok(Box::new(move |_| (replies.clone(), Some(Ended::Done(Status::Unchanged)))))
    });
    node
}

#[tokio::test]
async fn a_node_is_seen_with_its_admin_api_at_the_address_of_its_running_settings() {
    let node = with_env("admin_listen = 127.0.0.7:8001\nstatus_listen = 127.0.0.7:8007\n");
    node.http(|request| {
        let at = |port| HttpAddress::Tcp(([127, 0, 0, 7], port).into());
        match request.path.as_str() {
            "/" if request.to == at(8001) => ok(NODE),
            "/plugins?size=1000" => ok("{\"data\":[{\"id\":\"1\",\"name\":\"acme-auth\",\"service\":{\"id\":\"s\"}}]}"),
            "/services/s" => ok("{\"name\":\"billing\"}"),
            "/status/ready" if request.to == at(8007) => Ok(HttpAnswer { status: 503, body: vec![] }),
            other => panic!("{other}"),
        }
    });
    let facts = seen(look_once(&node).await);
    let admin = facts.admin.as_ref().unwrap();
    assert_eq!(admin.version, "3.9.1");
    assert_eq!(admin.rows["acme-auth"][0].scope, "service billing");
    assert_eq!(facts.ready, Some(503));
    let call = &node.calls()[0];
    assert_eq!(call.args.get("root_1"), Some("kong/plugins/acme-auth"));
    assert_eq!(call.args.get("prefix"), Some("/usr/local/kong"));
}

#[tokio::test]
async fn trouble_with_the_admin_api_is_a_fact_of_a_seen_node() {
    let node = with_env("admin_listen = 127.0.0.7:8001\n");
    node.http(|request| match request.path.as_str() {
        "/" => ok(NODE),
        _ => Ok(HttpAnswer { status: 500, body: b"<html>".to_vec() }),
    });
    let facts = seen(look_once(&node).await);
    assert_eq!(facts.admin.as_ref().unwrap().rows_trouble.as_ref().unwrap().code, "admin-error");
    let silent = with_env("admin_listen = off\n");
    assert_eq!(seen(look_once(&silent).await).admin.as_ref().unwrap_err().code, "admin-off");
}

#[tokio::test]
async fn the_admin_api_of_a_kong_that_does_not_run_is_not_asked() {
    let node = Scripted::default();
    node.plays(Script::Survey, &format!("{HOST}\n{ROOT}"), Status::Unchanged);
    node.http(|request| panic!("{}", request.path));
    let facts = seen(look_once(&node).await);
    assert_eq!(facts.admin.as_ref().unwrap_err().code, "not-running");
    assert_eq!(facts.ready, None);
}

#[tokio::test]
async fn without_a_master_the_admin_api_of_the_last_settings_tells_whether_kong_runs() {
    let look = |answer: fn() -> Result<HttpAnswer, RemoteError>| async move {
        let node = Scripted::default();
        node.stages(Script::Survey, |_| {
            let mut replies: Vec<Reply> = [HOST, ROOT].iter().flat_map(|part| part.lines()).map(record).collect();
            replies.push(Reply::Blob { name: "env".to_owned(), bytes: b"admin_listen = 127.0.0.7:8001\n".to_vec() });
            Ok(Box::new(move |_| (replies.clone(), Some(Ended::Done(Status::Unchanged)))))
        });
        node.http(move |_| answer());
        let facts = seen(look_once(&node).await);
        assert!(facts.master.is_none());
        facts.admin.as_ref().map(|admin| admin.version.clone()).map_err(|trouble| trouble.code.clone())
    };
    assert_eq!(look(|| ok(NODE)).await.as_deref(), Ok("3.9.1"), "its workers outlived their master");
    let not = |code: &str| Err(code.to_owned());
    assert_eq!(look(|| Err(scripted::error(Fault::ForwardRefused))).await, not("not-running"));
    assert_eq!(look(|| Err(scripted::error(Fault::TimedOut))).await, not("admin-slow"));
    assert_eq!(look(|| Ok(HttpAnswer { status: 401, body: Vec::new() })).await, not("admin-unauthorized"));
}

#[tokio::test]
async fn every_class_of_error_keeps_its_word_and_says_whether_the_node_was_reached() {
    for (fault, refused) in [
        (Fault::NoSuchHost, false),
        (Fault::ConnectionRefused, false),
        (Fault::TimedOut, false),
        (Fault::Unreachable, false),
        (Fault::Dropped, false),
        (Fault::Client, false),
        (Fault::HostKeyUnknown, true),
        (Fault::HostKeyChanged, true),
        (Fault::LoginRefused, true),
        (Fault::SudoRefused, true),
        (Fault::Garbled, true),
    ] {
        let node = Scripted::default();
        node.refuses(fault);
        match (look_once(&node).await, refused) {
            (NodeSurvey::Refused(trouble), true) | (NodeSurvey::Unreachable(trouble), false) => {
                assert_eq!(trouble.code, fault_word(fault));
            }
            _ => panic!("{fault:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_survey_is_refused_not_believed() {
    for lines in ["", "host m1", HOST, "nonsense 1", "host m1 b1 x y z w 1"] {
        let node = Scripted::default();
        node.plays(Script::Survey, lines, Status::Unchanged);
        let NodeSurvey::Refused(trouble) = look_once(&node).await else { panic!("{lines}") };
        assert_eq!(trouble.code, "garbled", "{lines}");
        assert!(trouble.text.contains("eu-1"), "{}", trouble.text);
    }
    let node = Scripted::default();
    let complaint = format!("problem home-unusable {}", escape(b"/var/lib\x1b[2J"));
    node.plays(Script::Survey, &complaint, Status::Refused);
    let NodeSurvey::Refused(trouble) = look_once(&node).await else { panic!() };
    assert_eq!(trouble.code, "home-unusable");
    assert!(!trouble.text.chars().any(char::is_control));
}

#[tokio::test]
async fn a_kept_connection_that_died_is_opened_again_once() {
    let node = Scripted::default();
    node.loses(Script::Survey, HOST);
    assert!(matches!(look_once(&node).await, NodeSurvey::Unreachable(trouble) if trouble.code == "lost"));
    assert_eq!(node.connects(), 2);
}

#[tokio::test]
async fn after_three_refused_logins_no_further_node_is_tried() {
    let node = Scripted::default();
    node.refuses(Fault::LoginRefused);
    let names: Vec<String> = (1..=20).map(|n| format!("eu-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let survey = look_with(&node, &names, LookSettings { at_once: 1, ..settings() }).await;
    assert_eq!(node.tried().len(), 3);
    assert_eq!(survey.counts(), (0, 0, 20));
    let withheld = survey.nodes.values().filter(|n| matches!(n, NodeSurvey::Refused(t) if t.code == "login-withheld"));
    assert_eq!(withheld.count(), 17);
}

#[tokio::test]
async fn a_refused_login_stops_nothing_where_another_was_accepted() {
    let node = Scripted::default();
    node.plays(Script::Survey, &format!("{HOST}\n{ROOT}"), Status::Unchanged);
    let pool = Pool::new(Arc::new(node.clone()));
    let settings = LookSettings { at_once: 1, ..settings() };
    let logins = Logins::new(settings.refusals);
    let one = &requests(&["eu-1"])[0].1;
    seen(look_at(one, &pool, &settings, &logins).await);
    node.refuses(Fault::LoginRefused);
    for name in ["eu-2", "eu-3", "eu-4", "eu-5", "eu-6"] {
        look_at(&requests(&[name])[0].1, &pool, &settings, &logins).await;
    }
    assert_eq!(node.tried().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_answers_costs_its_deadline_and_no_other_node_waits() {
    let node = Scripted::default();
    node.stages(Script::Survey, |call| {
        let hangs = call.args.get("home").is_some();
        Ok(Box::new(move |_| (Vec::new(), (!hangs).then_some(Ended::Done(Status::Unchanged)))))
    });
    let begun = tokio::time::Instant::now();
    let survey = look_with(&node, &["a", "b", "c", "d"], settings()).await;
    assert_eq!(survey.counts(), (0, 4, 0));
    assert_eq!(begun.elapsed(), settings().deadline);
    assert!(survey.nodes.values().all(|n| matches!(n, NodeSurvey::Unreachable(t) if t.code == "timed-out")));
}

#[tokio::test]
async fn each_node_is_told_of_once_and_no_more_than_allowed_are_looked_at_together() {
    let node = Scripted::default();
    node.plays(Script::Survey, &format!("{HOST}\n{ROOT}"), Status::Unchanged);
    let pool = Pool::new(Arc::new(node.clone()));
    let told = AtomicUsize::new(0);
    let names: Vec<String> = (1..=40).map(|n| format!("eu-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let progress = |_: &NodeName, _: &NodeSurvey| {
        told.fetch_add(1, Ordering::SeqCst);
    };
    let survey = look(&requests(&names), &pool, &settings(), Timestamp::UNIX_EPOCH, &progress).await;
    assert_eq!((survey.counts(), told.load(Ordering::SeqCst)), ((40, 0, 0), 40));
    assert_eq!(LookSettings::for_cores(2).at_once, 16);
    assert_eq!(LookSettings::for_cores(64).at_once, 32);
}
