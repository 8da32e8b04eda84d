//! Third step of a removal: what is ours of some bundles goes from one node.

use std::time::Duration;

use crate::action::Delete;
use crate::name::{BundleName, BundlePath, PluginName};
use crate::remote::{Call, Remote, Script};
use crate::run::{Outcome, SkipReason, StepEnd, StepPhase};
use crate::wire::{ArgError, Args, Status};

use super::call::{self, Told};
use super::cause::cause;
use super::unapply::counted;
use super::{Lease, Site, Watch};

/// How long deleting may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// The arguments of `scripts/delete.sh`, as the table at its top has them.
fn arguments(site: &Site, lease: &Lease<'_>, step: u32, delete: &Delete) -> Result<Args, ArgError> {
    let roots =
        delete.bundles.iter().flat_map(|(bundle, roots)| roots.iter().map(move |root| format!("{bundle} {root}")));
    lease
        .arguments(Args::new(), step)?
        .with("home", site.home.as_str())?
        .with("conf", site.conf.as_str())?
        .with("prefix", site.prefix.as_str())?
        .with("lua_root", site.lua_root.as_str())?
        .with("manifest_generation", delete.generation.to_string())?
        .with_list("plugin", delete.plugins.iter().map(PluginName::as_str))?
        .with_list("bundle", delete.bundles.keys().map(BundleName::as_str))?
        .with_list("root", roots)?
        .with_list("adopt", delete.adopts.iter().map(BundlePath::as_str))?
        .with_list("manifest", delete.manifest.iter())
}

/// Deletes. It is safe to run again, so that a connection lost in the middle is settled by the next run.
pub(crate) async fn perform(
    remote: &dyn Remote,
    site: &Site,
    lease: &Lease<'_>,
    step: u32,
    delete: &Delete,
    watch: &dyn Watch,
) -> StepEnd {
    let args = match arguments(site, lease, step, delete) {
        Ok(args) => args,
        Err(error) => return StepEnd::Failed { cause: cause("not-sent", error.to_string()) },
    };
    let names: Vec<String> = delete.plugins.iter().map(ToString::to_string).collect();
    watch.phase(StepPhase::Delete, format!("files of {}", names.join(", ")));
    let call = Call { script: Script::Delete, args, payload: None, deadline: DEADLINE };
    let told = match call::to_the_end(remote, call).await {
        Ok(told) => told,
        Err(cause) => return StepEnd::Unknown { cause },
    };
    print(&told, watch);
    match told.status {
        Status::Changed => StepEnd::Done { outcome: Outcome::Changed },
        Status::Unchanged => StepEnd::Done { outcome: Outcome::Unchanged },
        Status::Moved => StepEnd::Skipped { why: SkipReason::NodeMoved { what: told.moved() } },
        Status::Refused if told.find("held").is_some() => {
            StepEnd::Skipped { why: SkipReason::Held { why: held(&told) } }
        }
        _ => StepEnd::Failed { cause: told.cause("deleting", &site.address.node) },
    }
}

/// What was not ours, or was edited, is kept, and a person has to know where: a fact, not chatter.
fn print(told: &Told, watch: &dyn Watch) {
    let mut kept = Vec::new();
    for record in &told.records {
        let text = |index| record.text(index).unwrap_or_default();
        match record.tag.as_str() {
            "settled" => watch.printed(format!("an unfinished step {} was settled: {}", text(1), text(0))),
            "edited" => kept.push(format!("{} was edited by hand; what was there is now {}", text(0), text(1))),
            "adopted" => kept.push(format!("{} was not ours and is now {}", text(0), text(1))),
            _ => {}
        }
    }
    if !kept.is_empty() {
        watch.proven(kept.join("; "));
    }
}

