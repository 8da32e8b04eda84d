//! The Admin API goes away, or answers what it never should: nothing is deleted that was not kept, and it is said how far it came.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::removal::{DELETE, assert_served, installed, restart, run_of, step, steps, use_everywhere, want};
use crate::harness::{Gateways, Relay, Reply};

/// A relay in front of each gateway, and an inventory that names them; `more` stands beside `listen`.
fn relayed(gateways: &Gateways, names: &[&str], more: &str) -> Vec<Arc<Relay>> {
    let relays: Vec<_> = names.iter().map(|name| Arc::new(Relay::before(gateways.node(name)))).collect();
    want(gateways, &[DELETE]);
    let mut inventory = fs::read_to_string(gateways.work_tree().join("inventory.yaml")).unwrap();
    for (name, relay) in names.iter().zip(&relays) {
        let admin = format!("{name}: {{ admin: {{ listen: {}{more} }}, kong:", relay.url());
        inventory = inventory.replace(&format!("{name}: {{ kong:"), &admin);
    }
    gateways.commit(&[("inventory.yaml", &inventory)], "through relays");
    relays
}

/// Everything fails once that many deletions were passed on.
fn fails_after(deletions: usize, relays: &[Arc<Relay>]) {
    let left = Arc::new(AtomicUsize::new(deletions));
    for relay in relays {
        let left = left.clone();
        relay.answer(move |head| match left.load(Ordering::SeqCst) {
            0 => Reply::nothing(),
            some => {
                left.store(some - usize::from(head.starts_with("DELETE ")), Ordering::SeqCst);
                Reply::Pass
            }
        });
    }
}

#[tokio::test]
async fn an_admin_api_that_is_gone_after_half_of_the_rows_is_said_and_the_next_run_finishes() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows_of("acme-auth");
    let relays = relayed(&gateways, &["eu-1", "eu-2"], "");
    let probers = gateways.probers();
    let doomed = relays.clone();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
        if step(event).as_deref() == Some("eu un-apply") {
            fails_after(2, &doomed);
        }
    });
    let said = call.said().await;
    let run = run_of(&said);
    let words = [
        "2 of 4 rows deleted as far as was answered, and what is left cannot be listed",
        "all 4 rows as they were: ",
        &format!("muster restore-rows {run}"),
        "muster --plan",
    ];
    said.assert(3, &words);
    assert_eq!(steps(&said)[..2], ["eu un-apply", "eu un-apply: unknown admin-unreachable"], "{said}");
    assert!(!steps(&said).iter().any(|step| step.ends_with("activate") || step.ends_with("delete")), "{said}");
    assert_eq!(api.rows_of("acme-auth").len(), 2);
    let kept = fs::read_to_string(gateways.dir().join("state/muster/runs").join(&run).join("acme-auth.yaml")).unwrap();
    for row in &before {
        assert!(kept.contains(row["id"].as_str().unwrap()), "{row} was not kept:\n{kept}");
    }
    gateways.assert_serving(Some("1.0.0")).await;
    gateways.assert_nothing_left().await;
    for relay in &relays {
        relay.heal();
    }
    gateways
        .muster(&["restore-rows", &run])
        .await
        .assert(0, &["is not there, and is brought back", "is there as it was", "To bring 2 rows back"]);
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 2 rows", "converged"]);
    assert_eq!(api.rows_of("acme-auth").len(), 0);
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
    assert_served(probers);
}

#[tokio::test]
async fn where_one_admin_api_goes_away_another_one_goes_on_with_what_is_left() {
    let Some(gateways) = installed(&["eu-1", "eu-2"]).await else { return };
    let api = gateways.api("eu-2");
    use_everywhere(api);
    let relays = relayed(&gateways, &["eu-1", "eu-2"], "");
    let doomed = relays[0].clone();
    let call = gateways.begin_heard(&["--apply", "--all"], move |event| match step(event).as_deref() {
        Some("eu un-apply") => fails_after(1, std::slice::from_ref(&doomed)),
        Some("eu un-apply: done changed") => doomed.heal(),
        _ => {}
    });
    let said = call.said().await;
    said.assert(0, &["not through eu-1", "un-applied acme-auth: 4 rows, none left"]);
    let deletions = |relay: &Relay| relay.changes().iter().filter(|line| line.starts_with("DELETE ")).count();
    // The second one was asked for and lost.
    assert_eq!((deletions(&relays[0]), deletions(&relays[1])), (2, 3));
    assert_eq!(api.rows_of("acme-auth").len(), 0);
    gateways.assert_serving(None).await;
    gateways.assert_in_line().await;
}

type Answer = fn() -> Reply;

/// What an Admin API never says, and the words for it.
const ODD: [(&str, Answer, &str); 6] = [
    ("a web page", || Reply::http("200 OK", "Content-Type: text/html\r\n", "<html>Sign in</html>"), "<html>Sign in"),
    ("half a document", || Reply::http("200 OK", "", "{\"data\":[{\"id\":\"0"), "it begins with"),
    ("an error", || Reply::http("500 Internal Server Error", "", "{\"message\":\"out of luck\"}"), "500, out of luck"),
    (
        "a redirect",
        || Reply::http("302 Found", "Location: http://elsewhere/\r\n", ""),
        "a redirect, which is not followed",
    ),
    ("nothing", Reply::nothing, "/plugins"),
    (
        "no right",
        || Reply::http("401 Unauthorized", "", "{\"message\":\"no\"}"),
        "the Admin API wants a token, or another one",
    ),
];

