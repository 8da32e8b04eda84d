//! One grammar for choosing: `on:`, `--node`, `--cluster`, `--plugin`, the filter of the TUI.
//!
//! Terms joined by commas, of which any may hold: a name (`eu-1`), a name with numbers (`eu-[1-9,11]`) or wildcards
//! (`eu-*`, `eu-?`), a label (`zone=a`, its value with wildcards too), or `cluster=NAME`. A term behind `!` leaves out what
//! it would choose, wherever it stands among the others; a selector of such terms only chooses all but these. Case matters.
//! A bare name is always the name of the kind of thing being chosen: of a node after `--node` and in `on:`, of a cluster
//! after `--cluster`, of a plugin after `--plugin`. To choose a cluster's nodes where nodes are chosen, write
//! `cluster=NAME`.

use std::fmt;

use super::pattern::Pattern;
use super::{Cluster, LabelName, Labels};
use crate::hint::Hint;
use crate::name::{ClusterName, NodeName, PluginName, collapse};

/// Longer than any that a person types; a bound for matching.
const LONGEST: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Name(Pattern),
    Label(LabelName, Pattern),
    Cluster(Pattern),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// As it was written, with the `!`.
    text: String,
    kind: Kind,
    /// It leaves out what it matches.
    not: bool,
}

/// A choice of nodes, clusters or plugins.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Selector(Vec<Term>);

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{term:?} cannot be used to choose: {why}")]
pub struct SelectorError {
    /// The term, or the whole text where it has no terms; shortened to 80 characters.
    pub term: String,
    /// What is wrong with it.
    pub why: String,
}

impl SelectorError {
    fn new(term: &str, why: impl Into<String>) -> Self {
        Self { term: term.chars().take(80).collect(), why: why.into() }
    }

    /// What to write instead.
    pub fn hints(&self) -> Vec<Hint> {
        let whole = if self.term.is_empty() { "write" } else { "instead write" };
        vec![Hint::do_(format!(
            "{whole} names, ranges, wildcards or labels, joined by commas, behind ! what is left out: \
             eu-1,eu-[3-9],us-*,zone=a,!us-2"
        ))]
    }
}

