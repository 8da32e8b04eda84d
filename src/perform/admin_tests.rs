use std::sync::Arc;

use super::*;
use crate::perform::rows;
use crate::perform::scripted::{self, Scripted, ok};
use crate::remote::Connect as _;

const NODE: &str = r#"{"version":"3.9.1","edition":"community",
    "plugins":{"available_on_server":{"acme-auth":{"version":"2.1.0","priority":900},"bad name":{"version":"1"}}},
    "configuration":{"plugins":["bundled","acme-auth"],"lua_package_path":"/rel/?.lua;;","database":"postgres"},
    "pids":{"master":7,"workers":[8,9]}}"#;

fn face() -> Face {
    let to = HttpAddress::Tcp(([127, 0, 0, 1], 8001).into());
    Face { to, token: None, deadline: Duration::from_secs(1) }
}

async fn remote(node: &Scripted) -> Arc<dyn Remote> {
    node.connect(&scripted::address("eu-1")).await.unwrap()
}

#[tokio::test]
async fn the_answer_of_a_node_becomes_facts() {
    let node = Scripted::default();
    node.http(|_| ok(NODE));
    let facts = face().node(&*remote(&node).await).await.unwrap();
    assert_eq!((facts.version.as_str(), facts.database.as_deref()), ("3.9.1", Some("postgres")));
    assert_eq!(facts.loaded.values().next().unwrap().as_deref(), Some("2.1.0"));
    assert_eq!(facts.priorities.values().copied().collect::<Vec<_>>(), [900]);
    assert_eq!(
        (facts.plugins, facts.odd),
        (vec!["bundled".to_owned(), "acme-auth".to_owned()].into(), vec!["bad name".to_owned()])
    );
    assert_eq!((facts.master, facts.workers), (Some(7), Some(BTreeSet::from([8, 9]))));
}

