//! What the demo fleet runs: four small plugins, and the inventories of yesterday and today.

use std::fmt::Write as _;

use super::DemoNode;

/// A handler that adds one header.
pub(super) fn handler(header: &str, value: &str, version: &str, priority: u32) -> String {
    format!(
        "local Handler = {{\n  VERSION = \"{version}\",\n  PRIORITY = {priority},\n}}\n\n\
         function Handler:header_filter(conf)\n  kong.response.set_header(\"{header}\", conf.value or \"{value}\")\nend\n\n\
         return Handler\n"
    )
}

/// A schema with one optional field.
pub(super) fn schema(name: &str) -> String {
    format!(
        "local typedefs = require \"kong.db.schema.typedefs\"\n\nreturn {{\n  name = \"{name}\",\n  fields = {{\n    \
         {{ consumer = typedefs.no_consumer }},\n    {{ protocols = typedefs.protocols_http }},\n    {{ config = {{\n      \
         type = \"record\",\n      fields = {{ {{ value = {{ type = \"string\" }} }} }},\n    }} }},\n  }},\n}}\n"
    )
}

/// The inventory of the demo. `today` has the upgrade, the new plugin and the one that goes.
pub(super) fn inventory(nodes: &[DemoNode], today: bool) -> String {
    let auth = if today { "2.0.0" } else { "1.4.2" };
    let mut text = format!(
        "# The inventory of the demo fleet: six stand-in gateways on this machine.\n\
         version: 1\nowner: demo\ndefaults:\n  become: none\n  transport: {}\n\
         bundles:\n  acme-auth:\n    \"1.4.2\": {{ dir: plugins/acme-auth, at: acme-auth-v1.4.2 }}\n",
        nodes.first().map_or("local", |node| node.transport)
    );
    if today {
        text.push_str("    \"2.0.0\": { dir: plugins/acme-auth }\n");
    }
    text.push_str("  header-guard: { dir: plugins/header-guard }\n");
    text.push_str(if today {
        "  request-tag: { dir: plugins/request-tag }\n"
    } else {
        "  legacy-hmac: { dir: plugins/legacy-hmac }\n"
    });
    text.push_str("clusters:\n");
    let rollout = if today {
        "{ waves: [1, 100%], at_once: 3, max_out: 2, soak: 1s }"
    } else {
        "{ waves: [100%], at_once: 6, max_out: 6, soak: 0s }"
    };
    for cluster in ["eu-canary", "eu-prod"] {
        let _ = write!(text, "  {cluster}:\n    topology: traditional\n    rollout: {rollout}\n    nodes:\n");
        for node in nodes.iter().filter(|node| node.cluster == cluster) {
            let DemoNode { name, dir, .. } = node;
            let _ = writeln!(
                text,
                "      {name}: {{ kong: {{ conf: {dir}/etc/kong.conf, prefix: {dir}/prefix, lua_root: {dir}/lua, home: {dir}/muster, \
                 cli: {dir}/bin/kong }} }}"
            );
        }
        let _ = writeln!(text, "    plugins:\n      acme-auth: \"{auth}\"\n      header-guard: present");
        if today {
            text.push_str("      request-tag: present\n");
        }
        if cluster == "eu-prod" {
            let gone = "{ state: absent, unapply: delete }";
            let _ = writeln!(text, "      legacy-hmac: {}", if today { gone } else { "present" });
        }
    }
    text
}
