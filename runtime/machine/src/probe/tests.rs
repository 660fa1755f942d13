// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisors that are not as expected: scripted ones, which run nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{Finding, Verdict, hypervisor, one, processor};
use crate::Ipa;
use crate::hv::{Exit, HvError, HvPerms, Hypervisor, Kick, Reg, SysReg, Vcpu, Vm};
use crate::hwcap::IdRegisters;

/// A hypervisor whose processors end their runs as the script says.
#[derive(Clone, Default)]
struct Scripted {
    exits: Arc<Mutex<VecDeque<Exit>>>,
    /// What the program counter is said to be.
    pc: u64,
    /// What general registers are said to hold.
    x: u64,
}

impl Hypervisor for Scripted {
    fn create_vm(&self) -> Result<Box<dyn Vm>, HvError> {
        Ok(Box::new(self.clone()))
    }
}

impl Vm for Scripted {
    unsafe fn map(&self, _: *mut u8, _: Ipa, _: usize, _: HvPerms) -> Result<(), HvError> {
        Ok(())
    }

    fn unmap(&self, _: Ipa, _: usize) -> Result<(), HvError> {
        Ok(())
    }

    fn create_vcpu(&self) -> Result<Box<dyn Vcpu>, HvError> {
        Ok(Box::new(self.clone()))
    }

    fn id_registers(&self) -> IdRegisters {
        IdRegisters::default()
    }
}

struct Nobody;

impl Kick for Nobody {
    fn kick(&self) {}
}

impl Vcpu for Scripted {
    fn run(&mut self) -> Result<Exit, HvError> {
        let next = self.exits.lock().unwrap().pop_front();
        next.ok_or(HvError::IllegalState)
    }

    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError> {
        Ok(match reg {
            Reg::Pc => self.pc,
            _ => self.x,
        })
    }

    fn set_reg(&mut self, _: Reg, _: u64) -> Result<(), HvError> {
        Ok(())
    }

    fn set_sys_reg(&mut self, _: SysReg, _: u64) -> Result<(), HvError> {
        Ok(())
    }

    fn set_pending_irq(&mut self, _: bool) -> Result<(), HvError> {
        Ok(())
    }

    fn invalidate_icache(&mut self) {}

    fn kick_handle(&self) -> Arc<dyn Kick> {
        Arc::new(Nobody)
    }
}

fn exception(class: u64, iss: u64) -> Exit {
    Exit::Exception {
        syndrome: class << 26 | iss,
        va: 0,
        ipa: 0,
    }
}

fn call(number: u64) -> Exit {
    exception(0x16, number)
}

/// The answer to `name` of a hypervisor that ends its runs with `exits`.
fn answer(name: &str, mut hv: Scripted, exits: &[Exit]) -> Finding {
    let mut questions = hypervisor::QUESTIONS.iter().chain(processor::QUESTIONS);
    let question = questions.find(|question| question.name == name).unwrap();
    hv.exits = Arc::new(Mutex::new(exits.iter().copied().collect()));
    one(question, &hv)
}

fn verdict(name: &str, exits: &[Exit]) -> Verdict {
    answer(name, Scripted::default(), exits).verdict
}

#[test]
fn registers_that_exit_are_counted_and_stepped_over() {
    let trapped = exception(0x18, 0x30_0000);
    let finding = answer(
        "system-registers",
        Scripted::default(),
        &[trapped, trapped, call(1)],
    );
    assert_eq!(finding.verdict, Verdict::Differs);
    assert_eq!(finding.found.matches("class 0x18").count(), 2);
    assert_eq!(
        verdict("tlb-maintenance", &[trapped, call(1)]),
        Verdict::Differs
    );
    assert_eq!(
        verdict("el0-waits", &[exception(1, 0), call(0x48)]),
        Verdict::Noted
    );
}

#[test]
fn a_processor_that_never_comes_back_is_no_answer_but_an_end() {
    assert_eq!(
        verdict("system-registers", &[Exit::Canceled]),
        Verdict::Differs
    );
    assert_eq!(verdict("interrupt", &[Exit::Canceled]), Verdict::Differs);
    assert_eq!(verdict("kick-running", &[Exit::Unknown]), Verdict::Differs);
    let refused = answer("interrupt", Scripted::default(), &[]);
    assert_eq!(refused.verdict, Verdict::Unknown);
    assert!(refused.found.contains("illegal guest state"));
}

#[test]
fn a_wait_may_leave_the_counter_on_itself_or_not() {
    let at = |pc| Scripted {
        pc,
        ..Scripted::default()
    };
    let exits = [exception(1, 0)];
    let on_it = answer("wfi-address", at(super::bare::CODE), &exits);
    assert_eq!(on_it.verdict, Verdict::Holds);
    let behind = answer("wfi-address", at(super::bare::CODE + 4), &exits);
    assert_eq!(behind.verdict, Verdict::Differs);
}

#[test]
fn what_the_runtime_does_not_need_is_only_noted() {
    assert_eq!(verdict("kick-latched", &[call(1)]), Verdict::Noted);
    assert_eq!(verdict("remap", &[]), Verdict::Noted);
    assert_eq!(verdict("unmap-part", &[]), Verdict::Noted);
    let shown = Scripted {
        x: 1 << 7,
        ..Scripted::default()
    };
    let stays = answer("interrupt-falls", shown, &[call(1), call(2)]);
    assert_eq!(stays.verdict, Verdict::Noted);
}

#[test]
fn a_hypervisor_without_limits_is_not_ours() {
    assert_eq!(verdict("one-vm", &[]), Verdict::Differs);
    assert_eq!(verdict("counter", &[call(1), call(2)]), Verdict::Differs);
}
