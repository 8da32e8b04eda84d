//! How a running Kong is reloaded on a node, and on what evidence (protocols.md A, "Reload, the way of choice", "fallback",
//! "Evidence before").

use super::node::Draft;
use super::{BlockerCode, asked};
use crate::action::ReloadWay;
use crate::hint::Hint;
use crate::inventory::{Node, Reload};
use crate::kong::service::Unit;
use crate::survey::{CandidateFacts, Closer, From, NodeFacts};

/// How a node is reloaded, and why so.
pub(super) struct Way {
    pub(super) way: ReloadWay,
    /// One line; empty in a draft, before anybody looked closer.
    pub(super) evidence: String,
}

impl Way {
    fn new(way: ReloadWay, evidence: impl Into<String>) -> Self {
        Self { way, evidence: evidence.into() }
    }
}

/// How it is loaded; nothing where something stands in the way, which is said then.
pub(super) fn of(draft: &mut Draft<'_>) -> Option<Way> {
    if !draft.diff.running {
        return Some(Way::new(ReloadWay::Stopped, ""));
    }
    if !draft.reloads() {
        return Some(Way::new(ReloadWay::Unneeded, ""));
    }
    let closer = draft.request.survey.closer.get(&draft.node.name);
    if draft.node.reload != Reload::Auto {
        return asked::of(draft, closer);
    }
    let way = automatic(has_references(draft.facts), draft.diff.kong.as_deref(), closer);
    if way.way == ReloadWay::Hup && unstaged(draft, closer) {
        return None;
    }
    Some(way)
}

/// How a running Kong with these settings is reloaded, as far as that can be told without a closer look.
pub fn recipe(facts: &NodeFacts) -> ReloadWay {
    if has_references(facts) { ReloadWay::Hup } else { ReloadWay::Candidate }
}

/// What a closer look at a node has to prepare there.
pub fn evidence_from(node: &Node, facts: &NodeFacts) -> From {
    let conf = node.kong.conf.clone();
    match node.reload {
        _ if has_references(facts) && node.reload != Reload::Unit => From::Nothing,
        Reload::Auto | Reload::Command(_) => From::Running,
        Reload::Prepare | Reload::Restart => From::Started { conf, variables: Vec::new() },
        Reload::Unit => match facts.unit().map(Unit::variables) {
            Some(Ok(variables)) => From::Started { conf, variables },
            _ => From::Nothing,
        },
    }
}

