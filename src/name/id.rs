//! Names of nodes, clusters, plugins, bundles, owners and runs.

use super::text_id;

const MAX: usize = 253;

fn check(text: &str, first: fn(char) -> bool, rest: fn(char) -> bool, rule: &str) -> Result<(), String> {
    let mut chars = text.chars();
    match chars.next() {
        None => Err("it is empty".to_owned()),
        Some(_) if text.len() > MAX => Err(format!("it is longer than {MAX} characters")),
        Some(c) if !first(c) => Err(format!("it may not begin with {c:?}; {rule}")),
        Some(_) => match chars.find(|c| !rest(*c)) {
            Some(c) => Err(format!("it may not contain {c:?}; {rule}")),
            None => Ok(()),
        },
    }
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn host(text: &str) -> Result<(), String> {
    check(
        text,
        |c| alphanumeric(c) || c == '_' || c == ':',
        |c| alphanumeric(c) || "_.:%-".contains(c),
        "allowed are letters, digits and _ . : % -, beginning with a letter or digit",
    )
}

fn label(text: &str) -> Result<(), String> {
    check(
        text,
        alphanumeric,
        |c| alphanumeric(c) || "_.-".contains(c),
        "allowed are letters, digits and _ . -, beginning with a letter or digit",
    )
}

fn plugin(text: &str) -> Result<(), String> {
    check(
        text,
        |c| alphanumeric(c) || c == '_',
        |c| alphanumeric(c) || "_-".contains(c),
        "allowed are letters, digits and _ -, as in the directory kong/plugins/NAME",
    )?;
    match text {
        "bundled" | "off" => Err(format!("`{text}` has a meaning of its own in the plugins directive")),
        // Kong splits any value that contains this text at each of its letters (facts.md A1).
        _ if text.contains("_blank_") => Err("Kong breaks values that contain `_blank_`".to_owned()),
        _ => Ok(()),
    }
}

text_id!(
    /// A node of the inventory, unique in the whole inventory; by default also the host that ssh is given, so
    /// that the characters are those that ssh cannot take for an option or a shell for syntax (crates.md 1).
    NodeName, "node name", "^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$", host
);
text_id!(
    /// A Kong cluster: the nodes that share one configuration (a database, a control plane), and the unit of a rollout.
    ClusterName, "cluster name", "^[A-Za-z0-9][A-Za-z0-9_.-]*$", label
);
text_id!(
    /// A plugin as Kong names it: the directory under `kong/plugins`, the word in the `plugins` directive.
    PluginName, "plugin name", "^[A-Za-z0-9_][A-Za-z0-9_-]*$", plugin
);
text_id!(
    /// A bundle of the inventory: content that ships together and may hold several plugins.
    BundleName, "bundle name", "^[A-Za-z0-9][A-Za-z0-9_.-]*$", label
);
text_id!(
    /// Who owns what an inventory installs; written into the node's manifest beside every entry.
    Owner, "owner", "^[A-Za-z0-9][A-Za-z0-9_.-]*$", label
);
text_id!(
    /// One execution of a plan: a ULID, so that ids sort by time.
    RunId, "run id", "^[0-9A-HJKMNP-TV-Z]{26}$", |text| {
        ulid::Ulid::from_string(text).map(|_| ()).map_err(|e| format!("it is not a ULID ({e})"))
    }
);

impl RunId {
    /// A run id from the time in milliseconds since 1970 and 80 random bits.
    pub fn from_parts(milliseconds: u64, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(milliseconds, random).to_string().into())
    }

    /// When it was made, in milliseconds since 1970, by the clock of the operator's machine.
    pub fn milliseconds(&self) -> u64 {
        ulid::Ulid::from_string(&self.0).map_or(0, |id| id.timestamp_ms())
    }

    /// The first ten characters: the time part, enough to tell runs apart on a screen.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}
