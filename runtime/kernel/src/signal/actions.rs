// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a process wants done about each signal: `struct sighand_struct`. Under a
//! lock of its own (rank [`Rank::SignalActions`]), since threads may share it
//! with other processes (`CLONE_SIGHAND`).

use linux_abi::signal::{SIG_DFL, SIG_IGN, SaFlags, SigAction};

use super::{Default, default_action};
use crate::sync::{Rank, Ranked};

/// What signals do, by number.
pub struct Actions(Ranked<[SigAction; 64]>);

impl std::default::Default for Actions {
    fn default() -> Self {
        Self(Ranked::new(Rank::SignalActions, [SigAction::default(); 64]))
    }
}

fn slot(signal: i32) -> usize {
    usize::try_from(signal - 1).unwrap_or(0).min(63)
}

impl Actions {
    /// The action of a signal.
    #[must_use]
    pub fn get(&self, signal: i32) -> SigAction {
        self.0.lock()[slot(signal)]
    }

    /// A copy for a child; with `resets`, handlers become defaults.
    #[must_use]
    pub fn fork(&self, resets: bool) -> Self {
        let copy = Self(Ranked::new(Rank::SignalActions, *self.0.lock()));
        if resets {
            copy.reset_handlers();
        }
        copy
    }

    /// `execve`: handlers become defaults, ignored signals stay ignored.
    pub fn reset_handlers(&self) {
        for action in self.0.lock().iter_mut() {
            let handler = if action.handler == SIG_IGN {
                SIG_IGN
            } else {
                SIG_DFL
            };
            *action = SigAction {
                handler,
                ..SigAction::default()
            };
        }
    }

    pub(super) fn replace(&self, signal: i32, new: SigAction) -> SigAction {
        std::mem::replace(&mut self.0.lock()[slot(signal)], new)
    }

    pub(super) fn take(&self, signal: i32) -> SigAction {
        let mut table = self.0.lock();
        let action = table[slot(signal)];
        if action.handler > SIG_IGN
            && SaFlags::from_bits_retain(action.flags).contains(SaFlags::RESETHAND)
        {
            table[slot(signal)].handler = SIG_DFL;
        }
        action
    }

    pub(super) fn is_ignored(&self, signal: i32) -> bool {
        match self.get(signal).handler {
            SIG_IGN => true,
            SIG_DFL => default_action(signal) == Default::Ignore,
            _ => false,
        }
    }
}
