//! The identifiers that the whole program speaks in.
//!
//! Owns: what a valid name, path, digest or revision is. Must not know: where one comes from or what it is used for.
//! Every identifier is parsed once, at the door; behind it no bare `String` names a thing of the domain.

mod digest;
mod id;
pub(crate) mod intern;
mod list;
mod path;
mod shared;

pub use digest::{Digest, Hasher, Revision};
pub use id::{BundleName, ClusterName, NodeName, Owner, PluginName, RunId};
pub use list::{collapse, natural};
pub use path::{BundlePath, NodePath};
pub use shared::{Pool, Recall, Shared};

/// Why a text is not the identifier that it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}: {why}")]
pub struct NameError {
    /// The kind of identifier, in the words of docs/architecture.md ("node name").
    pub what: &'static str,
    /// The text as it was found, shortened to 80 characters.
    pub text: String,
    /// What is wrong with it, with what would be right.
    pub why: String,
}

impl NameError {
    pub(crate) fn new(what: &'static str, text: &str, why: impl Into<String>) -> Self {
        Self { what, text: text.chars().take(80).collect(), why: why.into() }
    }
}

/// Implements the conversions that every text identifier has: parsing, display, order by text, serde as a string.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Parses the text, or says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, $crate::name::NameError> {
                let check: fn(&str) -> Result<(), String> = $check;
                match check(text) {
                    Ok(()) => Ok(Self($crate::name::intern::text(text))),
                    Err(why) => Err($crate::name::NameError::new($what, text, why)),
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::name::NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::name::NameError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
pub(crate) use text_id;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_safe_to_hand_to_ssh() {
        for good in ["eu-1", "10.0.0.41", "gw.example.org", "fe80::1%eth0", "a_b"] {
            assert!(NodeName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a\nb", "a/b", "a;b", "é", &"x".repeat(254)] {
            assert!(NodeName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plugin_names_cannot_break_the_directive() {
        for good in ["acme-auth", "key_auth2", "jwt"] {
            assert!(PluginName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a,b", "a b", "../x", "a/b", "bundled", "off", "a.b", "my_blank_plugin", "-x"] {
            assert!(PluginName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_of_a_bundle_stay_below_its_root() {
        for good in ["kong/plugins/x/handler.lua", "resty/x.lua", "a/b c/d"] {
            assert!(BundlePath::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a/", "a\nb", "a\u{1b}b", "a\\b"] {
            assert!(BundlePath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn node_paths_are_absolute_and_clean() {
        for good in ["/", "/etc/kong/kong.conf", "/a/k'o\"n $(id)/x"] {
            assert!(NodePath::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "etc/kong", "/a/../b", "/a//b", "/a/b/", "/a\nb", "/a\0b"] {
            assert!(NodePath::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(NodePath::parse("/a").unwrap().join("b/c").unwrap().as_str(), "/a/b/c");
        assert_eq!(NodePath::parse("/").unwrap().join("b").unwrap().as_str(), "/b");
    }

    #[test]
    fn digests_are_written_and_read_alike() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::parse(digest.as_str()).unwrap(), digest);
        assert_eq!(digest.short(), "ba7816bf8f01");
        assert!(Digest::parse("ba78").is_err());
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), digest);
    }
}