#[tokio::test]
async fn odd_answers_before_the_plan_let_nothing_begin() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows();
    let relays = relayed(&gateways, &["eu-1"], "");
    let probers = gateways.probers();
    for (what, answer, words) in ODD {
        // To whoever asks for rows, and to whoever asks for anything.
        for path in ["/plugins", "/"] {
            relays[0].answer(move |head| match head.split(' ').nth(1) {
                Some(asked) if asked.starts_with(path) => answer(),
                _ => Reply::Pass,
            });
            let said = gateways.muster(&["--apply", "--all"]).await;
            let said = crate::harness::Said { out: said.out.split_whitespace().collect::<Vec<_>>().join(" "), ..said };
            assert_eq!(said.code, 3, "{what}, {path}: {said}");
            let words = words.replace("/plugins", path);
            assert!(said.out.contains(&words) && said.out.contains("eu-1"), "{what}, {path}: {words:?}: {said}");
            assert!(!said.out.contains("DELETES"), "{what}: {said}");
        }
    }
    relays[0].heal();
    assert_eq!((api.rows(), relays[0].changes()), (before, Vec::<String>::new()));
    gateways.assert_serving(Some("1.0.0")).await;
    assert_served(probers);
    restart(&gateways, &["eu-1"]);
    gateways.assert_nothing_left().await;
}

#[tokio::test]
async fn odd_answers_after_the_plan_change_nothing() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows();
    let relays = relayed(&gateways, &["eu-1"], "");
    let conf = fs::read(&gateways.node("eu-1").conf).unwrap();
    for (what, answer, words) in ODD {
        relays[0].heal();
        let doomed = relays[0].clone();
        let call = gateways.begin_heard(&["--apply", "--all"], move |event| {
            if step(event).as_deref() == Some("eu un-apply") {
                doomed.answer(move |head| if head.contains(" /plugins") { answer() } else { Reply::Pass });
            }
        });
        let said = call.said().await;
        said.assert(3, &["through no node of eu could it be done", "nothing was changed", words]);
        assert!(steps(&said)[1].starts_with("eu un-apply: failed admin-"), "{what}: {said}");
        assert!(!steps(&said).contains(&"eu-1 activate".to_owned()), "{what}: {said}");
    }
    assert_eq!((api.rows(), relays[0].changes()), (before, Vec::<String>::new()));
    assert_eq!(fs::read(&gateways.node("eu-1").conf).unwrap(), conf);
    relays[0].heal();
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 4 rows", "converged"]);
    gateways.assert_in_line().await;
}

/// A deletion that is refused in the middle stops the cluster; what Kong's answer quotes is not told.
#[tokio::test]
async fn a_deletion_that_is_refused_stops_the_cluster_and_says_how_far_it_came() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let relays = relayed(&gateways, &["eu-1"], "");
    let first = AtomicBool::new(true);
    relays[0].answer(move |head| {
        if !head.starts_with("DELETE ") || first.swap(false, Ordering::SeqCst) {
            return Reply::Pass;
        }
        Reply::http("500 Internal Server Error", "", "{\"message\":\"s3cret of a row\"}")
    });
    let said = gateways.muster(&["--apply", "--all"]).await;
    said.assert(
        3,
        &["un-apply failed: 1 of 4 rows deleted, then: DELETE /plugins/", "through eu-1: 500", "not reached"],
    );
    said.assert(3, &["all 4 rows as they were: ", "muster restore-rows "]);
    assert!(!said.out.contains("s3cret"), "{said}");
    assert_eq!(api.rows_of("acme-auth").len(), 3);
    gateways.assert_serving(Some("1.0.0")).await;
    relays[0].heal();
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["DELETES 3 rows", "converged"]);
    gateways.assert_in_line().await;
}

#[tokio::test]
async fn a_wrong_token_changes_nothing_and_the_right_one_is_never_shown() {
    let Some(gateways) = installed(&["eu-1"]).await else { return };
    let api = gateways.api("eu-1");
    use_everywhere(api);
    let before = api.rows();
    let relays = relayed(&gateways, &["eu-1"], ", token: { env: EU_TOKEN }");
    relays[0].answer(|head| {
        if head.to_lowercase().contains("\r\nkong-admin-token: r1ght\r\n") {
            return Reply::Pass;
        }
        Reply::http("401 Unauthorized", "", "{\"message\":\"Unauthorized\"}")
    });
    let said = gateways.begin_with(&["--apply", "--all"], &[("EU_TOKEN", "wr0ng")]).said().await;
    said.assert(3, &["rows-unknown", "eu-1: GET / at", "wants a token, or another one", "not reached, exit 3"]);
    assert!(!said.out.contains("wr0ng") && !said.err.contains("wr0ng"), "{said}");
    assert_eq!((api.rows(), relays[0].changes()), (before, Vec::<String>::new()));
    gateways.assert_serving(Some("1.0.0")).await;
    let said = gateways.begin_with(&["--apply", "--all"], &[("EU_TOKEN", "r1ght")]).said().await;
    said.assert(0, &["DELETES 4 rows", "converged"]);
    assert!(!said.out.contains("r1ght") && !said.err.contains("r1ght"), "{said}");
    gateways.assert_serving(None).await;
    gateways.assert_nothing_left().await;
}
