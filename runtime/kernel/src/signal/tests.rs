// SPDX-License-Identifier: MIT OR Apache-2.0
//! Queues and sets of signals.

use linux_abi::signal::{SI_QUEUE, SI_USER, SIGINT, SIGRTMIN, SIGSEGV, SIGTERM, SigInfo};

use super::{Default, Pending, SigSet, default_action};

#[test]
fn ordinary_signal_is_pending_once() {
    let mut pending = Pending::default();
    pending.push(SigInfo::new(SIGINT, SI_USER));
    pending.push(SigInfo::new(SIGINT, SI_USER));
    assert!(pending.take(!SigSet::EMPTY).is_some());
    assert!(pending.take(!SigSet::EMPTY).is_none());
}

#[test]
fn real_time_signals_queue_in_order() {
    let mut pending = Pending::default();
    for value in 0..3 {
        pending.push(SigInfo::new(SIGRTMIN + 1, SI_QUEUE).with_value(value));
    }
    let values: Vec<_> = std::iter::from_fn(|| pending.take(!SigSet::EMPTY))
        .map(|info| info.fields[1])
        .collect();
    assert_eq!(values, [0, 1, 2]);
    assert!(pending.is_empty());
}

#[test]
fn fault_of_the_program_goes_before_lower_numbers() {
    let mut pending = Pending::default();
    pending.push(SigInfo::new(SIGINT, SI_USER));
    pending.push(SigInfo::new(SIGSEGV, SI_USER));
    assert_eq!(pending.take(!SigSet::EMPTY).map(|i| i.signo), Some(SIGSEGV));
    assert_eq!(pending.take(!SigSet::EMPTY).map(|i| i.signo), Some(SIGINT));
}

#[test]
fn take_respects_the_wanted_set() {
    let mut pending = Pending::default();
    pending.push(SigInfo::new(SIGTERM, SI_USER));
    assert!(pending.take(!SigSet::of(&[SIGTERM])).is_none());
    pending.flush(SigSet::of(&[SIGTERM]));
    assert!(pending.is_empty());
}

#[test]
fn defaults_are_those_of_signal_7() {
    assert_eq!(default_action(17), Default::Ignore);
    assert_eq!(default_action(20), Default::Stop);
    assert_eq!(default_action(11), Default::End { dumps_core: true });
    assert_eq!(default_action(40), Default::End { dumps_core: false });
}
