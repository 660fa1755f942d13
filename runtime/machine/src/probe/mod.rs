// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to the hypervisor of this machine: is it as the runtime takes it to be?
//!
//! The backend for Hypervisor.framework was written from public sources (docs/hvf.md);
//! each assumption there that is marked VERIFY has a question here, which the bundle's
//! `--elfuse-doctor` asks on the user's Mac and the tests ask the simulator. [`ask`]
//! needs the process's one virtual machine for itself; questions bind to the calling
//! thread and take a few milliseconds each.

mod bare;
mod code;
mod guest;
mod hypervisor;
mod processor;

use crate::MachineError;
use crate::hv::{HvError, Hypervisor};

/// What an answer means for the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the runtime needs it.
    Holds,
    /// The runtime does not work like this.
    Differs,
    /// Worth knowing; the runtime works either way.
    Noted,
    /// Could not be asked here.
    Unknown,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Short name, for machines.
    pub name: &'static str,
    /// What the runtime's authors took to be so.
    pub claim: &'static str,
    /// The section of docs/hvf.md that says it.
    pub fact: &'static str,
    /// What the answer means.
    pub verdict: Verdict,
    /// The answer.
    pub found: String,
}

/// An answer before it gets its question.
struct Answer {
    verdict: Verdict,
    found: String,
}

impl Answer {
    fn new(verdict: Verdict, found: impl Into<String>) -> Result<Self, Failure> {
        let found = found.into();
        Ok(Self { verdict, found })
    }

    /// [`Verdict::Holds`] or [`Verdict::Differs`].
    fn needed(is_so: bool, found: impl Into<String>) -> Result<Self, Failure> {
        let verdict = if is_so {
            Verdict::Holds
        } else {
            Verdict::Differs
        };
        Self::new(verdict, found)
    }

    /// [`Verdict::Holds`] or [`Verdict::Noted`].
    fn expected(is_so: bool, found: impl Into<String>) -> Result<Self, Failure> {
        let verdict = if is_so {
            Verdict::Holds
        } else {
            Verdict::Noted
        };
        Self::new(verdict, found)
    }
}

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the hypervisor refused: {0}")]
    Hypervisor(#[from] HvError),
    #[error("no machine: {0}")]
    Machine(#[from] MachineError),
    #[error("no guest memory: {0}")]
    Memory(#[from] crate::OutOfMemory),
    #[error("no file to map: {0}")]
    File(#[from] std::io::Error),
}

struct Question {
    name: &'static str,
    claim: &'static str,
    fact: &'static str,
    ask: fn(&dyn Hypervisor) -> Result<Answer, Failure>,
}

/// Asks everything that can be asked without risk.
#[must_use]
pub fn ask(hv: &dyn Hypervisor) -> Vec<Finding> {
    let questions = hypervisor::QUESTIONS
        .iter()
        .chain(processor::QUESTIONS)
        .chain(guest::QUESTIONS);
    let mut findings: Vec<Finding> = questions.map(|question| one(question, hv)).collect();
    findings.extend(UNASKED.iter().map(|&(name, claim, fact, found)| Finding {
        name,
        claim,
        fact,
        verdict: Verdict::Unknown,
        found: found.to_owned(),
    }));
    findings
}

fn one(question: &Question, hv: &dyn Hypervisor) -> Finding {
    let answer = (question.ask)(hv);
    let (verdict, found) = match answer {
        Ok(answer) => (answer.verdict, answer.found),
        Err(failure) => (Verdict::Unknown, failure.to_string()),
    };
    Finding {
        name: question.name,
        claim: question.claim,
        fact: question.fact,
        verdict,
        found,
    }
}

/// What only real hardware answers, and only at the risk of ending the process that
/// asks: shown, so that nobody takes silence for an answer.
const UNASKED: &[(&str, &str, &str, &str)] = &[(
    "lost-file-page",
    "a guest's access to a file page past the file's end is an exit",
    "1.2",
    "not asked: it may end this process; the end-to-end list on a Mac shows it",
)];

#[cfg(test)]
mod tests;
