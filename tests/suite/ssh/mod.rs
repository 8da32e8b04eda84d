//! Connections over real sshd.
