//! What a removal does, in words that the command line and the terminal UI share: its three steps, and how far its first one
//! reaches.

use std::collections::{BTreeMap, BTreeSet};

use super::Removal;
use crate::action::Withdrawal;
use crate::name::{NodeName, PluginName};
use crate::survey::PluginRow;

/// Where a step of a removal is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// Not at all, in this plan.
    Nowhere,
    /// Once for the cluster.
    Once,
    /// On these nodes.
    Nodes(&'a [NodeName]),
}

/// One of the three steps of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalStep<'a> {
    /// Number and name: `1 un-apply`.
    pub name: &'static str,
    /// Where.
    pub at: At<'a>,
    /// How, or why not.
    pub how: String,
}

/// What a row applies to, from what hits most requests to what hits fewest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Breadth {
    Global,
    Service,
    Route,
    ConsumerGroup,
    Consumer,
    /// Several at once, which is narrower than each of them.
    Several,
}

impl Breadth {
    fn of(row: &PluginRow) -> Self {
        let starts = |word: &str| row.scope.starts_with(word);
        match () {
            () if row.scope == "global" => Self::Global,
            () if row.scope.contains(", ") => Self::Several,
            () if starts("service ") => Self::Service,
            () if starts("route ") => Self::Route,
            () if starts("consumer group ") => Self::ConsumerGroup,
            () if starts("consumer ") => Self::Consumer,
            () => Self::Several,
        }
    }

    fn words(self, number: usize) -> String {
        let (one, more) = match self {
            Self::Global => ("global", "global"),
            Self::Service => ("service", "services"),
            Self::Route => ("route", "routes"),
            Self::ConsumerGroup => ("consumer group", "consumer groups"),
            Self::Consumer => ("consumer", "consumers"),
            Self::Several => ("combination of these", "combinations of these"),
        };
        format!("{number} {}", if number == 1 { one } else { more })
    }
}

