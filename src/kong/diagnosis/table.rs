//! The failures that Kong has a text for: one entry each, in the order in which their texts are looked for.

use super::Cause;

/// Who speaks: a text counts only there, as a plugin may write anything into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Log, command and Admin API alike.
    Any,
    /// The `kong` command, on its standard error.
    Cli,
    /// An answer of Kong's APIs.
    Reply,
}

/// A text that settles the cause by itself.
#[derive(Debug)]
pub(super) struct Sign {
    /// The text.
    pub(super) text: &'static str,
    /// What has to stand in the same entry besides; empty: nothing.
    pub(super) also: &'static str,
    /// Who says it.
    pub(super) spoken: Spoken,
    /// What stands before and behind the plugin's name, where the text holds one.
    pub(super) plugin: Option<(&'static str, &'static str)>,
}

/// One failure.
#[derive(Debug)]
pub(super) struct Entry {
    /// What it is.
    pub(super) cause: Cause,
    /// Its stable word, which is the name of its page, too.
    pub(super) code: &'static str,
    /// In a few words.
    pub(super) title: &'static str,
    /// What it means, in one sentence.
    pub(super) meaning: &'static str,
    /// What to do about it.
    pub(super) fix: &'static str,
    /// Its texts; none where it is known by the shape of an entry alone (`super::load_error`).
    pub(super) signs: &'static [Sign],
    /// Its page.
    pub(super) page: &'static str,
    /// It stands beside the failure that it follows, and is told behind it.
    pub(super) beside: bool,
}

impl Cause {
    /// All causes, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.cause)
    }

    /// The cause of this stable word.
    pub fn of_code(code: &str) -> Option<Self> {
        TABLE.iter().find(|entry| entry.code == code).map(|entry| entry.cause)
    }

    fn entry(self) -> &'static Entry {
        // Every cause has an entry: a test holds it. The last is the one for all that has none.
        TABLE.iter().find(|entry| entry.cause == self).unwrap_or(&TABLE[TABLE.len() - 1])
    }

    /// Its stable word, such as `missing-module`.
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.entry().meaning
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.entry().fix
    }

    /// Where its page is in the repository.
    pub fn place(self) -> String {
        format!("docs/errors/{}.md", self.code())
    }

    /// Its page: what is seen, what it means, what to do, how to check.
    pub fn page(self) -> &'static str {
        self.entry().page
    }

    /// It is told behind the failures that it stands beside.
    pub(super) fn is_beside(self) -> bool {
        self.entry().beside
    }
}

