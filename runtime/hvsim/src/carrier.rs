// SPDX-License-Identifier: GPL-2.0-only
//! The engine on a stack of its own, so that a hook can hand an exit to the host
//! without leaving it.
//!
//! Leaving Unicorn and entering it again costs more than the system call in between.
//! [`Carrier`] runs the engine in a coroutine: a hook that has an exit switches to the
//! host's stack ([`Link::hand_over`]) and goes on when the host runs the processor
//! again. What may not happen inside a run, as mapping memory and dropping translated
//! code, asks the hook to end the run first ([`Carrier::bring_out`]).

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use elfuse_machine::hv::{Exit, HvError};

/// Bytes of the engine's stack; the translator is what takes most.
const STACK: usize = 1 << 20;

/// What the host tells the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// End the run, from inside a hook.
    Leave,
}

/// What the engine tells the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A hook has an exit, and the run goes on afterwards.
    Inside(Exit),
    /// The run is over.
    Outside(Result<(), HvError>),
}

/// The way from a hook to the host's stack.
#[derive(Default)]
pub(crate) struct Link(Cell<Option<NonNull<Yielder<Order, Report>>>>);

impl Link {
    /// Gives the host an exit; answers what it wants next. Nothing when the engine does
    /// not run in a carrier.
    pub(crate) fn hand_over(&self, exit: Exit) -> Option<Order> {
        let yielder = self.0.get()?;
        // SAFETY: set by the coroutine, on whose stack this runs: it is alive.
        let yielder = unsafe { yielder.as_ref() };
        Some(yielder.suspend(Report::Inside(exit)))
    }
}

/// What a carrier runs.
pub(crate) trait Rider: 'static {
    /// Runs the engine until a hook ends the run.
    fn run(&self) -> Result<(), HvError>;

    /// The way back for its hooks.
    fn link(&self) -> &Link;
}

/// Runs an engine in a coroutine.
pub(crate) struct Carrier {
    coroutine: Coroutine<Order, Report, (), DefaultStack>,
    is_inside: bool,
}

impl Carrier {
    /// Nothing runs yet.
    pub(crate) fn new(rider: Rc<impl Rider>) -> Result<Self, HvError> {
        let stack = DefaultStack::new(STACK).map_err(|_| HvError::NoResources)?;
        let coroutine = Coroutine::with_stack(stack, move |yielder, first| {
            let mut order = first;
            while order == Order::Run {
                rider.link().0.set(Some(NonNull::from(yielder)));
                let outcome = rider.run();
                rider.link().0.set(None);
                order = yielder.suspend(Report::Outside(outcome));
            }
        });
        Ok(Self {
            coroutine,
            is_inside: false,
        })
    }

    /// Goes on, or begins a run.
    pub(crate) fn go(&mut self) -> Report {
        self.resume(Order::Run)
    }

    /// Ends the run that a hook has interrupted, if there is one: what is forbidden
    /// inside may follow.
    pub(crate) fn bring_out(&mut self) -> Result<(), HvError> {
        if !self.is_inside {
            return Ok(());
        }
        match self.resume(Order::Leave) {
            Report::Outside(outcome) => outcome,
            // The hook ends the run before anything else of the guest is run.
            Report::Inside(_) => Err(HvError::IllegalState),
        }
    }

    fn resume(&mut self, order: Order) -> Report {
        let report = match self.coroutine.resume(order) {
            CoroutineResult::Yield(report) => report,
            CoroutineResult::Return(()) => Report::Outside(Err(HvError::IllegalState)),
        };
        self.is_inside = matches!(report, Report::Inside(_));
        report
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let is_out = self.bring_out().is_ok() || !self.is_inside;
        if is_out && self.coroutine.started() && !self.coroutine.done() {
            self.resume(Order::Leave);
        }
        if !self.coroutine.done() && self.coroutine.started() {
            // SAFETY: what is left on the stack is C and a counted reference: leaking
            // them keeps the engine that still uses the stack's contents.
            unsafe { self.coroutine.force_reset() };
        }
    }
}