fn plural(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

impl Removal {
    /// The three steps, in order.
    pub fn steps(&self) -> [RemovalStep<'_>; 3] {
        let step = |name, at, how| RemovalStep { name, at, how };
        let (once, unapply) = self.unapply();
        [
            step("1 un-apply", if once { At::Once } else { At::Nowhere }, unapply),
            step("2 directive", At::on(&self.directive), self.directive_words()),
            step("3 files", At::on(&self.files), self.files_words()),
        ]
    }

    fn unapply(&self) -> (bool, String) {
        let all = plural(self.row_count(), "row");
        match self.how {
            None if self.row_count() == 0 => (false, "no row uses it".to_owned()),
            None => (false, format!("held, see below; used by {all}:")),
            Some(Withdrawal::Delete) => (true, format!("DELETES {all}, kept in the undo bundle:")),
            Some(Withdrawal::Disable) => (true, format!("DISABLES {} of {all}:", self.withdraws())),
        }
    }

    fn directive_words(&self) -> String {
        let how = match self.directive.len() {
            0 if self.held.is_empty() => "no node lists it",
            0 => "held, see below",
            1 => "in its one reload; rows are counted again right before",
            _ => "in the one reload of each; rows are counted again right before each",
        };
        how.to_owned()
    }

    fn files_words(&self) -> String {
        match (self.files.len(), self.proven_by) {
            (0, _) if self.held.is_empty() => "none of ours are left".to_owned(),
            (0, _) => "held, see below".to_owned(),
            (_, 1) => "once it has proven step 2 and its old workers have ended".to_owned(),
            (_, all) => format!("once all {all} have proven step 2 and their old workers have ended"),
        }
    }

    /// How many rows use it, disabled ones too.
    pub fn row_count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// The rows, those first that hit most requests; disabled ones last.
    pub fn worst_first(&self) -> Vec<(&PluginName, &PluginRow)> {
        let mut rows: Vec<_> =
            self.rows.iter().flat_map(|(name, rows)| rows.iter().map(move |row| (name, row))).collect();
        rows.sort_by_key(|(_, row)| (!row.enabled, Breadth::of(row)));
        rows
    }

    /// What uses it, a line for each row, the worst first: scope, workspace, disabled or not; the plugin where there are
    /// several. Of more than `most` rows the rest is a number.
    pub fn row_lines(&self, most: usize) -> Vec<String> {
        let named = self.rows.len() > 1;
        let line = |(plugin, row): (&PluginName, &PluginRow)| {
            if named { format!("{plugin}: {}", row.words()) } else { row.words() }
        };
        let mut lines: Vec<String> = self.worst_first().into_iter().take(most).map(line).collect();
        let more = self.row_count().saturating_sub(most);
        if more > 0 {
            lines.push(format!("and {more} more; muster --plan --format json has them all"));
        }
        lines
    }

    /// How far the un-apply reaches, the worst first: what loses the plugin, what does not change as it is disabled already,
    /// and through which nodes that traffic goes. Nothing where no row is withdrawn.
    pub fn reach(&self) -> Vec<String> {
        if self.withdraws() == 0 {
            return Vec::new();
        }
        let mut found: BTreeMap<Breadth, usize> = BTreeMap::new();
        let mut global = BTreeSet::new();
        let enabled = self.rows.values().flatten().filter(|row| row.enabled);
        for row in enabled {
            let breadth = Breadth::of(row);
            *found.entry(breadth).or_default() += 1;
            if breadth == Breadth::Global {
                global.insert(row.workspace.as_deref());
            }
        }
        let counts = found.into_iter().map(|(breadth, number)| match breadth {
            Breadth::Global => format!("{} ({})", breadth.words(number), every_request(&global)),
            _ => breadth.words(number),
        });
        let counts: Vec<String> = counts.collect();
        let disabled = self.rows.values().flatten().filter(|row| !row.enabled).count();
        let mut lines = Vec::new();
        if counts.is_empty() {
            lines.push("traffic loses nothing: all of these rows are disabled".to_owned());
            return lines;
        }
        lines.push(format!("traffic loses it in {}", counts.join(", ")));
        if disabled > 0 {
            let are = if disabled == 1 { "is" } else { "are" };
            lines.push(format!("{} {are} disabled already: no traffic loses it there", plural(disabled, "row")));
        }
        lines.push(match self.proven_by {
            1 => "on the one node of the cluster, as soon as the rows are gone and before its reload".to_owned(),
            all => format!("on all {all} nodes of the cluster, as soon as the rows are gone and before any reload"),
        });
        lines
    }
}

/// Which requests a global row is about.
fn every_request(workspaces: &BTreeSet<Option<&str>>) -> String {
    let named: Vec<&str> = workspaces.iter().filter_map(|name| *name).collect();
    match named[..] {
        [] => "every request".to_owned(),
        [one] => format!("every request of workspace {one}"),
        _ => format!("every request of workspaces {}", named.join(", ")),
    }
}

impl<'a> At<'a> {
    fn on(nodes: &'a [NodeName]) -> Self {
        if nodes.is_empty() { Self::Nowhere } else { Self::Nodes(nodes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scope: &str, workspace: Option<&str>, enabled: bool) -> PluginRow {
        let workspace = workspace.map(str::to_owned);
        PluginRow { id: scope.into(), enabled, scope: scope.into(), workspace, tags: Vec::new(), updated_at: None }
    }

    fn removal(how: Option<Withdrawal>, rows: Vec<PluginRow>) -> Removal {
        Removal {
            name: "legacy".into(),
            how,
            rows: [(PluginName::parse("legacy").unwrap(), rows)].into(),
            directive: Vec::new(),
            files: Vec::new(),
            proven_by: 3,
            held: Vec::new(),
        }
    }

    #[test]
    fn the_reach_says_the_worst_first_and_disabled_rows_apart() {
        let rows = vec![
            row("consumer a", None, true),
            row("route login, consumer a", None, true),
            row("service billing", None, true),
            row("service carts", None, false),
            row("route login", None, true),
            row("global", Some("team-x"), true),
            row("service pay", None, true),
        ];
        let removal = removal(Some(Withdrawal::Delete), rows);
        assert_eq!(
            removal.reach(),
            [
                "traffic loses it in 1 global (every request of workspace team-x), 2 services, 1 route, 1 consumer, \
                 1 combination of these",
                "1 row is disabled already: no traffic loses it there",
                "on all 3 nodes of the cluster, as soon as the rows are gone and before any reload",
            ]
        );
        let lines = removal.row_lines(2);
        assert_eq!(lines[0], "global (workspace team-x)");
        assert_eq!(lines[2], "and 5 more; muster --plan --format json has them all");
        assert_eq!(removal.row_lines(9).last().unwrap(), "service carts, disabled");
    }

    #[test]
    fn what_no_traffic_passes_reaches_nothing() {
        let disabled = || vec![row("global", None, false)];
        let reach = removal(Some(Withdrawal::Delete), disabled()).reach();
        assert_eq!(reach, ["traffic loses nothing: all of these rows are disabled"]);
        assert!(removal(None, disabled()).reach().is_empty(), "nothing is withdrawn");
        assert!(removal(Some(Withdrawal::Disable), disabled()).reach().is_empty(), "nothing is disabled again");
    }

    #[test]
    fn a_step_says_where_and_how_or_why_not() {
        let mut held = removal(None, vec![row("global", None, true)]);
        held.held = vec!["rows use it".to_owned()];
        let steps = held.steps();
        assert!(steps.iter().all(|step| step.at == At::Nowhere), "{steps:?}");
        assert_eq!(steps[0].how, "held, see below; used by 1 row:");
        let gone = removal(Some(Withdrawal::Delete), vec![row("global", None, true)]);
        assert_eq!((gone.steps()[0].at, gone.steps()[1].how.as_str()), (At::Once, "no node lists it"));
    }
}
