// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions about the virtual machine: one per process, its mappings, its kicks.

use super::bare::{BASE, Bare, GRANULE, Level, all_words, words};
use super::code::{self, hvc};
use super::{Answer, Failure, Question, Verdict};
use crate::hv::{Exit, HvError, Hypervisor};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        name: "one-vm",
        claim: "a second virtual machine in a process is refused as busy",
        fact: "1.1",
        ask: one_vm,
    },
    Question {
        name: "vm-again",
        claim: "after the virtual machine is gone, another can be made",
        fact: "1.1",
        ask: vm_again,
    },
    Question {
        name: "remap",
        claim: "mapping over a mapping is refused",
        fact: "1.2",
        ask: remap,
    },
    Question {
        name: "unmap-part",
        claim: "unmapping a part of a mapping is refused",
        fact: "1.2",
        ask: unmap_part,
    },
    Question {
        name: "unmapped-access",
        claim: "an access to nothing is an exit with its physical address",
        fact: "1.5",
        ask: unmapped_access,
    },
    Question {
        name: "kick-running",
        claim: "a kick from another thread ends a run",
        fact: "1.5",
        ask: kick_running,
    },
    Question {
        name: "kick-latched",
        claim: "a kick between two runs ends the next one",
        fact: "1.5",
        ask: kick_latched,
    },
];

/// Beyond what [`Bare`] maps.
const ELSEWHERE: u64 = BASE + (1 << 20);

fn one_vm(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let _first = hv.create_vm()?;
    match hv.create_vm() {
        Err(HvError::Busy) => Answer::needed(true, "busy"),
        Err(error) => Answer::new(Verdict::Noted, format!("refused: {error}")),
        Ok(_) => Answer::needed(false, "a second one was made"),
    }
}

fn vm_again(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    drop(hv.create_vm()?);
    match hv.create_vm() {
        Ok(_) => Answer::needed(true, "made"),
        Err(error) => Answer::needed(false, format!("refused: {error}")),
    }
}

fn remap(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[])?;
    match bare.map(4, BASE, 1) {
        Err(error) => Answer::expected(true, format!("refused: {error}")),
        Ok(()) => Answer::expected(false, "allowed"),
    }
}

fn unmap_part(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[])?;
    bare.map(4, ELSEWHERE, 2)?;
    match bare.unmap(ELSEWHERE + GRANULE as u64, 1) {
        Err(error) => Answer::expected(true, format!("refused: {error}")),
        Ok(()) => Answer::expected(false, "allowed"),
    }
}

fn unmapped_access(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    // x0 points to the page of zeros; one MiB above it is nothing.
    let add_one_mib = 0x9144_0000;
    let bare = Bare::new(hv, &[add_one_mib, code::LOAD, hvc(1)])?;
    let exit = bare.processor(Level::El1)?.run()?;
    let expected = super::bare::DATA + (1 << 20);
    let is_so = matches!(exit, Exit::Exception { syndrome, ipa, .. }
        if syndrome >> 26 == 0x24 && ipa == expected);
    Answer::needed(is_so, words(exit))
}

fn kick_running(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[code::SPIN])?;
    // The watchdog of the run is that other thread.
    let exit = bare.processor(Level::El1)?.run()?;
    Answer::needed(exit == Exit::Canceled, words(exit))
}

fn kick_latched(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[code::NOP, hvc(1)])?;
    let mut cpu = bare.processor(Level::El1)?;
    cpu.vcpu.kick_handle().kick();
    let exits = cpu.run_until(1)?;
    let is_so = exits == [Exit::Canceled];
    let found = if exits.is_empty() {
        "forgotten".to_owned()
    } else {
        all_words(&exits)
    };
    Answer::expected(is_so, found)
}