/// The most telling first: a text may hold several signs. Sources: facts.md B4; measured.md 1, 3, 5, 7, 8, 10, 12 with the
/// transcripts; the troubleshooting section of Kong's own page on installing plugins.
pub(super) const TABLE: &[Entry] = &[
    Entry {
        cause: Cause::WorkersBroken,
        code: "workers-broken",
        title: "the workers run without a configuration",
        meaning: "the workers run without a configuration and answer every request with nothing",
        fix: "put the name back into the directive and reload; a restart alone does not help",
        signs: &[
            Sign {
                text: "worker initialization error",
                also: "",
                spoken: Spoken::Any,
                plugin: Some((" ", " plugin is in use but not enabled")),
            },
            Sign {
                text: "earlier initialization errors",
                also: "",
                spoken: Spoken::Any,
                plugin: Some((" ", " plugin is in use but not enabled")),
            },
            Sign { text: "index local 'plugins_iterator' (a nil value)", also: "", spoken: Spoken::Any, plugin: None },
        ],
        page: include_str!("../../../docs/errors/workers-broken.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NotInstalled,
        code: "not-installed",
        title: "a plugin is enabled and not installed",
        meaning: "the directive names a plugin whose handler the master finds nowhere, or may not read",
        fix: "check that the files are below a directory of lua_package_path and readable by the master's user",
        signs: &[
            Sign {
                text: " plugin is enabled but not installed",
                also: "",
                spoken: Spoken::Any,
                plugin: Some((" ", " plugin is enabled but not installed")),
            },
            Sign { text: "attempt to index upvalue 'kong' (a nil value)", also: "", spoken: Spoken::Cli, plugin: None },
        ],
        page: include_str!("../../../docs/errors/not-installed.md"),
        beside: false,
    },
    Entry {
        cause: Cause::EmptyName,
        code: "empty-name",
        title: "the directive has an empty name",
        meaning: "the directive has a comma too many, so that Kong looks for a plugin without a name",
        fix: "take the doubled or trailing comma out of `plugins`",
        signs: &[],
        page: include_str!("../../../docs/errors/empty-name.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NoSchema,
        code: "no-schema",
        title: "a plugin has no schema",
        meaning: "the plugin has a handler and no schema",
        fix: "add schema.lua to the plugin",
        signs: &[Sign {
            text: "no configuration schema found for plugin: ",
            also: "",
            spoken: Spoken::Any,
            plugin: Some(("for plugin: ", "\n")),
        }],
        page: include_str!("../../../docs/errors/no-schema.md"),
        beside: false,
    },
    Entry {
        cause: Cause::BadVersion,
        code: "bad-version",
        title: "VERSION is not a version",
        meaning: "the plugin's handler has no VERSION of the form x.y.z",
        fix: "write VERSION = \"1.0.0\" into the handler's table",
        signs: &[Sign {
            text: "VERSION field does not follow",
            also: "",
            spoken: Spoken::Any,
            plugin: Some(("Plugin \"", "\" cannot be loaded")),
        }],
        page: include_str!("../../../docs/errors/bad-version.md"),
        beside: false,
    },
    Entry {
        cause: Cause::BadPriority,
        code: "bad-priority",
        title: "PRIORITY is not a number",
        meaning: "the plugin's handler has no PRIORITY that is a whole number",
        fix: "write PRIORITY = 1000 into the handler's table",
        signs: &[Sign {
            text: "PRIORITY field is not a valid integer",
            also: "",
            spoken: Spoken::Any,
            plugin: Some(("Plugin \"", "\" cannot be loaded")),
        }],
        page: include_str!("../../../docs/errors/bad-priority.md"),
        beside: false,
    },
    Entry {
        cause: Cause::ConflictingPhases,
        code: "conflicting-phases",
        title: "phases that exclude each other",
        meaning: "the plugin has `response` together with `header_filter` or `body_filter`",
        fix: "use either `response` or the two filters",
        signs: &[Sign {
            text: "because it implements both `response`",
            also: "",
            spoken: Spoken::Any,
            plugin: Some(("Plugin \"", "\" can")),
        }],
        page: include_str!("../../../docs/errors/conflicting-phases.md"),
        beside: false,
    },
    Entry {
        cause: Cause::PluginsFrozen,
        code: "plugins-frozen",
        title: "the set of plugins is frozen",
        meaning: "a running node met a row of a plugin that it has not enabled, and takes over no further change of any plugin",
        fix: "enable the plugin on this node, or delete the rows; the next change is taken over then",
        signs: &[Sign {
            text: "could not rebuild plugins iterator",
            also: "",
            spoken: Spoken::Any,
            plugin: Some((" ", " plugin is in use but not enabled")),
        }],
        page: include_str!("../../../docs/errors/plugins-frozen.md"),
        beside: false,
    },
    Entry {
        cause: Cause::InUseNotEnabled,
        code: "in-use-not-enabled",
        title: "a plugin is in use and not enabled",
        meaning: "rows use a plugin that the directive does not name",
        fix: "put the name back into the directive, or delete the rows first",
        signs: &[Sign {
            text: " plugin is in use but not enabled",
            also: "",
            spoken: Spoken::Any,
            plugin: Some((" ", " plugin is in use but not enabled")),
        }],
        page: include_str!("../../../docs/errors/in-use-not-enabled.md"),
        beside: false,
    },
    Entry {
        cause: Cause::ConfiguredNotEnabled,
        code: "configured-not-enabled",
        title: "a configuration names a plugin that is not enabled",
        meaning: "a configuration names a plugin that the directive of this node does not",
        fix: "put the name into the directive, or take the plugin out of the configuration first",
        signs: &[Sign {
            text: "' not enabled; add it to the 'plugins'",
            also: "",
            spoken: Spoken::Any,
            plugin: Some(("plugin '", "' not enabled; add")),
        }],
        page: include_str!("../../../docs/errors/configured-not-enabled.md"),
        beside: false,
    },
    Entry {
        cause: Cause::RowInvalid,
        code: "row-invalid",
        title: "a row is not as its schema wants it",
        meaning: "the Admin API refused a row: a field is not as the plugin's schema wants it",
        fix: "correct the field that the message names",
        signs: &[Sign { text: "\"name\":\"schema violation\"", also: "", spoken: Spoken::Reply, plugin: None }],
        page: include_str!("../../../docs/errors/row-invalid.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NotLoaded,
        code: "not-loaded",
        title: "the node knows no such plugin",
        meaning: "the node that answered has not loaded a plugin of this name",
        fix: "bring the plugin to this node and reload, or ask another one",
        signs: &[Sign { text: "No plugin named '", also: "", spoken: Spoken::Reply, plugin: Some(("named '", "'\"")) }],
        page: include_str!("../../../docs/errors/not-loaded.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NoDatabaseWrites,
        code: "no-database-writes",
        title: "a node without a database takes no writes",
        meaning: "the Admin API of a node without a database takes no changes of rows",
        fix: "change the declarative configuration instead; on a data plane: its control plane",
        signs: &[Sign { text: "entities when not using a database", also: "", spoken: Spoken::Reply, plugin: None }],
        page: include_str!("../../../docs/errors/no-database-writes.md"),
        beside: false,
    },
    Entry {
        cause: Cause::RowExists,
        code: "row-exists",
        title: "there is such a row already",
        meaning: "the plugin is configured on this scope already",
        fix: "change the row that is there, or choose another scope",
        signs: &[Sign { text: "UNIQUE violation detected", also: "", spoken: Spoken::Reply, plugin: None }],
        page: include_str!("../../../docs/errors/row-exists.md"),
        beside: false,
    },
    Entry {
        cause: Cause::RowReferenced,
        code: "row-referenced",
        title: "something still refers to it",
        meaning: "an entity cannot be deleted while another refers to it",
        fix: "delete what refers to it first",
        signs: &[Sign { text: "entity references this", also: "", spoken: Spoken::Reply, plugin: None }],
        page: include_str!("../../../docs/errors/row-referenced.md"),
        beside: false,
    },
    Entry {
        cause: Cause::DeclarativeInvalid,
        code: "declarative-invalid",
        title: "the declarative configuration is invalid",
        meaning: "the declarative configuration is not one that this Kong takes",
        fix: "correct the entry that the message names in the declarative file",
        signs: &[
            Sign { text: "error parsing declarative config", also: "", spoken: Spoken::Any, plugin: None },
            Sign { text: "declarative config is invalid", also: "", spoken: Spoken::Reply, plugin: None },
            Sign { text: "Error: Failed parsing:", also: "", spoken: Spoken::Cli, plugin: None },
        ],
        page: include_str!("../../../docs/errors/declarative-invalid.md"),
        beside: false,
    },
    Entry {
        cause: Cause::OldStyle,
        code: "old-style",
        title: "a plugin for Kong 2",
        meaning: "the plugin was written for Kong 2 and uses what 3.0 took away",
        fix: "port it: a schema with `name` and `fields`, and a handler that is a plain table",
        signs: &[Sign { text: "no_consumer: unknown field", also: "", spoken: Spoken::Any, plugin: None }],
        page: include_str!("../../../docs/errors/old-style.md"),
        beside: false,
    },
    Entry {
        cause: Cause::SchemaViolation,
        code: "schema-violation",
        title: "schema.lua is not a schema",
        meaning: "the plugin's schema is not one that this Kong takes",
        fix: "correct the field that the message names in schema.lua",
        signs: &[Sign { text: "schema violation", also: "", spoken: Spoken::Any, plugin: None }],
        page: include_str!("../../../docs/errors/schema-violation.md"),
        beside: false,
    },
    Entry {
        cause: Cause::MigrationsPending,
        code: "migrations-pending",
        title: "migrations have not been run",
        meaning: "a plugin brings database migrations that have not been run",
        fix: "run `kong migrations up` once for the cluster, with the new directive",
        signs: &[
            Sign { text: "New migrations available", also: "", spoken: Spoken::Any, plugin: None },
            Sign { text: "Database needs bootstrapping", also: "", spoken: Spoken::Any, plugin: None },
        ],
        page: include_str!("../../../docs/errors/migrations-pending.md"),
        beside: false,
    },
    Entry {
        cause: Cause::ReturnsNothing,
        code: "returns-nothing",
        title: "a handler returns nothing",
        meaning: "a handler returns nothing; the file may be empty or cut off",
        fix: "end handler.lua with `return` and the handler's table; check that the file is whole",
        signs: &[Sign {
            text: "attempt to index local 'handler' (a boolean value)",
            also: "",
            spoken: Spoken::Any,
            plugin: None,
        }],
        page: include_str!("../../../docs/errors/returns-nothing.md"),
        beside: false,
    },
    Entry {
        cause: Cause::EnvUnreadable,
        code: "env-unreadable",
        title: ".kong_env cannot be read",
        meaning: "the master may not read .kong_env: another user wrote it",
        fix: "give .kong_env back to the master's user",
        signs: &[Sign { text: ".kong_env: Permission denied", also: "", spoken: Spoken::Any, plugin: None }],
        page: include_str!("../../../docs/errors/env-unreadable.md"),
        beside: false,
    },
    Entry {
        cause: Cause::DatabaseUnreachable,
        code: "database-unreachable",
        title: "the database does not answer",
        meaning: "the database did not answer",
        fix: "bring the database back; nothing was applied",
        signs: &[
            Sign { text: "[PostgreSQL error]", also: "", spoken: Spoken::Any, plugin: None },
            Sign { text: "failed to retrieve PostgreSQL", also: "", spoken: Spoken::Any, plugin: None },
        ],
        page: include_str!("../../../docs/errors/database-unreachable.md"),
        beside: false,
    },
    Entry {
        cause: Cause::PrefixRace,
        code: "prefix-race",
        title: "two kong commands at once",
        meaning: "two kong commands wrote the same prefix at the same time",
        fix: "run it again, alone; see who else runs kong commands there",
        signs: &[Sign {
            text: "SSL_CTX_load_verify_locations(",
            also: ".ca_combined",
            spoken: Spoken::Any,
            plugin: None,
        }],
        page: include_str!("../../../docs/errors/prefix-race.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NginxRefused,
        code: "nginx-refused",
        title: "nginx refuses its configuration",
        meaning: "nginx refused its configuration or could not listen",
        fix: "read the message; it names the file and the line of nginx's configuration",
        signs: &[
            Sign { text: "[emerg]", also: "", spoken: Spoken::Any, plugin: None },
            Sign { text: "nginx configuration is invalid", also: "", spoken: Spoken::Any, plugin: None },
        ],
        page: include_str!("../../../docs/errors/nginx-refused.md"),
        beside: false,
    },
    Entry {
        cause: Cause::InvalidSetting,
        code: "invalid-setting",
        title: "a setting has a value that Kong does not take",
        meaning: "a setting has a value that Kong does not take; nothing was written",
        fix: "correct the value; the message lists what is allowed",
        signs: &[
            Sign { text: " has an invalid value: ", also: "", spoken: Spoken::Cli, plugin: None },
            Sign { text: " must be of form: ", also: "", spoken: Spoken::Cli, plugin: None },
        ],
        page: include_str!("../../../docs/errors/invalid-setting.md"),
        beside: false,
    },
    Entry {
        cause: Cause::ConfNotFound,
        code: "conf-not-found",
        title: "the configuration file is not there",
        meaning: "the configuration file that was named is not there",
        fix: "name the file that Kong was started with: `kong: { conf: … }` in the inventory",
        signs: &[Sign { text: "no file at: ", also: "", spoken: Spoken::Cli, plugin: None }],
        page: include_str!("../../../docs/errors/conf-not-found.md"),
        beside: false,
    },
    Entry {
        cause: Cause::PrefixNotFound,
        code: "prefix-not-found",
        title: "the prefix is not there",
        meaning: "there is no such prefix directory",
        fix: "name the prefix that Kong runs with: `kong: { prefix: … }` in the inventory",
        signs: &[Sign { text: "no such prefix: ", also: "", spoken: Spoken::Cli, plugin: None }],
        page: include_str!("../../../docs/errors/prefix-not-found.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NotRunning,
        code: "not-running",
        title: "Kong does not run in that prefix",
        meaning: "Kong does not run in that prefix, or belongs to a user that may not be signalled",
        fix: "start it; if it runs, ask as the user of its master, and with its prefix",
        signs: &[
            Sign { text: "nginx not running in prefix: ", also: "", spoken: Spoken::Cli, plugin: None },
            Sign { text: "Kong is not running at ", also: "", spoken: Spoken::Cli, plugin: None },
        ],
        page: include_str!("../../../docs/errors/not-running.md"),
        beside: false,
    },
    Entry {
        cause: Cause::AlreadyRunning,
        code: "already-running",
        title: "Kong runs already",
        meaning: "a start found a Kong that runs in the same prefix",
        fix: "reload instead; after a stop wait until the master is gone",
        signs: &[Sign { text: "Kong is already running in ", also: "", spoken: Spoken::Cli, plugin: None }],
        page: include_str!("../../../docs/errors/already-running.md"),
        beside: false,
    },
    Entry {
        cause: Cause::DataPlaneLacksPlugin,
        code: "data-plane-lacks-plugin",
        title: "a data plane lacks a plugin",
        meaning: "the control plane sends a data plane nothing at all, as a configured plugin is missing there",
        fix: "bring the plugin to that data plane and reload it; what was held back arrives by itself",
        signs: &[Sign {
            text: "is missing from data plane",
            also: "unable to send updated configuration to data plane",
            spoken: Spoken::Any,
            plugin: Some(("configured ", " is missing from data plane")),
        }],
        page: include_str!("../../../docs/errors/data-plane-lacks-plugin.md"),
        beside: false,
    },
    Entry {
        cause: Cause::DataPlaneVersion,
        code: "data-plane-version",
        title: "a data plane has another version of a plugin",
        meaning: "the control plane sends a data plane nothing, as a plugin there has another major version or a newer minor one",
        fix: "upgrade control planes before data planes; bring both to one version",
        signs: &[Sign {
            text: "is different to control plane plugin version",
            also: "unable to send updated configuration to data plane",
            spoken: Spoken::Any,
            plugin: Some(("data plane ", " plugin version")),
        }],
        page: include_str!("../../../docs/errors/data-plane-version.md"),
        beside: false,
    },
    Entry {
        cause: Cause::NotReady,
        code: "not-ready",
        title: "Kong says that it is not ready",
        meaning: "Kong says that it is not ready, although it may serve: after a failed reload it says so until a good one",
        fix: "find what failed the last reload, mend it, and reload",
        signs: &[Sign { text: "router builds not yet complete", also: "", spoken: Spoken::Reply, plugin: None }],
        page: include_str!("../../../docs/errors/not-ready.md"),
        beside: true,
    },
    Entry {
        cause: Cause::ControlPlaneUnreachable,
        code: "control-plane-unreachable",
        title: "the control plane cannot be reached",
        meaning: "a data plane cannot reach its control plane and serves its last configuration",
        fix: "bring the control plane or the way to it back; the data plane tries again by itself",
        signs: &[Sign {
            text: "[clustering] connection to control plane",
            also: "broken",
            spoken: Spoken::Any,
            plugin: None,
        }],
        page: include_str!("../../../docs/errors/control-plane-unreachable.md"),
        beside: true,
    },
    Entry {
        cause: Cause::MemoryCleared,
        code: "memory-cleared",
        title: "shared memory was cleared by a load",
        meaning: "a load cleared the shared memory of workers that go on: mostly a reload that failed",
        fix: "look for the failure of the last reload; this line is only its mark",
        signs: &[Sign { text: "[cluster_events] no 'at' in shm", also: "", spoken: Spoken::Any, plugin: None }],
        page: include_str!("../../../docs/errors/memory-cleared.md"),
        beside: true,
    },
    Entry {
        cause: Cause::SyntaxError,
        code: "syntax-error",
        title: "a Lua file does not compile",
        meaning: "a Lua file does not compile",
        fix: "correct the line, commit, and plan again",
        signs: &[],
        page: include_str!("../../../docs/errors/syntax-error.md"),
        beside: false,
    },
    Entry {
        cause: Cause::MissingModule,
        code: "missing-module",
        title: "a module is not found",
        meaning: "the plugin requires a module that is not on this node",
        fix: "ship the module in a bundle, or install it on the node first",
        signs: &[],
        page: include_str!("../../../docs/errors/missing-module.md"),
        beside: false,
    },
    Entry {
        cause: Cause::ErrorAtLoad,
        code: "error-at-load",
        title: "code failed while it was loaded",
        meaning: "the plugin's code raised an error while it was loaded",
        fix: "read the line: code outside of functions runs when the plugin is loaded",
        signs: &[],
        page: include_str!("../../../docs/errors/error-at-load.md"),
        beside: false,
    },
    Entry {
        cause: Cause::Other,
        code: "other",
        title: "Kong could not load its configuration",
        meaning: "Kong's start failed",
        fix: "read the message and the lines below it in the log",
        signs: &[],
        page: include_str!("../../../docs/errors/other.md"),
        beside: false,
    },
];
