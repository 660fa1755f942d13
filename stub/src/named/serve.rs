// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers at a run's socket: signals for the program, programs beside it.
//!
//! One thread accepts, and one answers for each who connects; a program's end is
//! answered by the thread of the guest that sees it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use elfuse_kernel::boot::{BootError, Booted, Command, Streams};
use elfuse_kernel::file::File;
use elfuse_kernel::limits::Limits;
use elfuse_kernel::stdio::{HostInput, HostOutput};
use elfuse_kernel::task::ExitStatus;
use elfuse_runs::control::{Exec, Reply, Request, answer, receive};
use elfuse_runs::terminal::Window;

use super::input::Input;
use super::session::{Outlet, Session, Sessions};
use crate::terminal::size_of;
use crate::users::{self, MAX_USERS};
use crate::{OWN_FAILURE, StartError};

/// How long who connects may take to say what is wanted.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the run's own program started with.
pub(crate) struct Origin {
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cwd: Vec<u8>,
    pub(crate) user: String,
    pub(crate) limits: Limits,
}

struct Server {
    booted: Arc<Booted>,
    origin: Origin,
    sessions: Arc<Sessions>,
}

/// Answers until the program ends; the programs at terminals then have something to say.
pub(super) fn start(
    listener: UnixListener,
    booted: Arc<Booted>,
    origin: Origin,
) -> io::Result<Arc<Sessions>> {
    let sessions = Arc::default();
    let server = Arc::new(Server {
        booted,
        origin,
        sessions: Arc::clone(&sessions),
    });
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let server = Arc::clone(&server);
            let thread = std::thread::Builder::new().name("control".to_owned());
            // Who gets no thread sees the connection closed.
            let _ = thread.spawn(move || server.serve(stream));
        }
    };
    let thread = std::thread::Builder::new().name("control".to_owned());
    thread.spawn(accept).map(|_| sessions)
}

impl Server {
    fn serve(&self, mut stream: UnixStream) {
        let asked = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| receive(&mut stream));
        let refused = |why: String, status| Reply::Refused { why, status };
        let reply = match asked {
            Err(error) => refused(format!("read the request: {error}"), OWN_FAILURE),
            Ok((Request::Signal(number), _)) => match self.booted.signal(number) {
                Ok(()) => Reply::Done,
                Err(errno) => refused(format!("send signal {number}: {errno}"), OWN_FAILURE),
            },
            Ok((Request::Exec(exec), streams)) => {
                let Ok(stream) = stream.try_clone() else {
                    return;
                };
                match self.exec(exec, streams, stream) {
                    Ok(()) => return,
                    Err(error) => refused(error.to_string(), error.exit_status()),
                }
            }
            Ok((Request::Terminal(exec, window), streams)) => {
                let Ok(control) = stream.try_clone() else {
                    return;
                };
                match self.exec_at_terminal(exec, window, streams, control) {
                    Ok(()) => return,
                    Err(error) => refused(error.to_string(), error.exit_status()),
                }
            }
            Ok((Request::Resize(_), _)) => {
                refused("resize a window: of no program".to_owned(), OWN_FAILURE)
            }
        };
        // Who does not wait for the answer does not get it.
        let _ = answer(&mut stream, &reply);
    }

    fn exec(
        &self,
        exec: Exec,
        streams: Vec<OwnedFd>,
        mut stream: UnixStream,
    ) -> Result<(), StartError> {
        let streams: [OwnedFd; 3] = streams.try_into().map_err(|_| StartError::Streams)?;
        let [input, output, error] = streams;
        let (input, stop) = Input::new(input).map_err(StartError::Thread)?;
        let files: [Arc<dyn File>; 3] = [
            HostInput::start(input).map_err(StartError::Thread)?,
            HostOutput::new(std::fs::File::from(output)),
            HostOutput::new(std::fs::File::from(error)),
        ];
        let at_end = move |status: ExitStatus| {
            drop(stop);
            let _ = answer(&mut stream, &Reply::Ended(status.shell_status()));
        };
        let command = self.command(exec)?;
        let limits = self.origin.limits.fork();
        self.booted
            .start_beside(command, Streams::Files(files), limits, Box::new(at_end))?;
        Ok(())
    }

    fn exec_at_terminal(
        &self,
        exec: Exec,
        window: Window,
        streams: Vec<OwnedFd>,
        control: UnixStream,
    ) -> Result<(), StartError> {
        let [data]: [OwnedFd; 1] = streams.try_into().map_err(|_| StartError::Streams)?;
        let mut command = self.command(exec)?;
        if !command.env.iter().any(|pair| pair.starts_with(b"TERM=")) {
            command.env.push(b"TERM=xterm".to_vec());
        }
        let outlet = Arc::<Outlet>::default();
        let pty = self
            .booted
            .open_pty(Arc::<Outlet>::clone(&outlet), size_of(window))
            .map_err(BootError::Terminal)?;
        let ended = Arc::clone(&outlet);
        let at_end = move |status: ExitStatus| ended.end(status.shell_status());
        let limits = self.origin.limits.fork();
        self.booted
            .start_beside(command, Streams::Pty(&pty), limits, Box::new(at_end))?;
        Session::new(data, control)
            .serve(&pty, outlet, &self.sessions)
            .map_err(StartError::Thread)
    }

    fn command(&self, exec: Exec) -> Result<Command, StartError> {
        let read = |path: &[u8]| {
            let text = self.booted.kernel().files().read_file(path, MAX_USERS);
            text.unwrap_or_default()
        };
        let user = exec.user.as_ref().unwrap_or(&self.origin.user);
        let user = users::resolve(user, &read(b"/etc/passwd"), &read(b"/etc/group"))?;
        if exec.argv.is_empty() {
            return Err(StartError::NoCommand);
        }
        let mut env = self.origin.env.clone();
        for pair in exec.env {
            let name = pair.split('=').next().unwrap_or_default().to_owned() + "=";
            env.retain(|old| !old.starts_with(name.as_bytes()));
            env.push(pair.into_bytes());
        }
        let workdir = exec.workdir.map(String::into_bytes);
        Ok(Command {
            argv: exec.argv.into_iter().map(String::into_bytes).collect(),
            env,
            cwd: workdir.unwrap_or_else(|| self.origin.cwd.clone()),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
        })
    }
}
