// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs with a name (`--name`, `--detach`): what `elfuse-bundle ps|stop|logs|exec` find.
//!
//! [`Named`] holds the name as long as the program runs. When the guest has started it
//! is published with a record and a socket ([`serve`]); a detached program then tells
//! who started it that it goes on alone ([`detach`]).

pub(crate) mod detach;
mod input;
mod serve;
mod session;

use std::path::Path;
use std::sync::Arc;

use elfuse_kernel::boot::Booted;
use elfuse_runs::log::Log;
use elfuse_runs::record::{End, Record, now};
use elfuse_runs::{Claim, RunError, control};

use crate::config::Run;
use crate::options::Options;
use crate::{HostError, StubError};
pub(crate) use serve::Origin;
use session::Sessions;

/// A run's name, and what is kept under it.
pub(crate) struct Named {
    claim: Claim,
    record: Record,
    log: Option<Log>,
    sessions: Option<Arc<Sessions>>,
}

impl Named {
    /// Takes the name that the options ask for; `None` when they ask for none.
    pub(crate) fn claim(options: &Options, program: &Path) -> Result<Option<Self>, HostError> {
        let claim = match &options.name {
            Some(name) => Claim::new(name)?,
            None if options.is_detached => {
                let stem = program.file_stem().unwrap_or_default();
                Claim::numbered(&stem.to_string_lossy())?
            }
            None => return Ok(None),
        };
        let log = if options.is_detached {
            let path = claim.file("log");
            let log = Log::create(&path).map_err(|source| RunError::File { path, source })?;
            Some(log)
        } else {
            None
        };
        let record = Record {
            name: claim.name().to_owned(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            bundle: std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf()),
            command: Vec::new(),
            started: now(),
            stop_signal: linux_abi::signal::SIGTERM,
            is_detached: options.is_detached,
            end: None,
        };
        Ok(Some(Self {
            claim,
            record,
            log,
            sessions: None,
        }))
    }

    /// Notes what will be run.
    pub(crate) fn describe(&mut self, run: &Run) {
        let words = run.argv.iter();
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        self.record.command = words.collect();
        self.record.stop_signal = run.stop_signal;
    }

    /// Where a detached program's output goes.
    pub(crate) fn log(&self) -> Option<Log> {
        self.log.clone()
    }

    /// The guest has started: it can be found from now on.
    pub(crate) fn publish(
        &mut self,
        booted: &Arc<Booted>,
        origin: Origin,
    ) -> Result<(), StubError> {
        let listener = control::listen(&self.claim).map_err(HostError::Run)?;
        self.claim.write(&self.record).map_err(HostError::Run)?;
        let started = serve::start(listener, Arc::clone(booted), origin);
        self.sessions = Some(started.map_err(HostError::Io)?);
        if self.record.is_detached {
            detach::go_on_alone(self.claim.name(), &self.claim.file("errors"))
                .map_err(HostError::Io)?;
        }
        Ok(())
    }

    /// The guest has ended.
    pub(crate) fn finish(mut self, status: u8) -> Result<(), StubError> {
        if let Some(sessions) = &self.sessions {
            sessions.settle();
        }
        self.record.end = Some(End { status, at: now() });
        self.claim.write(&self.record).map_err(HostError::Run)?;
        Ok(())
    }
}