#[tokio::test]
async fn whatever_else_answers_is_a_trouble_with_a_word_of_its_own() {
    for (status, body, code) in [
        (200, "<html>\u{1b}[2Jlogin</html>", "admin-garbled"),
        (200, "{\"version\":\"3.9.1\",\"plu", "admin-garbled"),
        (200, "{\"hello\":\"world\"}", "admin-garbled"),
        (200, "[]", "admin-garbled"),
        (200, "", "admin-garbled"),
        (301, "", "admin-redirected"),
        (401, "{\"message\":\"no\"}", "admin-unauthorized"),
        (403, "", "admin-unauthorized"),
        (404, "", "admin-error"),
        (500, "{\"message\":\"An unexpected error\\u001b occurred\"}", "admin-error"),
    ] {
        let node = Scripted::default();
        node.http(move |_| Ok(HttpAnswer { status, body: body.into() }));
        let trouble = face().node(&*remote(&node).await).await.unwrap_err();
        assert_eq!(trouble.code, code, "{status} {body}");
        assert!(!trouble.text.chars().any(char::is_control), "{}", trouble.text);
        assert!(!trouble.hints.is_empty());
    }
    let trouble = face().node(&*remote(&Scripted::default()).await).await.unwrap_err();
    assert_eq!(trouble.code, "admin-unreachable");
    assert!(trouble.text.contains("GET / at 127.0.0.1:8001"), "{}", trouble.text);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_never_answers_does_not_hold_us() {
    struct Stuck;
    #[async_trait::async_trait]
    impl Remote for Stuck {
        async fn start(&self, _: crate::remote::Call) -> Result<Box<dyn crate::remote::Running>, RemoteError> {
            std::future::pending().await
        }
        async fn http(&self, _: HttpRequest) -> Result<HttpAnswer, RemoteError> {
            std::future::pending().await
        }
        async fn alive(&self) -> bool {
            true
        }
        async fn close(&self) {}
    }
    assert_eq!(face().node(&Stuck).await.unwrap_err().code, "admin-slow");
}

fn page(name: &str, id: &str, offset: Option<&str>) -> String {
    let next = offset.map(|o| format!(",\"offset\":\"{o}\",\"next\":\"/plugins?offset={o}\"")).unwrap_or_default();
    format!(
        "{{\"data\":[{{\"id\":\"{id}\",\"name\":\"{name}\",\"enabled\":false,\"route\":{{\"id\":\"r1\"}}}}]{next}}}"
    )
}

#[tokio::test]
async fn every_page_of_rows_is_read_and_named() {
    let node = Scripted::default();
    node.http(|request| match request.path.as_str() {
        "/plugins?size=1000" => ok(page("acme-auth", "1", Some("W1/="))),
        "/plugins?size=1000&offset=W1%2F%3D" => ok(page("acme-auth", "2", None)),
        "/routes/r1" => ok("{\"name\":\"lo\\u001bgin\"}"),
        other => panic!("{other}"),
    });
    let remote = remote(&node).await;
    let found = face().rows(&*remote, false).await.unwrap();
    let matters = BTreeSet::from([PluginName::parse("acme-auth").unwrap()]);
    let rows = rows::in_words(&face(), &*remote, found, &matters).await;
    let scopes: Vec<_> =
        rows["acme-auth"].iter().map(|row| (row.id.as_str(), row.scope.as_str(), row.enabled)).collect();
    assert_eq!(scopes, [("1", "route lo\u{fffd}gin", false), ("2", "route lo\u{fffd}gin", false)]);
}

#[tokio::test]
async fn pages_without_end_or_in_a_circle_are_an_error() {
    let node = Scripted::default();
    let mut n = 0;
    node.http(move |_| {
        n += 1;
        ok(page("x", "1", Some(&format!("o{n}"))))
    });
    let remote = remote(&node).await;
    assert_eq!(face().rows(&*remote, false).await.unwrap_err().code, "admin-too-many-rows");
    assert_eq!(node.asked().len(), PAGES);
    node.http(|_| ok(page("x", "1", Some("same"))));
    assert_eq!(face().rows(&*remote, false).await.unwrap_err().code, "admin-garbled");
}

#[tokio::test]
async fn rows_of_every_workspace_are_read_and_none_is_left_out_silently() {
    let node = Scripted::default();
    node.http(|request| match request.path.as_str() {
        "/workspaces?size=1000" => ok("{\"data\":[{\"name\":\"default\"},{\"name\":\"team x\"}]}"),
        "/default/plugins?size=1000" => ok(page("x", "1", None)),
        "/team%20x/plugins?size=1000" => ok(page("x", "2", None)),
        other => panic!("{other}"),
    });
    let remote = remote(&node).await;
    let found = face().rows(&*remote, true).await.unwrap();
    let spaces: Vec<_> = found.iter().map(|row| row.workspace.as_deref().unwrap()).collect();
    assert_eq!(spaces, ["default", "team x"]);
    node.http(|_| ok("{\"data\":[{\"name\":3}]}"));
    assert_eq!(face().rows(&*remote, true).await.unwrap_err().code, "admin-garbled");
}

#[tokio::test]
async fn a_row_that_is_not_understood_makes_the_list_unknown() {
    let node = Scripted::default();
    node.http(|_| ok("{\"data\":[{\"id\":\"1\",\"name\":\"../x\"}]}"));
    let remote = remote(&node).await;
    assert_eq!(face().rows(&*remote, false).await.unwrap_err().code, "admin-garbled");
}

#[tokio::test]
async fn readiness_tells_an_empty_configuration_apart() {
    let node = Scripted::default();
    node.http(|_| {
        Ok(HttpAnswer {
            status: 503,
            body: b"{\"message\":\"no configuration available (empty configuration present)\"}".to_vec(),
        })
    });
    let remote = remote(&node).await;
    assert_eq!(face().ready(&*remote).await, Some(Readiness { status: 503, empty: true, stuck: false }));
    node.http(|_| ok("{\"database\":{\"reachable\":false}}"));
    assert_eq!(face().database_reachable(&*remote).await.unwrap(), Some(false));
}
