// SPDX-License-Identifier: MIT OR Apache-2.0
//! Record locks against a model that keeps one entry per byte.

use linux_abi::Errno;
use proptest::prelude::*;

use super::{FileLocks, LockKind, LockOwner, RecordLock};

const BYTES: usize = 24;

fn owner(n: u64) -> LockOwner {
    LockOwner::Process { table: n, pid: 1 }
}

type Model = Vec<[Option<LockKind>; 3]>;

fn model_conflicts(model: &Model, who: usize, kind: LockKind, start: usize, end: usize) -> bool {
    (start..=end).any(|byte| {
        (0..3)
            .filter(|&other| other != who)
            .any(|other| match model[byte][other] {
                Some(LockKind::Exclusive) => true,
                Some(LockKind::Shared) => kind == LockKind::Exclusive,
                None => false,
            })
    })
}

proptest! {
    #[test]
    fn record_locks_agree_with_a_lock_per_byte(
        steps in prop::collection::vec((0usize..3, 0u8..3, 0usize..BYTES, 0usize..BYTES), 1..60)
    ) {
        let locks = FileLocks::default();
        let mut model: Model = vec![[None; 3]; BYTES];
        for (who, what, a, b) in steps {
            let (start, end) = (a.min(b), a.max(b));
            let id = owner(who as u64);
            if what == 2 {
                locks.unlock(id, start as u64, end as u64);
                (start..=end).for_each(|byte| model[byte][who] = None);
                continue;
            }
            let kind = if what == 0 { LockKind::Shared } else { LockKind::Exclusive };
            let wanted = RecordLock { owner: id, kind, start: start as u64, end: end as u64 };
            let blocked = model_conflicts(&model, who, kind, start, end);
            prop_assert_eq!(locks.conflict(&wanted).is_some(), blocked);
            let granted = locks.try_lock(wanted);
            prop_assert_eq!(granted, if blocked { Err(Errno::EAGAIN) } else { Ok(()) });
            if !blocked {
                (start..=end).for_each(|byte| model[byte][who] = Some(kind));
            }
        }
    }
}

#[test]
fn process_and_description_locks_conflict_with_each_other() {
    let locks = FileLocks::default();
    let lock = |owner| RecordLock {
        owner,
        kind: LockKind::Exclusive,
        start: 0,
        end: 9,
    };
    locks.try_lock(lock(owner(1))).unwrap();
    assert_eq!(
        locks.try_lock(lock(LockOwner::Description(1))),
        Err(Errno::EAGAIN)
    );
    locks.release_process(1);
    assert_eq!(locks.try_lock(lock(LockOwner::Description(1))), Ok(()));
}

#[test]
fn refused_flock_conversion_loses_the_old_lock() {
    let locks = FileLocks::default();
    locks.try_flock(1, LockKind::Shared).unwrap();
    locks.try_flock(2, LockKind::Shared).unwrap();
    assert_eq!(locks.try_flock(1, LockKind::Exclusive), Err(Errno::EAGAIN));
    assert_eq!(locks.try_flock(2, LockKind::Exclusive), Ok(()));
}

#[test]
fn circle_of_waits_is_refused() {
    let graph = super::LockGraph::default();
    let first = graph.enter(owner(1));
    assert!(!graph.would_deadlock(owner(1), owner(2)));
    assert!(!graph.would_deadlock(owner(2), owner(3)));
    assert!(graph.would_deadlock(owner(3), owner(1)));
    drop(first);
    assert!(!graph.would_deadlock(owner(3), owner(1)));
}
