//! Nodes over real sshd, stand-in gateways, deadlines.
