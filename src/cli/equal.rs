//! The command that carries out what was asked to be shown: the same selection, places and permissions. And commands to type
//! next, with what was chosen by options.

use std::fmt::Write as _;

use super::{Mode, Options};
use crate::hint::{Hint, quoted};
use crate::inventory::Selector;
use crate::plan::{Allow, Plan, Selection};
use crate::run::{Event, Reporter, RunState};
use crate::tui::Carry;

/// `muster --apply …` with every option that has a say in what the plan is. A demo makes its own places.
pub(super) fn apply(options: &Options, demo: bool) -> String {
    if let Some(run) = &options.resumes {
        return placed(&format!("muster resume {run} --yes"), options);
    }
    let mut line = format!("muster {}--apply", if demo { "--demo " } else { "" });
    if options.cluster.is_none() {
        line.push_str(" --all");
    }
    for given in given(options, demo) {
        given.write(&mut line);
    }
    line
}

/// `muster --plan …` with the same options.
pub(super) fn plan(options: &Options, demo: bool) -> String {
    if let Some(run) = &options.resumes {
        return placed(&format!("muster resume {run}"), options);
    }
    let mut line = format!("muster {}--plan", if demo { "--demo " } else { "" });
    for given in given(options, demo) {
        given.write(&mut line);
    }
    line
}

/// The options with another selection and other permissions than were typed: those of a plan that was edited on the screen.
pub(super) fn edited(options: &Options, selection: &Selection, allow: &[Allow]) -> Options {
    let text = |selector: &Option<Selector>| selector.as_ref().map(ToString::to_string);
    Options {
        cluster: text(&selection.clusters),
        node: text(&selection.nodes),
        plugin: text(&selection.plugins),
        reload_unproven: selection.unproven,
        allow: allow.iter().map(ToString::to_string).collect(),
        ..options.clone()
    }
}

/// A command with the places that were given: typed elsewhere, it is about the same repository.
pub(super) fn placed(command: &str, options: &Options) -> String {
    let mut line = command.to_owned();
    let places = ["--repo", "--inventory", "--ssh-config"];
    for given in given(options, false).into_iter().filter(|given| places.contains(&given.option)) {
        given.write(&mut line);
    }
    line
}

/// An option as it was given.
struct Given {
    option: &'static str,
    value: Option<String>,
}

impl Given {
    fn write(&self, line: &mut String) {
        let Self { option, value } = self;
        // Writing to a String cannot fail.
        let _ = match value {
            None => write!(line, " {option}"),
            // With `=`, as a value that begins with a dash would be taken for an option.
            Some(value) => {
                let between = if value.starts_with('-') { "=" } else { " " };
                write!(line, " {option}{between}{}", quoted(value))
            }
        };
    }
}

/// The options that have a say in what is looked at and planned.
fn given(options: &Options, demo: bool) -> Vec<Given> {
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let place = |value: Option<String>| value.filter(|_| !demo);
    let rev = (options.rev != "HEAD").then(|| options.rev.clone());
    let single = [
        ("--cluster", options.cluster.clone()),
        ("--node", options.node.clone()),
        ("--plugin", options.plugin.clone()),
        ("--repo", place(options.repo.as_ref().map(path))),
        ("--rev", rev),
        ("--inventory", options.inventory.clone()),
        ("--ssh-config", place(options.ssh_config.as_ref().map(path))),
        ("--parallel", options.parallel.map(|number| number.to_string())),
    ];
    let single = single.into_iter().filter_map(|(option, value)| Some((option, Some(value?))));
    let allow = options.allow.iter().map(|code| ("--allow", Some(code.clone())));
    let unproven = options.reload_unproven.then_some(("--reload-unproven", None));
    let trial = options.trial.then_some(("--trial", None));
    single.chain(allow).chain(unproven).chain(trial).map(|(option, value)| Given { option, value }).collect()
}

/// What a command looks at the fleet for, by its words behind `muster`.
fn looking(words: &[&str]) -> Option<Mode> {
    match *words.first()? {
        _ if words.contains(&"--plan") => Some(Mode::Plan),
        "status" => Some(Mode::Status),
        "inspect" => Some(Mode::Inspect),
        "explain" => Some(Mode::Explain),
        "doctor" => Some(Mode::Doctor),
        _ => None,
    }
}