/// What the script found that has to be otherwise first.
fn held(told: &Told) -> String {
    let Some(record) = told.find("held") else { return String::new() };
    let text = |index| record.text(index).unwrap_or_default();
    match text(0).as_str() {
        "conf" | "env" => format!("{} still lists {}", text(1), text(2)),
        "workers" => {
            let workers = record.number(1).unwrap_or_default();
            format!("{} still at work", counted(workers, "old worker is", "old workers are"))
        }
        "unreadable" => format!("{} cannot be read", text(1)),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perform::gateway::Notes;
    use crate::perform::scripted::{self, Scripted};
    use crate::remote::Connect as _;

    fn delete() -> Delete {
        let path = |text| BundlePath::parse(text).unwrap();
        Delete {
            bundles: [(
                BundleName::parse("legacy").unwrap(),
                [path("kong/plugins/legacy"), path("resty/legacy")].into(),
            )]
            .into(),
            adopts: [path("kong/plugins/old")].into(),
            plugins: [PluginName::parse("legacy").unwrap()].into(),
            generation: 4,
            manifest: vec!["muster-manifest 1".to_owned(), "generation 5".to_owned()].into(),
        }
    }

    async fn run(node: &Scripted, notes: &Notes) -> StepEnd {
        let remote = node.connect(&scripted::address("eu-1")).await.unwrap();
        let identity = scripted::identity();
        let lease = Lease { identity: &identity, generation: 8 };
        perform(&*remote, &scripted::site("eu-1"), &lease, 9, &delete(), notes).await
    }

    #[tokio::test]
    async fn the_script_is_told_all_that_goes_and_ends_the_step_as_it_says() {
        let (node, notes) = (Scripted::default(), Notes::default());
        node.plays(Script::Delete, "edited legacy /attic/1\nadopted /lua/kong/plugins/old /attic/2", Status::Changed);
        assert_eq!(run(&node, &notes).await, StepEnd::Done { outcome: Outcome::Changed });
        let args = node.calls().remove(0).args;
        let commit = scripted::identity().commit;
        for (key, value) in [
            ("step", "9"),
            ("generation", "8"),
            ("manifest_generation", "4"),
            ("plugin_1", "legacy"),
            ("bundle_1", "legacy"),
            ("root_2", "legacy resty/legacy"),
            ("adopt_1", "kong/plugins/old"),
            ("manifest_2", "generation 5"),
            ("commit", commit.as_str()),
        ] {
            assert_eq!(args.get(key), Some(value), "{key}");
        }
        let kept = notes.proven.lock().unwrap().join("\n");
        assert!(kept.contains("/attic/1") && kept.contains("/attic/2"), "{kept}");
        node.plays(Script::Delete, "", Status::Unchanged);
        assert_eq!(run(&node, &notes).await, StepEnd::Done { outcome: Outcome::Unchanged });
        node.loses(Script::Delete, "did drop kong/plugins/legacy");
        assert!(matches!(run(&node, &notes).await, StepEnd::Unknown { .. }));
    }

    #[tokio::test]
    async fn what_holds_it_is_told_and_what_failed_names_the_place() {
        let (node, notes) = (Scripted::default(), Notes::default());
        for (line, why) in [
            ("held conf /etc/kong/kong.conf legacy", "/etc/kong/kong.conf still lists legacy"),
            ("held workers 1", "1 old worker is still at work"),
            ("held workers 3", "3 old workers are still at work"),
            ("held unreadable /etc/kong/kong.conf", "/etc/kong/kong.conf cannot be read"),
        ] {
            node.plays(Script::Delete, line, Status::Refused);
            assert_eq!(run(&node, &notes).await, StepEnd::Skipped { why: SkipReason::Held { why: why.to_owned() } });
        }
        node.plays(Script::Delete, "moved manifest 6", Status::Moved);
        assert!(matches!(run(&node, &notes).await, StepEnd::Skipped { why: SkipReason::NodeMoved { .. } }));
        node.plays(Script::Delete, "problem delete drop kong/plugins/legacy", Status::Failed);
        let StepEnd::Failed { cause } = run(&node, &notes).await else { panic!("it did not fail") };
        assert!(cause.text.contains("eu-1") && cause.text.contains("drop kong/plugins/legacy"), "{cause:?}");
    }
}
