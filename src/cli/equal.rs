//! The command that carries out what was asked to be shown: the same selection, places and permissions.

use std::fmt::Write as _;

use super::Options;

/// `muster --apply …` with every option that has a say in what the plan is. A demo makes its own places.
pub(super) fn apply(options: &Options, demo: bool) -> String {
    if let Some(run) = &options.resumes {
        return format!("muster resume {run} --yes");
    }
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
    let single = single.into_iter().filter_map(|(option, value)| Some((option, value?)));
    let allow = options.allow.iter().map(|code| ("--allow", code.clone()));
    let mut line = format!("muster {}--apply", if demo { "--demo " } else { "" });
    if options.cluster.is_none() {
        line.push_str(" --all");
    }
    for (option, value) in single.chain(allow) {
        // With `=`, as a value that begins with a dash would be taken for an option.
        let between = if value.starts_with('-') { "=" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(line, " {option}{between}{}", quoted(&value));
    }
    if options.reload_unproven {
        line.push_str(" --reload-unproven");
    }
    line
}

/// A word as a POSIX shell has to be given it: in single quotes where any character of it could mean something.
fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
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
            "--diff",
        ];
        assert_eq!(
            equal(&words),
            "muster --apply --cluster eu --node eu-1,zone=a --plugin two --repo '/srv/it'\\''s here' --rev v1.2 \
             --inventory fleet/inventory.yaml --ssh-config=-odd --parallel 4 --allow managed-conf \
             --allow pending-settings=eu-1 --reload-unproven"
        );
    }

    #[test]
    fn what_is_printed_is_a_command_line_that_is_accepted() {
        let printed = equal(&["--plan", "--ssh-config=-odd", "--allow=managed-conf", "--parallel=4"]);
        let line = CommandLine::try_parse_from(printed.split(' ')).unwrap();
        assert_eq!(line.misuse(), None);
        assert_eq!(apply(&line.options, line.demo), printed);
    }
}
