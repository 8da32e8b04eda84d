//! Recorded runs as text.

use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::journal::{self, Journal};
use crate::name::NodeName;

pub(in crate::report) fn recorded(name: &str) -> Journal {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals");
    journal::read(&dir.join(format!("FORMAT-1-{name}.jsonl"))).unwrap()
}

fn text_of<'a>(events: impl IntoIterator<Item = &'a Event>, colour: bool) -> String {
    let mut out = Vec::new();
    let reporter = TextReporter::new(&mut out);
    let mut reporter = if colour { reporter.coloured() } else { reporter };
    let mut state = RunState::default();
    for event in events {
        state.apply(event);
        reporter.event(event, &state);
    }
    assert!(reporter.broken.is_none());
    String::from_utf8(out).unwrap()
}

fn text(name: &str) -> String {
    text_of(recorded(name).events(), false)
}

#[test]
fn a_run_that_converged() {
    assert_snapshot!(text("converged"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 4 nodes, by cron@ops-1; times are UTC
    14:05:02  eu-prod  delivered 2 bundles to 4 nodes (acme-auth 12 KiB, request-tag 31 KiB)
    14:05:02  eu-prod  wave 1 of 2: eu-1
    14:05:02  eu-1     activating: bundled,request-tag,acme-auth
    14:05:03  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-1     committed
    14:05:33  eu-prod  wave 1 healthy for 30 s
    14:05:33  eu-prod  wave 2 of 2: eu-[2,3,10]
    14:05:33  eu-2     activating: bundled,request-tag,acme-auth
    14:05:33  eu-3     activating: bundled,request-tag,acme-auth
    14:05:33  eu-10    activating: bundled,request-tag,acme-auth
    14:05:34  eu-2     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:34  eu-3     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:34  eu-10    proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:34  eu-2     committed
    14:05:34  eu-3     committed
    14:05:34  eu-10    committed
    14:06:04  eu-prod  wave 2 healthy for 30 s
    14:06:04  waiting for the nodes to be looked at again
    14:06:05  looked again: 4 in line
    14:06:05  verdict: converged, exit 0. 4 of 4 nodes proven
    ");
}

#[test]
fn a_run_that_was_stopped() {
    assert_snapshot!(text("rolled-back"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 4 nodes, by cron@ops-1; times are UTC
    14:05:02  eu-prod  delivered 2 bundles to 4 nodes (acme-auth 12 KiB, request-tag 31 KiB)
    14:05:02  eu-prod  wave 1 of 2: eu-1
    14:05:02  eu-1     activating: bundled,request-tag,acme-auth
    14:05:03  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-1     committed
    14:05:33  eu-prod  wave 1 healthy for 30 s
    14:05:33  eu-prod  wave 2 of 2: eu-[2,3,10]
    14:05:33  eu-2     activating: bundled,request-tag,acme-auth
    14:05:36  eu-2     rolled back, serving as before (proven). Cause: handler.lua:12: module 'resty.jwt' not found  (reload-failed)
              init_by_lua error: error loading module 'kong.plugins.acme-auth.handler':
              module 'resty.jwt' not found
              add it to the bundle (roots: resty/jwt.lua) or install it, then commit
              see: docs/errors/E2031.md
    14:05:36  eu-prod  stopped: 1 failed, 0 allowed. 1 of 4 nodes proven, 1 rolled back, 2 not tried
    14:05:36  waiting for the nodes to be looked at again
    14:05:37  looked again: 1 in line, 3 drift
              eu-2: acme-auth loaded 2.0.3, wanted 2.1.0
              eu-3: acme-auth loaded 2.0.3, wanted 2.1.0
              eu-10: acme-auth loaded 2.0.3, wanted 2.1.0
    14:05:37  verdict: not reached, exit 3. 1 of 4 nodes proven, 1 rolled back, 2 not tried
    ");
}

#[test]
fn a_run_with_everything_that_can_go_wrong() {
    assert_snapshot!(text("interrupted"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 6 nodes, by cron@ops-1; times are UTC
    14:05:01  eu-canary  delivered 1 bundle to 2 nodes (request-tag 31 KiB)
    14:05:01  eu-canary  wave 1 of 2: eu-1
    14:05:01  eu-1       activating: bundled,request-tag,acme-auth
    14:05:02  eu-1       proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:02  eu-1       committed
    14:05:08  eu-1       did not stay healthy: the status API answered 503  (not-ready)
    14:05:10  a pause was asked for; it begins after this wave
    14:05:32  waiting for you to go on
    14:06:00  no pause is asked for any more
    14:06:00  eu-canary  wave 2 of 2: eu-2
    14:06:00  eu-2       activating: bundled,request-tag,acme-auth
    14:06:01  eu-2       proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:06:01  eu-2       committed
    14:06:31  eu-canary  wave 2 healthy for 30 s
    14:06:31  us-2       left alone, its lease could not be taken: connection timed out after 10 s  (timed-out)
    14:06:33  us-3       deliver unknown: the connection broke  (lost)
    14:06:33  us-3       activate not begun: step 6 did not end well
    14:06:33  us-prod    delivered 1 bundle to 2 nodes (request-tag 31 KiB)
    14:06:33  us-prod    wave 1 of 2: us-[1-3]
    14:06:33  us-1       activating: bundled,request-tag,acme-auth
    14:06:40  cancelling: no next wave
              once more (Ctrl-C, SIGTERM): no new steps; running ones end
    14:07:00  cancelling: running steps are left to the guards on their nodes
              once more (Ctrl-C, SIGTERM): connections are closed
    14:07:00  us-1       activate unknown: left while it ran; the node settles it alone, and the next look will tell how  (left)
    14:07:00  us-prod    stopped: 2 failed, 1 allowed. 0 of 4 nodes proven, 3 unknown, 1 not tried
    14:07:00  verdict: interrupted, exit 130. 1 of 6 nodes proven, 1 failed, 3 unknown, 1 not tried
    ");
}

#[test]
fn a_removal_that_was_put_back() {
    assert_snapshot!(text("removal"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 3 nodes, by cron@ops-1; times are UTC
    14:05:00  eu-prod  un-applying legacy
    14:05:01  eu-prod  un-applied legacy: 2 rows, none left; undo bundle runs/01/legacy.yaml
    14:05:01  eu-prod  wave 1 of 2: eu-1
    14:05:01  eu-1     activating: bundled,request-tag,acme-auth
    14:05:02  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:02  eu-1     committed
    14:05:02  eu-prod  wave 1 proven
    14:05:02  eu-prod  wave 2 of 2: eu-[2,3]
    14:05:02  eu-2     activating: bundled,request-tag,acme-auth
    14:05:02  eu-3     activating: bundled,request-tag,acme-auth
    14:05:03  eu-2     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-3     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-2     committed
    14:05:03  eu-3     committed
    14:05:03  eu-prod  wave 2 proven
    14:05:03  eu-prod  before files go, every node is looked at: legacy
    14:05:04  eu-prod  fence failed: 1 row uses again what is being removed: legacy: service billing  (re-applied)
              legacy: service billing
              either take these rows out again and apply again: the removal goes on where it stopped
              or put the plugin back into the inventory (`present`), commit, and apply
    14:05:04  waiting for the nodes to be looked at, as a plugin that was being removed is used again
    14:05:04  eu-prod  putting back on eu-[1-3], as it is used again
              eu-[1-3] would not start again now, as they do not list it; it is listed again
    14:05:04  eu-1     activating: bundled,request-tag,acme-auth
    14:05:04  eu-2     activating: bundled,request-tag,acme-auth
    14:05:04  eu-3     activating: bundled,request-tag,acme-auth
    14:05:05  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:05  eu-2     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:05  eu-3     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:05  eu-1     committed
    14:05:05  eu-2     committed
    14:05:05  eu-3     committed
    14:05:05  eu-prod  stopped: fence legacy: 1 row uses again what is being removed: legacy: service billing. 0 of 3 nodes proven, 3 not tried
    14:05:05  waiting for the nodes to be looked at again
    14:05:06  looked again: 3 in line
    14:05:06  verdict: not reached, exit 3. 0 of 3 nodes proven, 3 not tried
    ");
}

#[test]
fn a_removal_whose_files_are_held() {
    assert_snapshot!(text("removal-held"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 3 nodes, by cron@ops-1; times are UTC
    14:05:00  eu-prod  un-applying legacy
    14:05:01  eu-prod  un-applied legacy: 2 rows, none left; undo bundle runs/01/legacy.yaml
    14:05:01  eu-prod  wave 1 of 2: eu-1
    14:05:01  eu-1     activating: bundled,request-tag,acme-auth
    14:05:02  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:02  eu-1     committed
    14:05:02  eu-prod  wave 1 proven
    14:05:02  eu-prod  wave 2 of 2: eu-[2,3]
    14:05:02  eu-2     activating: bundled,request-tag,acme-auth
    14:05:02  eu-3     activating: bundled,request-tag,acme-auth
    14:05:03  eu-2     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-3     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:03  eu-2     committed
    14:05:03  eu-3     committed
    14:05:03  eu-prod  wave 2 proven
    14:05:03  eu-prod  before files go, every node is looked at: legacy
    14:05:04  eu-prod  files are held: eu-9: could not be seen
    14:05:04  waiting for the nodes to be looked at again
    14:05:05  looked again: 3 in line
    14:05:05  verdict: not reached, exit 3. 0 of 3 nodes proven, 3 with files held
    ");
}

#[test]
fn a_run_that_was_paused_and_of_which_a_node_was_skipped() {
    assert_snapshot!(text("steered"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 3 nodes, by cron@ops-1; times are UTC
    14:05:00  eu-prod  un-applying legacy
    14:05:01  eu-prod  un-applied legacy: 2 rows, none left; undo bundle runs/01/legacy.yaml
    14:05:01  eu-prod  wave 1 of 2: eu-1
    14:05:01  eu-1     activating: bundled,request-tag,acme-auth
    14:05:01  a pause was asked for by cron@ops-1; it begins after this wave
    14:05:02  eu-1     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:02  eu-1     committed
    14:05:12  eu-prod  wave 1 healthy for 10 s
    14:05:12  paused after wave 1 by cron@ops-1
    14:05:20  eu-2     skipped by cron@ops-1: nothing more of this run is done on it
    14:05:21  us-9     not skipped, though cron@ops-1 asked for it: no step of this run is for it
    14:05:30  goes on, as cron@ops-1 asked for
    14:05:30  eu-prod  wave 2 of 2: eu-[2,3]
    14:05:30  eu-3     activating: bundled,request-tag,acme-auth
    14:05:31  eu-3     proven: 2 new workers, request-tag 1.4.0, acme-auth 2.1.0
    14:05:31  eu-3     committed
    14:05:41  eu-prod  wave 2 healthy for 10 s
    14:05:41  eu-prod  files are held: eu-2 was skipped, and it still lists what is to go
    14:05:41  waiting for the nodes to be looked at again
    14:05:42  looked again: 3 in line
    14:05:42  verdict: not reached, exit 3. 0 of 3 nodes proven, 2 with files held, 1 not tried
    ");
}

#[test]
fn runs_that_did_not_begin() {
    assert_snapshot!(text("locked"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 4 nodes, by cron@ops-1; times are UTC
    14:05:00  eu-3     held by another run: run 01JD3A by ann@laptop, for 40 s more  (locked)
    14:05:00  verdict: locked, exit 5. 0 of 4 nodes proven, 4 not tried
    ");
    assert_snapshot!(text("refused"), @"
    14:05:00  run 01KJQDVNQ00000000000000007 for gateway-fleet @ 3f2a91c, 4 nodes, by cron@ops-1; times are UTC
    14:05:00  refused: 9 of 28 nodes are unreachable, 2 are allowed  (too-many-unreachable)
              eu-[1-9]
              type: muster --apply --all --allow too-many-unreachable
    14:05:00  verdict: refused, exit 6. 0 of 4 nodes proven, 4 not tried
    ");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let journal = recorded("rolled-back");
    let coloured = text_of(journal.events(), true);
    assert!(coloured.contains("\u{1b}[31mrolled back"));
    let stripped = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(stripped, text("rolled-back"));
}

#[test]
fn what_a_node_said_never_reaches_the_terminal_raw() {
    let mut events: Vec<Event> = recorded("rolled-back").events().cloned().collect();
    for event in &mut events {
        if let EventKind::StepEnded { end: StepEnd::RolledBack { cause }, .. } = &mut event.kind {
            cause.text = "\u{1b}]0;owned\u{7}\r\nfaked line".to_owned();
            cause.details = vec!["\u{9b}2J".to_owned()];
        }
        if let EventKind::StepProven { text, .. } = &mut event.kind {
            *text = "\u{1b}[2J".to_owned();
        }
    }
    let text = text_of(&events, false);
    assert!(text.contains("owned"));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn what_is_left_is_bounded() {
    let left: Vec<String> = (0..30).map(|n| format!("eu-{n} drift")).collect();
    let said = looked_again(&SurveyCounts { drift: 30, ..SurveyCounts::default() }, &left);
    assert_eq!((said.words.as_str(), said.more.len()), ("looked again: 30 drift", 21));
    assert_eq!(said.more.last().unwrap(), "and 10 more");
}

#[test]
fn long_names_do_not_widen_the_column_for_ever() {
    let mut events: Vec<Event> = recorded("converged").events().cloned().collect();
    if let EventKind::RunStarted { head } = &mut events[0].kind {
        head.clusters[0].1.push(NodeName::parse(&"n".repeat(80)).unwrap());
        assert_eq!(subjects(head), SUBJECT);
    } else {
        panic!("{:?}", events[0]);
    }
}

#[test]
fn a_digest_is_shown_as_far_as_it_tells_and_other_words_are_left() {
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(short_digests(&format!("kong.conf ({digest})")), "kong.conf (0123456789ab)");
    assert_eq!(
        short_digests(&format!("{digest} was {digest}0, größer")),
        format!("0123456789ab was {digest}0, größer")
    );
}
