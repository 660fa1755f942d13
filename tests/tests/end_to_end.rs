// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bundle made and run as its users do it: `elfuse-bundle IMAGE -o box`, then
//! `elfuse-bundle run box ...`, on images of real packages.

#[path = "end_to_end/agent.rs"]
mod agent;
#[path = "end_to_end/cache.rs"]
mod cache;
#[path = "end_to_end/common.rs"]
mod common;
#[path = "end_to_end/errors.rs"]
mod errors;
#[path = "end_to_end/examples.rs"]
mod examples;
#[path = "end_to_end/exec_terminal.rs"]
mod exec_terminal;
#[path = "end_to_end/files.rs"]
mod files;
#[path = "end_to_end/gron.rs"]
mod gron;
#[path = "end_to_end/init.rs"]
mod init;
#[path = "end_to_end/kills.rs"]
mod kills;
#[path = "end_to_end/named.rs"]
mod named;
#[path = "end_to_end/network.rs"]
mod network;
#[path = "end_to_end/person.rs"]
mod person;
#[path = "end_to_end/python.rs"]
mod python;
#[path = "end_to_end/run.rs"]
mod run;
#[path = "end_to_end/terminal.rs"]
mod terminal;
#[path = "end_to_end/warm.rs"]
mod warm;