impl Selector {
    /// Reads a choice of nodes: names, numbers, wildcards, labels, `cluster=NAME`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            return Err(SelectorError::new(text, format!("it is longer than {LONGEST} bytes")));
        }
        let terms = split(text).into_iter().map(Term::parse).collect::<Result<_, _>>()?;
        Ok(Self(terms))
    }

    /// The choice of exactly these nodes, as a person would write it; an empty one chooses none.
    pub fn of_nodes<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> Result<Self, SelectorError> {
        let written = collapse(nodes);
        let terms = split(&written).into_iter().filter(|term| !term.is_empty());
        Ok(Self(terms.map(Term::parse).collect::<Result<_, _>>()?))
    }

    /// Reads a choice of clusters or plugins: the same grammar without labels, which only nodes have.
    pub fn parse_names(text: &str) -> Result<Self, SelectorError> {
        let selector = Self::parse(text)?;
        match selector.0.iter().find(|term| !matches!(term.kind, Kind::Name(_))) {
            Some(term) => Err(SelectorError::new(&term.text, "labels choose nodes; here only names can be chosen")),
            None => Ok(selector),
        }
    }

    /// Whether this node, with these labels and in this cluster, is chosen.
    pub fn matches(&self, node: &NodeName, labels: &Labels, cluster: &ClusterName) -> bool {
        self.chooses(|term| term.matches(node, labels, cluster))
    }

    /// What any term matches, or anything where all terms leave something out, but for what these match. Without any term,
    /// nothing.
    fn chooses(&self, matches: impl Fn(&Term) -> bool) -> bool {
        let mut wanted = self.0.iter().filter(|term| !term.not).peekable();
        let in_it = (wanted.peek().is_none() && !self.0.is_empty()) || wanted.any(&matches);
        in_it && !self.0.iter().filter(|term| term.not).any(matches)
    }

    /// This choice, or everything where there is none, without these names or ranges of names.
    pub fn without<'a>(
        of: Option<&Self>,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, SelectorError> {
        let out = names.into_iter().map(|name| format!("!{name}"));
        let terms: Vec<String> = of.map(ToString::to_string).into_iter().chain(out).collect();
        if terms.is_empty() { Ok(None) } else { Self::parse(&terms.join(",")).map(Some) }
    }

    /// Whether this cluster is chosen by its bare name.
    pub fn matches_cluster(&self, cluster: &ClusterName) -> bool {
        self.matches_name(cluster.as_str())
    }

    /// Whether this plugin is chosen by its bare name.
    pub fn matches_plugin(&self, plugin: &PluginName) -> bool {
        self.matches_name(plugin.as_str())
    }

    /// Whether a thing of this name is chosen; labels choose nothing here.
    pub fn matches_name(&self, name: &str) -> bool {
        self.chooses(|term| matches!(&term.kind, Kind::Name(pattern) if pattern.matches(name)))
    }

    /// The terms that match none of these names, each as it was typed: a slip of the pen that must be said.
    pub fn idle_names(&self, names: &[&str]) -> Vec<&str> {
        let idle = |term: &&Term| match &term.kind {
            Kind::Name(pattern) => !names.iter().any(|name| pattern.matches(name)),
            Kind::Label(..) | Kind::Cluster(_) => true,
        };
        self.0.iter().filter(idle).map(|term| term.text.as_str()).collect()
    }

    /// The terms that match no node of these clusters, each as it was typed.
    pub fn idle_nodes(&self, clusters: &[&Cluster]) -> Vec<&str> {
        let idle = |term: &&Term| {
            let mut nodes = clusters.iter().flat_map(|cluster| cluster.nodes.values());
            !nodes.any(|node| term.matches(&node.name, &node.labels, &node.cluster))
        };
        self.0.iter().filter(idle).map(|term| term.text.as_str()).collect()
    }

    /// How many letters it has: what trying it costs.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|term| term.text.len()).sum()
    }

    /// The terms that are one exact name, chosen or left out: references, which must lead somewhere. Without the `!`.
    pub(super) fn exact_names(&self) -> impl Iterator<Item = &str> {
        let exact = |term: &&Term| matches!(&term.kind, Kind::Name(pattern) if pattern.is_literal());
        self.0.iter().filter(exact).map(Term::bare)
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self, SelectorError> {
        let bad = |why: String| SelectorError::new(text, why);
        let (not, bare) = text.strip_prefix('!').map_or((false, text), |bare| (true, bare));
        let kind = match bare.split_once('=') {
            None => Kind::Name(pattern(bare).map_err(bad)?),
            Some(("cluster", name)) => Kind::Cluster(pattern(name).map_err(bad)?),
            Some((label, value)) => {
                let label = LabelName::parse(label).map_err(|error| bad(error.to_string()))?;
                Kind::Label(label, pattern(value).map_err(bad)?)
            }
        };
        Ok(Self { text: text.to_owned(), kind, not })
    }

    /// As it was written, without the `!`.
    fn bare(&self) -> &str {
        self.text.strip_prefix('!').unwrap_or(&self.text)
    }

    fn matches(&self, node: &NodeName, labels: &Labels, cluster: &ClusterName) -> bool {
        match &self.kind {
            Kind::Name(pattern) => pattern.matches(node.as_str()),
            Kind::Cluster(pattern) => pattern.matches(cluster.as_str()),
            Kind::Label(name, pattern) => labels.get(name).is_some_and(|value| pattern.matches(value.as_str())),
        }
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let odd = |c: &char| !(c.is_ascii_alphanumeric() || "_.:%/-*?[],".contains(*c));
    match text.chars().find(odd) {
        _ if text.is_empty() => Err("it is empty".to_owned()),
        Some(c) => Err(format!("no name contains {c:?}")),
        None => Pattern::parse(text),
    }
}

/// The terms between the commas that are not inside brackets, without the spaces around them.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    let terms = text.split(move |c| {
        inside = c == '[' || (inside && c != ']');
        c == ',' && !inside
    });
    terms.map(str::trim).collect()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<&str> = self.0.iter().map(|term| term.text.as_str()).collect();
        f.write_str(&terms.join(","))
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl serde::Serialize for Selector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Selector {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Names, ranges, wildcards or labels, joined by commas; behind ! what is left out: eu-1,eu-[3-9],us-*,zone=a,!us-2.",
            "type": "string", "minLength": 1
        })
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inventory::LabelValue;

    fn chosen(selector: &str, node: &str) -> bool {
        let labels = Labels::from([(LabelName::parse("zone").unwrap(), LabelValue::parse("a").unwrap())]);
        let cluster = ClusterName::parse("eu-prod").unwrap();
        Selector::parse(selector).unwrap().matches(&NodeName::parse(node).unwrap(), &labels, &cluster)
    }

    #[test]
    fn names_numbers_wildcards_and_labels_choose() {
        for selector in ["eu-11", "eu-[1-9,11]", "eu-*", "eu-?1", "zone=a", "zone=*", "cluster=eu-prod", "x, eu-11"] {
            assert!(chosen(selector, "eu-11"), "{selector}");
        }
        for selector in ["eu-1", "eu-[1-9]", "us-*", "zone=b", "rack=a", "cluster=eu", "eu-prod", "EU-11"] {
            assert!(!chosen(selector, "eu-11"), "{selector}");
        }
    }

    #[test]
    fn a_comma_inside_brackets_is_no_union() {
        assert!(chosen("us-1,eu-[1,11],us-2", "eu-11"));
        assert_eq!(Selector::parse("a,b[1,2],c").unwrap().to_string(), "a,b[1,2],c");
        assert_eq!(split("a,b[1,2],c"), ["a", "b[1,2]", "c"]);
    }

    #[test]
    fn a_cluster_is_chosen_by_its_bare_name_only_among_clusters() {
        let cluster = ClusterName::parse("eu-prod").unwrap();
        assert!(Selector::parse_names("eu-*").unwrap().matches_cluster(&cluster));
        assert!(!chosen("eu-prod", "eu-11"));
        assert!(Selector::parse_names("zone=a").is_err());
        assert!(Selector::parse_names("cluster=eu-prod").is_err());
    }

    #[test]
    fn what_stands_behind_an_exclamation_mark_is_left_out_wherever_it_stands() {
        for selector in ["!eu-1", "!us-*", "eu-*,!eu-[1-9]", "!eu-1,eu-*", "!zone=b", "zone=a,!cluster=us", "!rack=*"] {
            assert!(chosen(selector, "eu-11"), "{selector}");
        }
        for selector in
            ["!eu-11", "eu-*,!eu-1?", "!eu-[1-3,11],eu-*", "!zone=a", "eu-11,!cluster=eu-prod", "us-*,!eu-1"]
        {
            assert!(!chosen(selector, "eu-11"), "{selector}");
        }
        assert!(Selector::parse_names("!zone=a").is_err());
    }

    #[test]
    fn a_name_that_is_left_out_has_to_exist_as_well() {
        let selector = Selector::parse("!eu-1,!us-*,eu-*").unwrap();
        assert_eq!(selector.idle_names(&["eu-2"]), ["!eu-1", "!us-*"]);
        assert_eq!(selector.exact_names().collect::<Vec<_>>(), ["eu-1"]);
    }

    #[test]
    fn a_choice_is_narrowed_by_names() {
        let eu = Selector::parse("eu-*").unwrap();
        let text = |of, names: &[&str]| Selector::without(of, names.iter().copied()).unwrap().map(|s| s.to_string());
        assert_eq!(text(Some(&eu), &["eu-1", "eu-2"]).as_deref(), Some("eu-*,!eu-1,!eu-2"));
        assert_eq!(text(None, &["eu-1"]).as_deref(), Some("!eu-1"));
        assert_eq!(text(None, &[]), None);
    }

    #[test]
    fn what_cannot_choose_is_refused_with_the_term() {
        for (bad, term) in
            [("", ""), ("a,,b", ""), ("a,-[x]", "-[x]"), ("a b", "a b"), ("=x", "=x"), ("z=", "z="), ("a;b", "a;b")]
        {
            let error = Selector::parse(bad).unwrap_err();
            assert_eq!(error.term, term, "{bad}");
            assert!(!error.hints().is_empty());
        }
        assert!(Selector::parse(&"x".repeat(20_000)).is_err());
    }

    #[test]
    fn terms_that_choose_nothing_are_named() {
        let selector = Selector::parse("eu-1,us-*,zone=a").unwrap();
        assert_eq!(selector.idle_names(&["eu-1", "eu-2"]), ["us-*", "zone=a"]);
        assert_eq!(selector.exact_names().collect::<Vec<_>>(), ["eu-1"]);
    }

    #[test]
    fn the_choice_of_some_nodes_chooses_exactly_these() {
        let all: Vec<NodeName> =
            ["eu-1", "eu-2", "eu-3", "eu-03", "eu-10", "gw", "gw.example.org", "10.0.0.7", "10.0.0.8", "fe80::1%eth0"]
                .iter()
                .map(|name| NodeName::parse(name).unwrap())
                .collect();
        let cluster = ClusterName::parse("eu-1").unwrap();
        for mask in 0..1usize << all.len() {
            let some: Vec<&NodeName> =
                all.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, node)| node).collect();
            let selector = Selector::of_nodes(some.iter().copied()).unwrap();
            let chosen: Vec<&NodeName> =
                all.iter().filter(|node| selector.matches(node, &Labels::new(), &cluster)).collect();
            assert_eq!(chosen, some, "{selector}");
        }
        let many: Vec<NodeName> = (0..5_000).map(|at| NodeName::parse(&format!("n{}", 2 * at)).unwrap()).collect();
        assert!(
            Selector::of_nodes(&many).unwrap().matches(&many[4_999], &Labels::new(), &cluster),
            "longer than a person types"
        );
    }

    proptest! {
        #[test]
        fn a_name_chooses_itself_and_no_other(name in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", other in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}") {
            let selector = Selector::parse(&name).unwrap();
            prop_assert!(selector.matches_name(&name));
            prop_assert_eq!(selector.matches_name(&other), name == other);
        }

        #[test]
        fn a_union_chooses_what_either_does(a in "[a-c?*]{1,4}", b in "[a-c?*]{1,4}", name in "[a-c]{1,4}") {
            let matches = |text: &str| Selector::parse(text).unwrap().matches_name(&name);
            prop_assert_eq!(matches(&format!("{a},{b}")), matches(&a) || matches(&b));
        }

        #[test]
        fn what_is_chosen_and_left_out_is_not_chosen(a in "[a-c?*]{1,4}", b in "[a-c?*]{1,4}", name in "[a-c]{1,4}") {
            let matches = |text: &str| Selector::parse(text).unwrap().matches_name(&name);
            let (none, rest) = (matches(&format!("{a},!{a}")), matches(&format!("!{a},{a},{b}")));
            prop_assert!(!none, "it is chosen and left out");
            prop_assert!(!(rest && matches(&a)), "the order of the terms does not matter");
            prop_assert_eq!(matches(&format!("{b},!{a}")), matches(&b) && !matches(&a));
            prop_assert_eq!(matches(&format!("!{a}")), !matches(&a));
        }

        #[test]
        fn shown_and_read_again_it_is_the_same(text in "[a-c0-3?*=,!\\[\\] -]{0,16}") {
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
            }
        }
    }
}
