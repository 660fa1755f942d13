//! tty
pub mod ldisc;
