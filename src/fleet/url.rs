//! Admin APIs by URL: only the operator's own settings name one, and a repository cannot lead it elsewhere.

use std::collections::BTreeMap;

use super::operator::{Guarded, Operator, OperatorError, UrlKeys, text};
use crate::hint::{Hint, Sealed};
use crate::inventory::{Cluster, Inventory, Node};
use crate::name::NodeName;
use crate::remote::{Trust, Web};

/// The URL of every node whose cluster has one in the operator's settings.
pub(super) fn urls(operator: &Operator, inventory: &Inventory) -> Result<BTreeMap<NodeName, Web>, OperatorError> {
    let mut urls = BTreeMap::new();
    for cluster in inventory.clusters.values() {
        let Some(keys) = operator.url_of(&cluster.name) else { continue };
        let wrong = |what: String, fix: &str| {
            OperatorError::new(format!("the URL for cluster {}: {what}", cluster.name), Hint::do_(fix))
        };
        let fixed = fixed(keys).map_err(|what| {
            wrong(
                what,
                "write a domain of your own behind it, as in https://{node}.admin.example.net:8444, or name its `ca`",
            )
        })?;
        if fixed && cluster.active().count() > 1 {
            let what = format!("{} speaks for one node, and there are {}", keys.url, cluster.active().count());
            return Err(wrong(what, "write {node} or {host} into it, so that each node is asked for itself"));
        }
        let trust = trust(operator, cluster, keys)?;
        for node in cluster.active() {
            let url = of_node(&keys.url, node);
            let web = Web::new(&url, &trust);
            let web = web.map_err(|what| wrong(what, "correct `url`, `ca`, `cert` and `key` in admin.yaml"))?;
            urls.insert(node.name.clone(), web);
        }
    }
    Ok(urls)
}

fn of_node(url: &str, node: &Node) -> String {
    url.replace("{node}", node.name.as_str()).replace("{host}", node.host.as_ref())
}

/// Whether it is the same for every node. Names of nodes come from a repository: where they were the end of the name that is
/// contacted, it could be anybody's with a certificate that this machine believes, and be given the token.
fn fixed(keys: &UrlKeys) -> Result<bool, String> {
    let Some(at) = keys.url.rfind('}') else { return Ok(true) };
    let own_domain =
        keys.url[at + 1..].strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
    if own_domain || keys.ca.is_some() {
        return Ok(false);
    }
    Err(format!("{} would contact whatever an inventory says", keys.url))
}

fn trust(operator: &Operator, cluster: &Cluster, keys: &UrlKeys) -> Result<Trust, OperatorError> {
    let read = |path: &std::path::Path, guarded: Guarded| -> Result<Vec<u8>, OperatorError> {
        let path = operator.path(path);
        match text(&path, guarded) {
            Ok(Some(text)) => Ok(text.into_bytes()),
            Ok(None) => {
                let what = format!("the URL for cluster {}: there is no {}", cluster.name, path.display());
                Err(OperatorError::new(what, Hint::do_("put the file there, or name another one in admin.yaml")))
            }
            Err(error) => Err(error),
        }
    };
    let ca = keys.ca.as_deref().map(|path| read(path, Guarded::Writing)).transpose()?;
    let identity = match &keys.identity {
        None => None,
        Some((cert, key)) => Some((read(cert, Guarded::Writing)?, Sealed::new(read(key, Guarded::Reading)?))),
    };
    Ok(Trust { ca, identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str, nodes: &str, more: &str) -> Result<Vec<String>, String> {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("muster");
        std::fs::create_dir(&dir).unwrap();
        let ca = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap().cert.pem();
        std::fs::write(dir.join("ca.pem"), ca).unwrap();
        std::fs::write(dir.join("admin.yaml"), format!("clusters: {{ eu: {{ url: \"{url}\"{more} }} }}")).unwrap();
        let vars = BTreeMap::from([("XDG_CONFIG_HOME".to_owned(), home.path().display().to_string())]);
        let text = format!("version: 1\nowner: o\nclusters: {{ eu: {{ topology: traditional, nodes: {nodes} }} }}\n");
        let inventory = crate::inventory::parse("inventory.yaml", text.as_bytes()).unwrap();
        let urls =
            Operator::read(&vars).and_then(|operator| urls(&operator, &inventory)).map_err(|error| error.what)?;
        Ok(urls.into_iter().map(|(node, web)| format!("{node} {web}")).collect())
    }

    #[test]
    fn each_node_has_its_own_url() {
        let of = |url: &str, more: &str| found(url, "{ a: { host: 10.0.0.1 }, b: {}, c: { out: \"x\" } }", more);
        let named = of("https://{node}.admin.example.net:8444", "").unwrap();
        assert_eq!(named, ["a https://a.admin.example.net:8444", "b https://b.admin.example.net:8444"]);
        let hosts = of("https://{host}:8444", ", ca: ca.pem").unwrap();
        assert_eq!(hosts, ["a https://10.0.0.1:8444", "b https://b:8444"]);
    }

    #[test]
    fn a_repository_cannot_lead_it_elsewhere() {
        for url in ["https://{host}:8444", "https://{node}", "https://{host}.:8444", "https://x.{host}:8444"] {
            let error = found(url, "{ a: { host: evil.example } }", "").unwrap_err();
            assert!(error.contains("would contact whatever an inventory says"), "{url}: {error}");
        }
    }

    #[test]
    fn one_url_is_for_one_node() {
        let one = found("https://admin.example.net", "[a]", "").unwrap();
        assert_eq!(one, ["a https://admin.example.net:443"]);
        let error = found("https://admin.example.net", "[a, b]", "").unwrap_err();
        assert!(error.contains("speaks for one node, and there are 2"), "{error}");
    }

    #[test]
    fn files_that_are_missing_or_for_everybody_are_told() {
        let error = found("https://admin.example.net", "[a]", ", ca: none.pem").unwrap_err();
        assert!(error.contains("there is no ") && error.ends_with("none.pem"), "{error}");
        let error = found("https://admin.example.net", "[a]", ", cert: ca.pem, key: ca.pem").unwrap_err();
        assert!(error.starts_with("others may read "), "{error}");
    }
}
