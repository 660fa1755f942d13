// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keeps a guest from starting: the image or the options ask for something
//! that is not there ([`StartError`]), or the host does not give what a guest
//! needs ([`HostError`]).

use std::io;
use std::path::PathBuf;

use crate::doctor::Lack;
use crate::volume::VolumeError;
use elfuse_kernel::boot::BootError;
use elfuse_machine::MachineError;
use elfuse_machine::hv::HvError;
use elfuse_payload::layer::LayerError;
use linux_abi::Errno;

/// The image and the options do not go together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The image's config is not what it should be.
    #[error("read the image's config: {0}")]
    Config(#[source] serde_json::Error),
    /// Neither the image nor the options name a program.
    #[error("find the program to run: the image names none")]
    NoCommand,
    /// The config's stop signal is no signal.
    #[error("read the image's stop signal {0:?}: no such signal")]
    StopSignal(String),
    /// No such user.
    #[error("find user {0:?}: no such name in the image's /etc/passwd")]
    UnknownUser(String),
    /// No such group.
    #[error("find group {0:?}: no such name in the image's /etc/group")]
    UnknownGroup(String),
    /// A resource limit that cannot be set.
    #[error("set a resource limit: {0}")]
    Limit(Errno),
    /// What `-v` names is not there.
    #[error("mount {}: {source}", path.display())]
    Volume {
        /// The host's path.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// A secret cannot be read.
    #[error("read secret {id} from {}: {source}", path.display())]
    Secret {
        /// Its name.
        id: String,
        /// The host's path.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// A program beside the first one came without its three streams.
    #[error("start a program: no standard streams came with the request")]
    Streams,
    /// The host gives no thread or pipe for a program's input.
    #[error("read a program's input: {0}")]
    Thread(#[source] io::Error),
    /// The root directory cannot be opened.
    #[error("open root directory {}: {errno}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// `--ssh-agent` without an agent.
    #[error("reach the ssh agent: SSH_AUTH_SOCK is not set")]
    NoAgent,
    /// The ssh agent does not answer.
    #[error("reach the ssh agent at {}: {source}", path.display())]
    Agent {
        /// Where it should be.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// Something cannot be put into the guest's files.
    #[error("mount at {path} in the guest: {errno}")]
    Mount {
        /// The guest's path.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// The kernel does not start the program.
    #[error(transparent)]
    Boot(#[from] BootError),
}

impl StartError {
    pub(crate) fn mount(path: &[u8], errno: Errno) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        Self::Mount { path, errno }
    }

    /// Exit status, as `docker run` has it.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Boot(error) => error.exit_status(),
            _ => super::OWN_FAILURE,
        }
    }

    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAgent | Self::Agent { .. } => {
                Some("start one and give it a key: eval \"$(ssh-agent)\"; ssh-add")
            }
            Self::NoCommand => Some("give a command, such as: ./BUNDLE sh"),
            Self::UnknownUser(_) | Self::UnknownGroup(_) => Some("numbers always work: -u 1000"),
            Self::Boot(BootError::NotFound { .. }) => {
                Some("--elfuse-inspect shows what the image runs; -- ends the bundle's own options")
            }
            _ => None,
        }
    }
}

/// The host does not give what a guest needs.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This machine cannot run bundles.
    #[error("run the image's program: {0}")]
    Lacks(Lack),
    /// The virtual machine cannot be had.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A thread or a stream cannot be had.
    #[error("prepare to run: {0}")]
    Io(#[source] io::Error),
    /// A run cannot have a name.
    #[error(transparent)]
    Run(#[from] elfuse_runs::RunError),
    /// The program cannot be started once more.
    #[error("go on in the background: {0}")]
    Detach(#[source] io::Error),
    /// `-t` without a terminal.
    #[error("use the terminal: standard input and output are none")]
    NoTerminal,
    /// The current directory is gone.
    #[error("find the current directory: {0}")]
    CurrentDirectory(#[source] io::Error),
}

impl HostError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Lacks(lack) => Some(lack.hint()),
            Self::Machine(MachineError::Hypervisor(HvError::Denied)) => Some(
                "the signature must have the entitlement com.apple.security.hypervisor; \
                 --elfuse-doctor looks",
            ),
            Self::Machine(_) => Some("--elfuse-doctor tells what is missing"),
            Self::NoTerminal => Some("leave out -t"),
            Self::Run(error) => error.hint(),
            _ => None,
        }
    }
}

/// Unpacked images cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Nothing says where the cache is.
    #[error("find the cache directory: HOME is not set")]
    NoPlace,
    /// A file of the cache.
    #[error("use the cache at {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The table of contents is damaged.
    #[error(transparent)]
    Contents(LayerError),
    /// The unpacked tree cannot be opened.
    #[error("open the unpacked image: {0}")]
    Root(Errno),
    /// A Mac's volume for unpacked images.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The cache is a plain directory.
    #[error("detach the cache volume: the cache is a plain directory")]
    NoVolume,
}

impl CacheError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPlace => Some("set ELFUSE_CACHE to a directory"),
            Self::Directory { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("--elfuse-cache prune removes images that are not in use")
            }
            Self::Directory { .. } => Some("ELFUSE_CACHE names another directory"),
            Self::Contents(_) => Some("the file is damaged; copy or download it again"),
            Self::Volume(error) => Some(error.hint()),
            Self::Root(_) | Self::NoVolume => None,
        }
    }
}
