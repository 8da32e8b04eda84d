//! The contract suite: what a gateway does, asserted on the stand-in always and on a real Kong where there is one.
//!
//! - nothing set: the stand-in, as 3.9.1 and as 3.4.2
//! - `MUSTER_KONG=/path/to/kong`: that Kong too, DB-less, unchanged. Needs no root, only a temporary directory and
//!   loopback addresses with the ports 8000, 8001 and 8007 free
//! - `MUSTER_PG=postgres://user:password@host:port/database` too: the tests of a database and of hybrid clusters as well, on
//!   that database, which is bootstrapped and whose `plugins` are deleted; those of a control plane want ports 8005 and 8006
//!
//! Each test says where its assertion was measured. What only a stand-in can be told (a fault) is asked of it alone.

#![cfg(feature = "lua")]

mod candidate;
mod command_line;
mod database;
mod declarative;
mod enterprise;
mod failures;
mod files;
pub(crate) mod gateway;
mod hybrid;
mod overlap;
mod precedence;
mod prefix;
pub(crate) mod probe;
mod releases;
mod stand_in;
mod started;
mod stored;
mod whole;
