//! Files in which something else declares a cluster's configuration: decK's state files and Kubernetes manifests. A plugin
//! that stands in one of them is put back by the next sync, however often its rows are deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::mistake::{Mistake, Mistakes};
use super::yaml::{self, Kind, Yaml};
use super::{Place, TreePath};
use crate::name::PluginName;

/// A file of this repository that is named by `declared_in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredIn {
    /// The file.
    pub file: TreePath,
    /// Where the inventory names it.
    pub place: Place,
    /// What it declares; nothing until it was read.
    pub declares: Declares,
}

impl DeclaredIn {
    pub(super) fn new(file: TreePath, place: Place) -> Self {
        Self { file, place, declares: Declares::default() }
    }
}

/// What one such file declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declares {
    /// The plugins, each with every place where it is configured.
    pub plugins: BTreeMap<PluginName, Vec<Place>>,
    /// `_info.select_tags` of decK: rows with one of these tags belong to this file.
    pub select_tags: BTreeSet<String>,
}

/// Reads such a file: all of its documents, whatever else is in them. Nothing is executed and nothing is opened. `file_name`
/// is only shown. What is not YAML is an error: nobody could say what it declares.
pub fn declares(file_name: &str, bytes: &[u8]) -> Result<Declares, Mistakes> {
    let fail = |mistake: Mistake| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64 << 10)]);
        Mistakes::new(file_name, Arc::from(&*text), vec![mistake])
    };
    if bytes.len() > yaml::MAX_BYTES {
        let what = format!("the file has {} bytes, more than {}", bytes.len(), yaml::MAX_BYTES);
        return Err(fail(Mistake::new(Place::START, what).instead("name the files that it is made of")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        fail(Mistake::new(Place::START, "the file is not UTF-8").instead("name a decK state file or a manifest"))
    })?;
    let documents = yaml::documents(text).map_err(|fatal| fail(*fatal))?;
    let mut found = Declares::default();
    for document in &documents {
        found.walk(document);
    }
    Ok(found)
}

impl Declares {
    fn walk(&mut self, yaml: &Yaml) {
        if let Kind::List(items) = &yaml.kind {
            return items.iter().for_each(|item| self.walk(item));
        }
        let manifest = matches!(text(yaml, "kind"), Some("KongPlugin" | "KongClusterPlugin"));
        for entry in yaml.entries() {
            match (&*entry.key, &entry.value.kind) {
                ("plugin", _) if manifest => self.plugin(&entry.value),
                ("plugins", Kind::List(items)) => {
                    items.iter().filter_map(|item| item.entry("name")).for_each(|name| self.plugin(&name.value));
                }
                ("_info", _) => self.info(&entry.value),
                // What a plugin is configured with is no configuration of Kong.
                ("config", _) => {}
                _ => self.walk(&entry.value),
            }
        }
    }

    fn plugin(&mut self, name: &Yaml) {
        if let Kind::Scalar(text, _) = &name.kind
            && let Ok(plugin) = PluginName::parse(text)
        {
            self.plugins.entry(plugin).or_default().push(name.at);
        }
    }

    fn info(&mut self, info: &Yaml) {
        let Some(Kind::List(tags)) = info.entry("select_tags").map(|entry| &entry.value.kind) else { return };
        let texts = tags.iter().filter_map(|tag| match &tag.kind {
            Kind::Scalar(text, _) => Some(text.to_string()),
            Kind::List(_) | Kind::Map(_) => None,
        });
        self.select_tags.extend(texts);
    }
}

fn text<'a>(yaml: &'a Yaml, key: &str) -> Option<&'a str> {
    match &yaml.entry(key)?.value.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<String> {
        let found = declares("kong.yaml", text.as_bytes()).unwrap();
        let of = |(name, places): (&PluginName, &Vec<Place>)| {
            places.iter().map(|place| format!("{name} {place}")).collect::<Vec<_>>()
        };
        found.plugins.iter().flat_map(of).collect()
    }

    const DECK: &str = "_format_version: \"3.0\"
_info: { select_tags: [edge, payments], defaults: {} }
plugins:
  - name: legacy-hmac
    config: { plugins: [{ name: not-this }] }
services:
  - name: billing
    plugins: [{ name: acme-auth }]
    routes:
      - name: login
        plugins:
          - { config: {}, name: legacy-hmac }
consumers:
  - { username: x, plugins: [{ name: [7] }, plain] }
";

    #[test]
    fn a_state_file_of_deck_declares_plugins_at_every_level() {
        assert_eq!(places(DECK), ["acme-auth 8:23", "legacy-hmac 4:11", "legacy-hmac 12:33"]);
        let tags = declares("kong.yaml", DECK.as_bytes()).unwrap().select_tags;
        assert_eq!(tags.into_iter().collect::<Vec<_>>(), ["edge", "payments"]);
    }

    #[test]
    fn manifests_declare_by_their_kind_in_any_of_several_documents() {
        let text = "kind: Service\nplugin: not-this\n---\nkind: KongPlugin\nmetadata: { name: p }\nplugin: legacy-hmac\n\
                    ---\nkind: List\nitems:\n  - { kind: KongClusterPlugin, plugin: acme-auth }\n";
        assert_eq!(places(text), ["acme-auth 10:40", "legacy-hmac 6:9"]);
    }

    #[test]
    fn what_else_is_odd_in_such_a_file_is_not_muster_s_business() {
        let text = "a: !tag x\nb: &all { c: 1 }\nd: { <<: *all }\ne: 1\ne: 2\nplugins: [{ name: legacy-hmac }]\n";
        assert_eq!(places(text), ["legacy-hmac 6:19"]);
        assert!(places("").is_empty());
        assert_eq!(places("{\"plugins\": [{\"name\": \"legacy-hmac\"}]}"), ["legacy-hmac 1:23"]);
    }

    #[test]
    fn what_is_not_yaml_is_an_error_with_its_place() {
        let error = declares("kong.yaml", b"plugins:\n  - name: [\n").unwrap_err().to_string();
        assert!(error.starts_with("kong.yaml:"), "{error}");
        assert!(error.contains("this is not YAML"), "{error}");
        let error = declares("kong.yaml", b"\xff").unwrap_err().to_string();
        assert!(error.contains("is not UTF-8"), "{error}");
    }
}
