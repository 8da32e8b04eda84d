//! The scripts that run on nodes, under dash, busybox and bash, each call framed as the transport frames it.

mod activate;
mod admin;
mod asked;
mod boundaries;
mod candidate;
mod delete;
mod deliver;
mod detail;
mod discover;
mod gateway;
mod lease;
mod log;
mod origin;
mod races;
mod rehearse;
mod speak;
mod survey;
mod texts;
