// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions about the processor: which instructions exit, and how it begins.

use super::bare::{Bare, FROM_EL0, IRQ_FROM_EL0, Level, all_words, call, words};
use super::code::{self, hvc};
use super::{Answer, Failure, Question, Verdict};
use crate::hv::{Exit, Hypervisor, Reg};

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        name: "fresh-state",
        claim: "a fresh processor says EL1 with everything masked, and must be told so",
        fact: "1.11",
        ask: fresh_state,
    },
    Question {
        name: "system-registers",
        claim: "EL1 writes translation, vector and control registers without an exit",
        fact: "1.3",
        ask: system_registers,
    },
    Question {
        name: "tlb-maintenance",
        claim: "EL1 invalidates translations and instructions without an exit",
        fact: "1.6",
        ask: tlb_maintenance,
    },
    Question {
        name: "el0-instructions",
        claim: "EL0 zeroes blocks, maintains caches, reads the counter and sets its thread pointer without an exit",
        fact: "1.5",
        ask: el0_instructions,
    },
    Question {
        name: "el0-waits",
        claim: "EL0 waits for events and interrupts without an exit",
        fact: "1.5",
        ask: el0_waits,
    },
    Question {
        name: "wfi-address",
        claim: "a WFI that exits leaves the program counter on itself",
        fact: "1.9",
        ask: wfi_address,
    },
    Question {
        name: "el0-breakpoint",
        claim: "a breakpoint at EL0 goes to EL1 without an exit",
        fact: "1.5",
        ask: el0_breakpoint,
    },
    Question {
        name: "interrupt",
        claim: "a raised interrupt line takes EL0 to EL1's vector",
        fact: "1.10",
        ask: interrupt,
    },
    Question {
        name: "interrupt-falls",
        claim: "the interrupt line falls when a run ends",
        fact: "1.10",
        ask: interrupt_falls,
    },
    Question {
        name: "debug-register",
        claim: "from macOS 26, EL1's MDCCINT_EL1 exits with class 0x18",
        fact: "1.11",
        ask: debug_register,
    },
    Question {
        name: "counter",
        claim: "the virtual counter counts",
        fact: "1.5",
        ask: counter,
    },
];

/// Runs `instructions` until call 1.
fn exits(hv: &dyn Hypervisor, level: Level, instructions: &[u32]) -> Result<Vec<Exit>, Failure> {
    let mut instructions = instructions.to_vec();
    let end = match level {
        Level::El0 => {
            instructions.push(code::SVC);
            FROM_EL0
        }
        Level::El1 => {
            instructions.push(hvc(1));
            1
        }
    };
    let bare = Bare::new(hv, &instructions)?;
    Ok(bare.processor(level)?.run_until(end)?)
}

fn fresh_state(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[])?;
    let cpsr = bare.processor(Level::El1)?.fresh_cpsr;
    Answer::expected(cpsr == 0x3c5, format!("state {cpsr:#x}"))
}

fn system_registers(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    // Each is written with what it holds, so that nothing changes under the program.
    let registers = [
        code::TTBR0_EL1,
        code::TTBR1_EL1,
        code::TCR_EL1,
        code::SCTLR_EL1,
        code::CPACR_EL1,
        code::MAIR_EL1,
        code::VBAR_EL1,
        code::CONTEXTIDR_EL1,
        code::TPIDR_EL1,
        code::CNTKCTL_EL1,
    ];
    let words: Vec<u32> = registers
        .iter()
        .flat_map(|register| [register.read(1), register.write(1), code::ISB])
        .collect();
    let exits = exits(hv, Level::El1, &words)?;
    Answer::needed(exits.is_empty(), all_words(&exits))
}

fn tlb_maintenance(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let words = [
        code::TLBI_ALL,
        code::TLBI_ASID,
        code::TLBI_PAGE,
        code::IC_IALLU,
        code::DSB_ISH,
        code::ISB,
    ];
    let exits = exits(hv, Level::El1, &words)?;
    Answer::needed(exits.is_empty(), all_words(&exits))
}

fn el0_instructions(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    // No DC ZVA here: on device memory, which all is with the MMU off, it faults.
    let words = [
        code::DC_CVAU_X0,
        code::IC_IVAU_X0,
        code::DSB_ISH,
        code::ISB,
        code::TPIDR_EL0.write(0),
        code::TPIDR_EL0.read(1),
        code::CNTVCT_EL0.read(1),
        code::CTR_EL0.read(1),
    ];
    let exits = exits(hv, Level::El0, &words)?;
    Answer::needed(exits.is_empty(), all_words(&exits))
}

fn el0_waits(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    // The first may take an event that is left; the second finds none.
    let words = [code::YIELD, code::WFE, code::WFE];
    let exits = exits(hv, Level::El0, &words)?;
    Answer::expected(exits.is_empty(), all_words(&exits))
}

fn wfi_address(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[code::WFI, hvc(1)])?;
    let mut cpu = bare.processor(Level::El1)?;
    let exit = cpu.run()?;
    let pc = cpu.vcpu.get_reg(Reg::Pc)?;
    match exit {
        Exit::Exception { syndrome, .. } if syndrome >> 26 == 1 => {
            let at = pc.wrapping_sub(super::bare::CODE);
            Answer::needed(at == 0, format!("exit with the program counter at +{at}"))
        }
        _ => Answer::new(Verdict::Noted, words(exit)),
    }
}

fn el0_breakpoint(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[code::BRK])?;
    let exit = bare.processor(Level::El0)?.run()?;
    Answer::needed(call(exit) == Some(FROM_EL0), words(exit))
}

fn interrupt(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let bare = Bare::new(hv, &[code::SPIN])?;
    let mut cpu = bare.processor(Level::El0)?;
    cpu.vcpu.set_pending_irq(true)?;
    let exit = cpu.run()?;
    Answer::needed(call(exit) == Some(IRQ_FROM_EL0), words(exit))
}

fn interrupt_falls(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    const IRQ: u64 = 1 << 7;
    let read = code::ISR_EL1;
    let bare = Bare::new(hv, &[read.read(1), hvc(1), read.read(2), hvc(2)])?;
    let mut cpu = bare.processor(Level::El1)?;
    cpu.vcpu.set_pending_irq(true)?;
    cpu.run_until(1)?;
    let is_seen = cpu.x(1)? & IRQ != 0;
    cpu.run_until(2)?;
    let is_left = cpu.x(2)? & IRQ != 0;
    match (is_seen, is_left) {
        (false, _) => Answer::new(Verdict::Unknown, "ISR_EL1 does not show the line"),
        (true, is_left) => {
            let found = if is_left { "it stays up" } else { "it fell" };
            Answer::expected(!is_left, found)
        }
    }
}

fn debug_register(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let exits = exits(hv, Level::El1, &[code::MDCCINT_EL1.read(1)])?;
    Answer::new(Verdict::Noted, all_words(&exits))
}

fn counter(hv: &dyn Hypervisor) -> Result<Answer, Failure> {
    let read = code::CNTVCT_EL0;
    let bare = Bare::new(hv, &[read.read(1), hvc(1), read.read(2), hvc(2)])?;
    let mut cpu = bare.processor(Level::El1)?;
    cpu.run_until(1)?;
    std::thread::sleep(std::time::Duration::from_millis(1));
    cpu.run_until(2)?;
    let (first, second) = (cpu.x(1)?, cpu.x(2)?);
    let ticks = second.saturating_sub(first);
    Answer::needed(ticks > 0, format!("{ticks} ticks in a little over 1 ms"))
}