/// A hint whose command is one of muster's, with what was chosen by options: typed as it stands, it is about the same fleet
/// and the same part of it. What the command itself says is left as it is; where it names a cluster, a node or plugin that
/// was chosen is left out, as these are of another.
pub(super) fn carried(hint: Hint, options: &Options, demo: bool) -> Hint {
    let Hint::Type(command) = &hint else { return hint };
    let Some(rest) = command.strip_prefix("muster ") else { return hint };
    let words: Vec<&str> = rest.split(' ').collect();
    let has = |word: &str| words.contains(&word);
    let mode = match (looking(&words), words.first()) {
        (Some(mode), _) => mode,
        (None, Some(&"restore-rows")) => Mode::RestoreRows,
        (None, Some(&"resume")) => Mode::Resume,
        _ => return hint,
    };
    if demo && !mode.accepts("--demo") {
        // Nothing of a demo is left to go on with.
        return hint;
    }
    let mut line = format!("muster {}{rest}", if demo { "--demo " } else { "" });
    for given in given(options, demo) {
        let chosen = ["--cluster", "--node", "--plugin"].contains(&given.option);
        let said = given.value.as_ref().is_some_and(|value| given.option == "--allow" && has(value));
        if mode.accepts(given.option) && !said && !(chosen && has("--cluster")) {
            given.write(&mut line);
        }
    }
    Hint::Type(line)
}

/// Gives the commands of the terminal UI the options that were given when it was started.
#[derive(Debug)]
pub(super) struct Carried {
    /// As they were given.
    pub(super) options: Options,
    /// The demo fleet is looked at.
    pub(super) demo: bool,
    /// Where the demo keeps its runs, while it is on.
    pub(super) state: Option<String>,
}

impl Carry for Carried {
    fn carry(&self, command: &str) -> String {
        let Some(rest) = command.strip_prefix("muster ") else { return command.to_owned() };
        let words: Vec<&str> = rest.split(' ').collect();
        let has = |word: &str| words.contains(&word);
        let (mode, places) = match (looking(&words), words.first()) {
            _ if has("--apply") => (Mode::Apply, true),
            (Some(mode), _) => (mode, true),
            (None, Some(&"resume")) => (Mode::Resume, true),
            // What is recorded or built in belongs to no fleet.
            (None, Some(&"runs")) => (Mode::Runs, false),
            _ => return command.to_owned(),
        };
        let recorded = matches!(mode, Mode::Runs | Mode::Resume);
        let anew = self.demo && !recorded;
        // The runs of a demo are where nobody looks, and gone when it ends.
        let state = self.state.as_ref().filter(|_| recorded).map(|dir| format!("XDG_STATE_HOME={} ", quoted(dir)));
        let mut line = state.unwrap_or_default() + "muster " + if anew { "--demo " } else { "" } + rest;
        for given in given(&self.options, anew).iter().filter(|_| places) {
            if mode.accepts(given.option) && !has(given.option) {
                given.write(&mut line);
            }
        }
        line
    }
}

/// The same for each of these.
pub(super) fn carry<'a>(hints: impl Iterator<Item = &'a mut Hint>, options: &Options, demo: bool) {
    for hint in hints {
        *hint = carried(hint.clone(), options, demo);
    }
}

/// Hands events on with the hints of their causes as [`carried`] makes them; the journal has them as they were found.
pub(super) struct CarryingReporter<R> {
    inner: R,
    options: Options,
    demo: bool,
}

impl<R> CarryingReporter<R> {
    pub(super) fn new(inner: R, options: &Options, demo: bool) -> Self {
        Self { inner, options: options.clone(), demo }
    }
}

impl<R: Reporter> Reporter for CarryingReporter<R> {
    fn event(&mut self, event: &Event, state: &RunState) {
        if event.kind.cause().is_none_or(|cause| cause.hints.is_empty()) {
            return self.inner.event(event, state);
        }
        let mut event = event.clone();
        if let Some(cause) = event.kind.cause_mut() {
            carry(cause.hints.iter_mut(), &self.options, self.demo);
        }
        self.inner.event(&event, state);
    }
}