/// Whether its settings hold references to a vault, which only the environment of the service may be able to resolve.
pub(super) fn has_references(facts: &NodeFacts) -> bool {
    facts.env_file.as_ref().is_some_and(|env| contains(env.open().bytes(), b"{vault://"))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The candidate way where its preconditions are seen to hold, else `.kong_env` and HUP, which has none.
fn automatic(references: bool, running: Option<&str>, closer: Option<&Closer>) -> Way {
    if references {
        let why = "its settings hold vault references, which a CLI with a clean environment cannot resolve";
        return Way::new(ReloadWay::Hup, why);
    }
    match closer {
        None => Way::new(ReloadWay::Candidate, ""),
        Some(Err(trouble)) => Way::new(ReloadWay::Hup, format!("no closer look was possible: {}", trouble.text)),
        Some(Ok(found)) => match fails(found, running) {
            Some(why) => Way::new(ReloadWay::Hup, why),
            None => Way::new(ReloadWay::Candidate, reproduced(found)),
        },
    }
}

fn reproduced(found: &CandidateFacts) -> String {
    match &found.version {
        _ if found.stopped => "it has stopped since it was looked at".to_owned(),
        Some(version) => format!("its CLI {version} makes the same files of what runs"),
        None => "its CLI makes the same files of what runs".to_owned(),
    }
}

/// Which precondition of the candidate way does not hold.
pub(super) fn fails(found: &CandidateFacts, running: Option<&str>) -> Option<String> {
    let list = |names: &std::collections::BTreeSet<String>, more: u64| {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    match (&found.version, &found.prepared) {
        _ if found.stopped => None,
        _ if !found.cli => Some("the kong command of the inventory is not there (`kong: { cli: … }`)".to_owned()),
        _ if !found.becomes => Some("the login cannot become the user that Kong's master runs as".to_owned()),
        _ if found.limit.is_some() => {
            let limit = found.limit.unwrap_or_default();
            Some(format!("its open-files limit of {limit} cannot be kept, which its CLI would write down"))
        }
        (Some(cli), _) if running.is_some_and(|running| running != cli) => {
            Some(format!("its CLI is that of Kong {cli}, and {} runs", running.unwrap_or_default()))
        }
        (_, None) => Some("its CLI was not asked".to_owned()),
        (_, Some((code, said))) if *code != 0 => {
            Some(format!("its CLI cannot prepare what runs ({code}): {}", said.trim()))
        }
        _ if !found.files.is_empty() => Some(format!(
            "its nginx files are not those that its CLI makes ({}): an own --nginx-conf, or an older release",
            list(&found.files, 0)
        )),
        _ if !found.keys.is_empty() => Some(format!("its CLI would set otherwise: {}", list(&found.keys, found.more))),
        _ => None,
    }
}

/// Whether new content cannot be staged where only `.kong_env` and HUP work; adds what stands in the way.
fn unstaged(draft: &mut Draft<'_>, closer: Option<&Closer>) -> bool {
    let Some(Ok(found)) = closer else { return false };
    if found.stopped || !found.staged.is_empty() || draft.loads().next().is_none() {
        return false;
    }
    let what =
        "new content cannot be staged: no nginx file of its prefix that HTTP reads has a lua_package_path".to_owned();
    let hint =
        Hint::do_("write  lua_package_path '${{LUA_PACKAGE_PATH}};;';  into the http block of its nginx template");
    draft.block(BlockerCode::NodeLacks, what, Vec::new(), vec![hint]);
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::survey::Trouble;

    fn good() -> CandidateFacts {
        CandidateFacts {
            cli: true,
            becomes: true,
            version: Some("3.9.1".to_owned()),
            prepared: Some((0, String::new())),
            staged: vec!["nginx-kong.conf".to_owned()],
            ..CandidateFacts::default()
        }
    }

    fn names(names: &[&str]) -> std::collections::BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_precondition_that_fails_is_named() {
        assert_eq!(fails(&good(), Some("3.9.1")), None);
        assert_eq!(fails(&good(), None), None);
        for (found, says) in [
            (CandidateFacts { cli: false, ..good() }, "is not there"),
            (CandidateFacts { becomes: false, ..good() }, "cannot become the user"),
            (CandidateFacts { limit: Some(65_536), ..good() }, "limit of 65536 cannot be kept"),
            (
                CandidateFacts { version: Some("3.9.3".to_owned()), ..good() },
                "its CLI is that of Kong 3.9.3, and 3.9.1 runs",
            ),
            (CandidateFacts { prepared: None, ..good() }, "was not asked"),
            (
                CandidateFacts { prepared: Some((1, "Error: no".to_owned())), ..good() },
                "cannot prepare what runs (1): Error: no",
            ),
            (
                CandidateFacts { files: names(&["nginx.conf"]), keys: names(&["a"]), ..good() },
                "(nginx.conf): an own --nginx-conf",
            ),
            (CandidateFacts { keys: names(&["a", "b"]), more: 2, ..good() }, "would set otherwise: a, b and 2 more"),
        ] {
            let why = fails(&found, Some("3.9.1")).unwrap();
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_node_that_has_stopped_is_for_the_script_to_tell() {
        let found = CandidateFacts { stopped: true, ..CandidateFacts::default() };
        assert_eq!(fails(&found, Some("3.9.1")), None);
        assert!(reproduced(&found).contains("stopped"));
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_taken_for_good() {
        let trouble = Trouble { code: "lost".to_owned(), text: "the link broke".to_owned(), hints: Vec::new() };
        let way = automatic(false, Some("3.9.1"), Some(&Err(trouble)));
        assert_eq!(way.way, ReloadWay::Hup);
        assert!(way.evidence.contains("the link broke"));
        let found = Ok(Arc::new(good()));
        assert_eq!(automatic(false, Some("3.9.1"), Some(&found)).way, ReloadWay::Candidate);
        assert_eq!(automatic(false, None, None).way, ReloadWay::Candidate);
        assert_eq!(automatic(true, Some("3.9.1"), Some(&found)).way, ReloadWay::Hup);
    }
}
