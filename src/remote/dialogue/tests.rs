use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::*;
use crate::name::NodeName;
use crate::remote::{Local, LocalConnect, NodeAddress, Script, Transport};
use crate::wire::Args;

/// The least that a script of ours does: it reads its arguments and speaks first.
const BEGIN: &str = r#"
while IFS= read -r k && [ -n "$k" ]; do IFS= read -r v; eval "a_$k=\$v"; done
printf 'muster 1 %s\n' "$a_nonce"
end() { printf 'end %s %s\n' "$a_nonce" "$1"; exit "$1"; }
"#;

fn local(privilege: Privilege, path: Option<&str>) -> Arc<Local> {
    let mut vars: BTreeMap<String, OsString> = BTreeMap::new();
    if let Some(path) = path {
        vars.insert("PATH".to_owned(), path.into());
    }
    vars.insert("USER".to_owned(), "deploy".into());
    let address = NodeAddress {
        node: NodeName::parse("here").unwrap(),
        host: "here".to_owned(),
        user: None,
        port: None,
        privilege,
        transport: Transport::Local,
    };
    LocalConnect::new(vars).open(&address)
}

fn call(seconds: u64) -> Call {
    Call { script: Script::Survey, args: Args::new(), payload: None, deadline: Duration::from_secs(seconds) }
}

async fn run(body: &str, call: Call) -> (Vec<Reply>, Ended) {
    let text = format!("{BEGIN}{body}\n");
    let mut running = local(Privilege::None, None).start_text(&text, call).await.unwrap();
    let mut replies = Vec::new();
    while let Some(reply) = running.next().await {
        replies.push(reply);
    }
    (replies, running.finish().await)
}

fn lost(ended: Ended) -> RemoteError {
    match ended {
        Ended::Lost(error) => error,
        Ended::Done(status) => panic!("it ended with {status:?}"),
    }
}

#[tokio::test]
async fn a_payload_larger_than_every_pipe_meets_an_answer_larger_than_every_pipe() {
    let mut call = call(20);
    call.payload = Some(vec![b'x'; 1 << 20]);
    let (replies, ended) = run("echo 'blob back 1048576'; cat; end 0", call).await;
    assert!(matches!(ended, Ended::Done(Status::Changed)), "{ended:?}");
    assert!(matches!(&replies[..], [Reply::Blob { bytes, .. }] if bytes.len() == 1 << 20));
}

#[tokio::test]
async fn an_answer_is_drained_by_finish_alone() {
    let text = format!("{BEGIN}i=0; while [ $i -lt 5000 ]; do echo \"x $i\"; i=$((i+1)); done; end 10\n");
    let running = local(Privilege::None, None).start_text(&text, call(20)).await.unwrap();
    let ended = running.finish().await;
    assert!(matches!(ended, Ended::Done(Status::Unchanged)), "{ended:?}");
}

#[tokio::test]
async fn a_process_that_keeps_the_pipe_does_not_keep_us() {
    let started = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let mut call = call(30);
    call.args = Args::new().with("dir", dir.path().to_str().unwrap()).unwrap();
    // It lives as long as the directory does.
    let (_, ended) = run("(while [ -d \"$a_dir\" ]; do sleep 0.1; done) & end 0", call).await;
    assert!(matches!(ended, Ended::Done(Status::Changed)), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_comes_after_the_trailer_makes_the_answer_foreign() {
    let (_, ended) = run("printf 'end %s 0\\n' \"$a_nonce\"; echo more", call(10)).await;
    assert_eq!(lost(ended).fault, Fault::Garbled);
}

#[tokio::test]
async fn a_script_that_ends_in_the_middle_is_lost_and_its_complaint_is_told() {
    let (replies, ended) = run("echo 'x 1'; printf 'no\\033[2Jspace\\n' >&2; exit 3", call(10)).await;
    assert_eq!(replies.len(), 1);
    let error = lost(ended);
    assert_eq!(error.fault, Fault::Lost);
    assert_eq!(error.found, "the script ended in the middle, with status 3; it said: no?[2Jspace");
}

#[tokio::test]
async fn a_script_that_does_not_begin_is_quoted() {
    let remote = local(Privilege::None, None);
    let running = remote.start_text("echo 'This account is closed.'; exit 1\n", call(10)).await.unwrap();
    let error = lost(running.finish().await);
    assert_eq!(error.fault, Fault::Garbled);
    assert_eq!(error.found, "the script did not begin, status 1; it said: This account is closed.");
}

#[tokio::test]
async fn a_missing_sudo_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let running = local(Privilege::Sudo, dir.path().to_str()).start_text(BEGIN, call(10)).await.unwrap();
    let error = lost(running.finish().await);
    assert_eq!(error.fault, Fault::SudoRefused, "{error}");
}

#[tokio::test]
async fn words_to_a_script_with_a_payload_are_an_error() {
    let mut call = call(10);
    call.payload = Some(Vec::new());
    let mut running = local(Privilege::None, None).start_text(BEGIN, call).await.unwrap();
    assert_eq!(running.say(Word::Look).await.unwrap_err().fault, Fault::Other);
}

#[tokio::test]
async fn endless_output_ends_at_its_bound() {
    let (_, ended) = run("yes \"x $(printf '%060000d' 1)\"", call(60)).await;
    let error = lost(ended);
    assert_eq!(error.fault, Fault::Garbled, "{error}");
}

#[test]
fn nonces_differ() {
    assert_ne!(nonce(), nonce());
    assert_eq!(nonce().len(), 32);
}