/// The same for everything that stands in a plan's way.
pub(super) fn carry_plan(mut plan: Plan, options: &Options, demo: bool) -> Plan {
    carry(plan.blockers.iter_mut().flat_map(|blocker| &mut blocker.hints), options, demo);
    plan
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::CommandLine;

    fn equal(words: &[&str]) -> String {
        let line = CommandLine::try_parse_from(["muster"].iter().chain(words)).unwrap();
        apply(&line.options, line.demo)
    }

    #[test]
    fn without_a_cluster_it_is_for_all() {
        assert_eq!(equal(&["--plan"]), "muster --apply --all");
        assert_eq!(equal(&["--plan", "--all"]), "muster --apply --all");
        assert_eq!(equal(&["--plan", "--cluster", "eu,us-*"]), "muster --apply --cluster 'eu,us-*'");
        assert_eq!(equal(&["--plan", "--node", "eu-[1-3]"]), "muster --apply --all --node 'eu-[1-3]'");
    }

    #[test]
    fn a_demo_has_places_of_its_own() {
        let mut line = CommandLine::try_parse_from(["muster", "--demo", "--plan", "--plugin", "geo"]).unwrap();
        line.options.repo = Some("/gone/afterwards".into());
        line.options.ssh_config = Some("/gone/too".into());
        assert_eq!(apply(&line.options, true), "muster --demo --apply --all --plugin geo");
    }

    #[test]
    fn it_plans_the_same_when_it_is_typed() {
        let words = [
            "--plan",
            "--cluster=eu",
            "--node=eu-1,zone=a",
            "--plugin=two",
            "--repo=/srv/it's here",
            "--rev=v1.2",
            "--inventory=fleet/inventory.yaml",
            "--ssh-config=-odd",
            "--parallel=4",
            "--allow=managed-conf",
            "--allow=pending-settings=eu-1",
            "--reload-unproven",
            "--trial",
            "--diff",
        ];
        assert_eq!(
            equal(&words),
            "muster --apply --cluster eu --node eu-1,zone=a --plugin two --repo '/srv/it'\\''s here' --rev v1.2 \
             --inventory fleet/inventory.yaml --ssh-config=-odd --parallel 4 --allow managed-conf \
             --allow pending-settings=eu-1 --reload-unproven --trial"
        );
    }

    #[test]
    fn a_plan_that_was_edited_has_a_command_line_that_says_the_same() {
        let line = CommandLine::try_parse_from(["muster", "--cluster=eu-*", "--rev=v1"]).unwrap();
        let selection = Selection {
            clusters: Selector::parse("eu-*,!eu-canary").ok(),
            nodes: Selector::parse("!eu-[1-3]").ok(),
            plugins: Selector::parse("!geo-ip").ok(),
            unproven: false,
        };
        let allow = vec![Allow::parse("pending-settings=eu-7").unwrap(), Allow::parse("after-cluster").unwrap()];
        let edited = edited(&line.options, &selection, &allow);
        let rest = "--cluster 'eu-*,!eu-canary' --node '!eu-[1-3]' --plugin '!geo-ip' --rev v1 \
                    --allow pending-settings=eu-7 --allow after-cluster";
        assert_eq!(plan(&edited, false), format!("muster --plan {rest}"));
        assert_eq!(apply(&edited, true), format!("muster --demo --apply {rest}"));
    }

    #[test]
    fn what_is_printed_is_a_command_line_that_is_accepted() {
        let printed = equal(&["--plan", "--ssh-config=-odd", "--allow=managed-conf", "--parallel=4"]);
        let line = CommandLine::try_parse_from(printed.split(' ')).unwrap();
        assert_eq!(line.misuse(), None);
        assert_eq!(apply(&line.options, line.demo), printed);
    }

    fn on_screen(command: &str, words: &[&str]) -> String {
        let line = CommandLine::try_parse_from(["muster"].iter().chain(words)).unwrap();
        let state = line.demo.then(|| "/tmp/demo/state".to_owned());
        Carried { options: line.options, demo: line.demo, state }.carry(command)
    }

    #[test]
    fn what_a_screen_is_equal_to_is_about_what_was_chosen_at_the_start() {
        let chosen = ["--cluster=eu", "--node=eu-[1-2]", "--repo=/srv/a b", "--rev=v1", "--allow=managed-conf"];
        let places = "--repo '/srv/a b' --rev v1";
        assert_eq!(
            on_screen("muster status", &chosen),
            format!("muster status --cluster eu --node 'eu-[1-2]' {places}")
        );
        assert_eq!(
            on_screen("muster status --node 'eu-*'", &chosen),
            format!("muster status --node 'eu-*' --cluster eu {places}")
        );
        assert_eq!(
            on_screen("muster --apply --cluster eu --node 'eu-[1-2]'", &chosen),
            format!("muster --apply --cluster eu --node 'eu-[1-2]' {places} --allow managed-conf")
        );
        // What is about one node has no selection, and else every option that goes with it.
        assert_eq!(
            on_screen("muster inspect eu-1 --diff", &chosen),
            format!("muster inspect eu-1 --diff {places} --allow managed-conf")
        );
        assert_eq!(
            on_screen("muster explain eu-1 geo", &chosen),
            format!("muster explain eu-1 geo {places} --allow managed-conf")
        );
        assert_eq!(
            on_screen("muster doctor", &chosen),
            format!("muster doctor --cluster eu --node 'eu-[1-2]' {places}")
        );
        assert_eq!(on_screen("muster runs 01J", &chosen), "muster runs 01J");
        assert_eq!(on_screen("muster resume 01J --yes", &["--repo=/srv"]), "muster resume 01J --yes --repo /srv");
        assert_eq!(on_screen("muster keys", &chosen), "muster keys");
    }

    #[test]
    fn in_a_demo_it_is_another_demo_or_the_runs_of_this_one() {
        assert_eq!(on_screen("muster status", &["--demo"]), "muster --demo status");
        assert_eq!(on_screen("muster inspect eu-c1 --diff", &["--demo"]), "muster --demo inspect eu-c1 --diff");
        assert_eq!(on_screen("muster runs 01J", &["--demo"]), "XDG_STATE_HOME=/tmp/demo/state muster runs 01J");
    }

    #[test]
    fn what_a_screen_is_equal_to_is_a_command_line_that_is_accepted() {
        let chosen = ["--cluster=eu", "--node=eu-1", "--allow=managed-conf", "--reload-unproven", "--parallel=4"];
        for command in [
            "muster status",
            "muster --plan",
            "muster --plan --diff",
            "muster --apply --cluster eu",
            "muster resume 01J",
            "muster inspect eu-1 --diff",
            "muster explain eu-1 geo",
            "muster doctor",
        ] {
            let typed = on_screen(command, &chosen);
            let line = CommandLine::try_parse_from(typed.split(' ')).unwrap_or_else(|error| panic!("{typed}: {error}"));
            assert_eq!(line.misuse(), None, "{typed}");
        }
    }

    fn next(command: &str, words: &[&str]) -> String {
        let line = CommandLine::try_parse_from(["muster"].iter().chain(words)).unwrap();
        match carried(Hint::type_(command), &line.options, line.demo) {
            Hint::Type(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_to_be_typed_next_is_about_what_was_chosen() {
        let chosen =
            ["--plan", "--cluster=eu", "--node=eu-[1-2]", "--repo=/srv/a b", "--rev=v1", "--allow=managed-conf"];
        let places = "--repo '/srv/a b' --rev v1";
        assert_eq!(
            next("muster --plan --allow pending-settings=eu-1", &chosen),
            format!(
                "muster --plan --allow pending-settings=eu-1 --cluster eu --node 'eu-[1-2]' {places} --allow managed-conf"
            )
        );
        assert_eq!(
            next("muster --plan --cluster us", &chosen),
            format!("muster --plan --cluster us {places} --allow managed-conf")
        );
        assert_eq!(next("muster status", &chosen), format!("muster status --cluster eu --node 'eu-[1-2]' {places}"));
        assert_eq!(next("muster inspect eu-1", &chosen), format!("muster inspect eu-1 {places} --allow managed-conf"));
        assert_eq!(next("muster --plan", &["--demo", "--plan", "--node=c-1"]), "muster --demo --plan --node c-1");
        // A run has a commit of its own; rows come back by a run of their own.
        assert_eq!(next("muster resume 01JD3", &chosen), "muster resume 01JD3 --repo '/srv/a b' --allow managed-conf");
        assert_eq!(next("muster restore-rows 01JD3", &chosen), format!("muster restore-rows 01JD3 {places}"));
        assert_eq!(next("muster restore-rows 01JD3", &["--demo"]), "muster restore-rows 01JD3");
        for other in ["ssh eu-1", "muster --help", "muster-other --plan"] {
            assert_eq!(next(other, &chosen), other);
        }
    }

    #[test]
    fn what_is_to_be_typed_next_is_a_command_line_that_is_accepted() {
        let chosen =
            ["--plan", "--cluster=eu", "--node=eu-1", "--allow=managed-conf", "--reload-unproven", "--ssh-config=-odd"];
        for command in ["muster --plan --allow pending-settings=eu-1", "muster status", "muster --plan"] {
            let typed = next(command, &chosen);
            let line = CommandLine::try_parse_from(typed.split(' ')).unwrap();
            assert_eq!(line.misuse(), None, "{typed}");
        }
    }
}
