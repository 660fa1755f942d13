// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is worth another try, and when.
//!
//! Waits double from try to try and are drawn at random between half and the
//! whole, so that many clients do not return at once. A registry that says when
//! to come back is believed, up to a limit: a build should not hang for hours.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use reqwest::StatusCode;

use super::RegistryError;
use crate::progress::Progress;

/// Longest wait that a registry can impose.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How often to try and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries without any success between them.
    pub tries: u32,
    /// First wait.
    pub first_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            first_wait: Duration::from_millis(500),
        }
    }
}

impl Retry {
    /// Calls `request` until it succeeds, fails for good, or was tried enough.
    pub(super) fn run<T>(
        &self,
        progress: &dyn Progress,
        mut request: impl FnMut() -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut failures = 0;
        loop {
            match request() {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    failures += 1;
                    self.wait(failures, error, progress)?;
                }
            }
        }
    }

    /// Waits after a failure, or gives the error back if it is no use.
    pub(super) fn wait(
        &self,
        failures: u32,
        error: RegistryError,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let Some(asked) = error.is_transient().filter(|_| failures < self.tries) else {
            return Err(error);
        };
        let wait = asked.unwrap_or_else(|| self.backoff(failures));
        let first = error.to_string();
        let first = first.lines().next().unwrap_or_default();
        progress.note(&format!(
            "{first}; trying again in {:.1} s",
            wait.as_secs_f32()
        ));
        std::thread::sleep(wait);
        Ok(())
    }

    fn backoff(&self, failures: u32) -> Duration {
        let whole = self.first_wait * (1 << failures.saturating_sub(1).min(6));
        // A hasher's keys are random, and that is all that is needed here.
        let draw = RandomState::new().build_hasher().finish() % 1000;
        let draw = u32::try_from(draw).unwrap_or_default();
        (whole / 2 + whole / 2 * draw / 1000).min(MAX_WAIT)
    }
}

impl RegistryError {
    /// `None` if trying again is no use, else the wait that was asked for.
    fn is_transient(&self) -> Option<Option<Duration>> {
        match self {
            Self::Network { cause, .. } => {
                let lasts = cause.is_redirect() || cause.is_builder() || distrust(cause).is_some();
                (!lasts).then_some(None)
            }
            Self::Body { .. } => Some(None),
            Self::Status { status, .. } => {
                let passing = status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED;
                (passing || *status == StatusCode::REQUEST_TIMEOUT).then_some(None)
            }
            Self::RateLimit { retry_after, .. } => match retry_after {
                Some(after) if *after > MAX_WAIT => None,
                asked => Some(*asked),
            },
            _ => None,
        }
    }
}

/// Why TLS cannot be had with the other side, which time does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distrust {
    /// Nobody we trust vouches for it.
    Certificate,
    /// What it sends is not TLS: most likely plain HTTP.
    NoTls,
}

/// Whether an error is one of those.
pub(super) fn distrust(error: &reqwest::Error) -> Option<Distrust> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(_)) => return Some(Distrust::Certificate),
            Some(rustls::Error::InvalidMessage(_)) => return Some(Distrust::NoTls),
            _ => {}
        }
        // What an I/O error holds is not its source, and may be another one.
        cause = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &dyn std::error::Error),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let retry = Retry::default();
        for failures in 1..20 {
            let whole = retry.first_wait * (1 << (failures - 1).min(6));
            let wait = retry.backoff(failures);
            assert!(wait >= whole.min(MAX_WAIT * 2) / 2 && wait <= whole.min(MAX_WAIT));
        }
    }
}
