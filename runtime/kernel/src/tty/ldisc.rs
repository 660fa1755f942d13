// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line discipline N_TTY as a state machine (`drivers/tty/n_tty.c`, 6.12).
//!
//! [`Ldisc::input`] takes what the terminal sends, [`Ldisc::read`] is what the
//! program reads, [`Ldisc::output`] what it writes on its way to the terminal. No
//! locks, no waiting: [`Effects`] tells what else has to happen. Whoever owns the
//! state holds its own lock around every call.

mod output;

use std::collections::VecDeque;

use linux_abi::termios::{
    InputModes as I, LocalModes as L, OutputModes as O, Termios, VEOF, VEOL, VEOL2, VERASE, VINTR,
    VKILL, VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME, VWERASE,
};

use crate::file::IoSink;
use linux_abi::Errno;

/// Bytes of input that are kept; of one line, the last is kept for its end.
const BUFFER: usize = 4096;
/// Columns between tab stops.
const TAB: usize = 8;

/// A signal that a character raises in the foreground process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtySignal {
    /// `SIGINT`.
    Interrupt,
    /// `SIGQUIT`.
    Quit,
    /// `SIGTSTP`.
    Suspend,
}

/// What follows from input besides readable bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Bytes to show on the terminal, processed already.
    pub echo: Vec<u8>,
    /// Signals for the foreground group, in order.
    pub signals: Vec<TtySignal>,
    /// Output that is still queued is to be dropped.
    pub drops_output: bool,
}

/// What stands in the input queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte(u8),
    /// A byte that ends a line.
    LineEnd(u8),
    /// An end-of-file character: ends a line, is not read.
    EndOfFile,
}

enum Erase {
    Char,
    Word,
    Line,
}

/// State of one terminal's line discipline.
pub struct Ldisc {
    termios: Termios,
    queue: VecDeque<Unit>,
    /// Units of `queue` that complete lines, or everything in raw mode.
    complete: usize,
    column: usize,
    canon_column: usize,
    is_literal_next: bool,
    is_erasing: bool,
    is_stopped: bool,
}

impl Default for Ldisc {
    fn default() -> Self {
        Self::new(Termios::standard())
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

impl Ldisc {
    /// A discipline without any input.
    #[must_use]
    pub fn new(termios: Termios) -> Self {
        Self {
            termios,
            queue: VecDeque::new(),
            complete: 0,
            column: 0,
            canon_column: 0,
            is_literal_next: false,
            is_erasing: false,
            is_stopped: false,
        }
    }

    /// The attributes.
    #[must_use]
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the attributes. Input typed so far becomes readable when line
    /// editing ends, and editable no more when it begins.
    pub fn set_termios(&mut self, termios: Termios) {
        let was_canonical = self.is_canonical();
        self.termios = termios;
        if was_canonical != self.is_canonical() {
            self.complete = self.queue.len();
            self.is_literal_next = false;
            self.is_erasing = false;
        }
        if !self.termios.has_input(I::IXON) {
            self.is_stopped = false;
        }
    }

    fn is_canonical(&self) -> bool {
        self.termios.has_local(L::ICANON)
    }

    /// Is output stopped by the stop character or `TCOOFF`?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Stops or starts output (`TCXONC`).
    pub fn set_stopped(&mut self, is_stopped: bool) {
        self.is_stopped = is_stopped;
    }

    /// Drops unread input (`TCIFLUSH`).
    pub fn flush_input(&mut self) {
        self.queue.clear();
        self.complete = 0;
        self.is_literal_next = false;
        self.is_erasing = false;
    }

    /// Bytes that the terminal may send now.
    #[must_use]
    pub fn room(&self) -> usize {
        let free = (BUFFER - 1).saturating_sub(self.queue.len());
        // A line that is too long loses its rest rather than stop the sender.
        if free == 0 && self.is_canonical() && self.complete == 0 {
            1
        } else {
            free
        }
    }

    /// Takes bytes from the terminal.
    pub fn input(&mut self, bytes: &[u8], effects: &mut Effects) {
        for &byte in bytes {
            self.input_byte(byte, effects);
        }
    }

    fn input_byte(&mut self, mut byte: u8, effects: &mut Effects) {
        let termios = self.termios;
        if termios.has_input(I::ISTRIP) {
            byte &= 0x7f;
        }
        if termios.has_input(I::IUCLC) && termios.has_local(L::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if std::mem::take(&mut self.is_literal_next) {
            self.echo_and_store(byte, effects);
            return;
        }
        if self.is_stopped && termios.has_input(I::IXON | I::IXANY) {
            self.is_stopped = false;
        }
        if termios.has_input(I::IXON) && self.flow_control(byte) {
            return;
        }
        if termios.has_local(L::ISIG)
            && let Some(signal) = self.signal_of(byte)
        {
            self.raise(signal, byte, effects);
            return;
        }
        match byte {
            b'\r' if termios.has_input(I::IGNCR) => return,
            b'\r' if termios.has_input(I::ICRNL) => byte = b'\n',
            b'\n' if termios.has_input(I::INLCR) => byte = b'\r',
            _ => {}
        }
        if self.is_canonical() && self.edit(byte, effects) {
            return;
        }
        self.echo_and_store(byte, effects);
    }

    fn flow_control(&mut self, byte: u8) -> bool {
        if self.termios.is_special(byte, VSTART) {
            self.is_stopped = false;
            return true;
        }
        if self.termios.is_special(byte, VSTOP) {
            self.is_stopped = true;
            return true;
        }
        false
    }

    fn signal_of(&self, byte: u8) -> Option<TtySignal> {
        let is = |index| self.termios.is_special(byte, index);
        if is(VINTR) {
            Some(TtySignal::Interrupt)
        } else if is(VQUIT) {
            Some(TtySignal::Quit)
        } else if is(VSUSP) {
            Some(TtySignal::Suspend)
        } else {
            None
        }
    }

    fn raise(&mut self, signal: TtySignal, byte: u8, effects: &mut Effects) {
        if !self.termios.has_local(L::NOFLSH) {
            self.flush_input();
            effects.echo.clear();
            effects.drops_output = true;
        }
        if self.termios.has_input(I::IXON) {
            self.is_stopped = false;
        }
        if self.termios.has_local(L::ECHO) {
            self.echo(byte, &mut effects.echo);
        }
        effects.signals.push(signal);
    }

    /// Handles a character that edits or ends the line; false for all others.
    fn edit(&mut self, byte: u8, effects: &mut Effects) -> bool {
        let termios = self.termios;
        let is = |index| termios.is_special(byte, index);
        let is_extended = termios.has_local(L::IEXTEN);
        if is(VERASE) {
            self.erase(&Erase::Char, &mut effects.echo);
        } else if is(VKILL) {
            self.erase(&Erase::Line, &mut effects.echo);
        } else if is(VWERASE) && is_extended {
            self.erase(&Erase::Word, &mut effects.echo);
        } else if is(VLNEXT) && is_extended {
            self.is_literal_next = true;
            if termios.has_local(L::ECHO) {
                self.finish_erasing(&mut effects.echo);
                if termios.has_local(L::ECHOCTL) {
                    self.echo_raw(b'^', &mut effects.echo);
                    self.echo_raw(8, &mut effects.echo);
                }
            }
        } else if is(VREPRINT) && termios.has_local(L::ECHO) && is_extended {
            self.reprint(byte, &mut effects.echo);
        } else if byte == b'\n' {
            if termios.has_local(L::ECHO) || termios.has_local(L::ECHONL) {
                self.finish_erasing(&mut effects.echo);
                self.echo_raw(b'\n', &mut effects.echo);
            }
            self.end_line(Unit::LineEnd(byte));
        } else if is(VEOF) {
            self.end_line(Unit::EndOfFile);
        } else if is(VEOL) || (is(VEOL2) && is_extended) {
            if termios.has_local(L::ECHO) {
                self.finish_erasing(&mut effects.echo);
                self.echo(byte, &mut effects.echo);
            }
            self.end_line(Unit::LineEnd(byte));
        } else {
            return false;
        }
        true
    }

    fn end_line(&mut self, unit: Unit) {
        if self.queue.len() < BUFFER {
            self.queue.push_back(unit);
            self.complete = self.queue.len();
        }
    }

    fn echo_and_store(&mut self, byte: u8, effects: &mut Effects) {
        let is_doubled =
            byte == 0xff && self.termios.has_input(I::PARMRK) && !self.termios.has_input(I::ISTRIP);
        if self.queue.len() + usize::from(is_doubled) >= BUFFER - 1 {
            return;
        }
        if self.termios.has_local(L::ECHO) {
            self.finish_erasing(&mut effects.echo);
            if byte == b'\n' {
                self.echo_raw(byte, &mut effects.echo);
            } else {
                if self.queue.len() == self.complete {
                    self.canon_column = self.column;
                }
                self.echo(byte, &mut effects.echo);
            }
        }
        if is_doubled {
            self.queue.push_back(Unit::Byte(byte));
        }
        self.queue.push_back(Unit::Byte(byte));
        if !self.is_canonical() {
            self.complete = self.queue.len();
        }
    }

    /// Shows a character, control characters as `^X` when asked for.
    fn echo(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.termios.has_local(L::ECHOCTL) && is_control(byte) && byte != b'\t' {
            out.extend_from_slice(&[b'^', byte ^ 0o100]);
            self.column += 2;
        } else {
            self.echo_raw(byte, out);
        }
    }

    fn echo_raw(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.termios.has_output(O::OPOST) {
            self.output_byte(byte, out);
        } else {
            out.push(byte);
        }
    }

    fn finish_erasing(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_erasing) {
            self.echo_raw(b'/', out);
        }
    }

    fn reprint(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.finish_erasing(out);
        self.echo(byte, out);
        self.echo_raw(b'\n', out);
        let line: Vec<Unit> = self.queue.iter().skip(self.complete).copied().collect();
        for unit in line {
            if let Unit::Byte(byte) = unit {
                self.echo(byte, out);
            }
        }
    }

    fn is_continuation(&self, byte: u8) -> bool {
        self.termios.has_input(I::IUTF8) && byte & 0xc0 == 0x80
    }

    /// Takes the last character off the line; `None` when the line is empty or
    /// begins inside a character.
    fn pop_char(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut tail = Vec::new();
        while self.queue.len() > self.complete {
            let Some(Unit::Byte(byte)) = self.queue.pop_back() else {
                break;
            };
            tail.push(byte);
            if !self.is_continuation(byte) {
                let first = tail.pop()?;
                tail.reverse();
                return Some((first, tail));
            }
        }
        self.queue.extend(tail.into_iter().rev().map(Unit::Byte));
        None
    }

    fn erase(&mut self, what: &Erase, out: &mut Vec<u8>) {
        let local = |mode| self.termios.has_local(mode);
        let has_echo = local(L::ECHO);
        if self.queue.len() == self.complete {
            return;
        }
        if matches!(what, Erase::Line) {
            let is_visible = has_echo && local(L::ECHOK) && local(L::ECHOKE) && local(L::ECHOE);
            if !is_visible {
                self.queue.truncate(self.complete);
                if has_echo {
                    self.finish_erasing(out);
                    self.echo(self.termios.cc[VKILL], out);
                    if self.termios.has_local(L::ECHOK) {
                        self.echo_raw(b'\n', out);
                    }
                }
                return;
            }
        }
        let mut has_seen_word = false;
        while let Some((byte, rest)) = self.pop_char() {
            if matches!(what, Erase::Word) {
                let is_word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
                if !is_word && has_seen_word {
                    self.queue.push_back(Unit::Byte(byte));
                    self.queue.extend(rest.into_iter().map(Unit::Byte));
                    break;
                }
                has_seen_word |= is_word;
            }
            if has_echo {
                self.show_erased(what, byte, &rest, out);
            }
            if matches!(what, Erase::Char) {
                break;
            }
        }
        if self.queue.len() == self.complete && has_echo {
            self.finish_erasing(out);
        }
    }

    fn show_erased(&mut self, what: &Erase, byte: u8, rest: &[u8], out: &mut Vec<u8>) {
        if self.termios.has_local(L::ECHOPRT) {
            if !std::mem::replace(&mut self.is_erasing, true) {
                self.echo_raw(b'\\', out);
            }
            self.echo(byte, out);
            out.extend_from_slice(rest);
        } else if matches!(what, Erase::Char) && !self.termios.has_local(L::ECHOE) {
            self.echo(self.termios.cc[VERASE], out);
        } else if byte == b'\t' {
            self.erase_tab(out);
        } else {
            let is_shown_as_two = is_control(byte) && self.termios.has_local(L::ECHOCTL);
            let cells = match (is_control(byte), is_shown_as_two) {
                (true, true) => 2,
                (true, false) => 0,
                (false, _) => 1,
            };
            for _ in 0..cells {
                out.extend_from_slice(b"\x08 \x08");
                self.column = self.column.saturating_sub(1);
            }
        }
    }

    /// Moves back over a tab: to where the text before it ends.
    fn erase_tab(&mut self, out: &mut Vec<u8>) {
        let mut width = 0;
        let mut is_after_tab = false;
        for unit in self.queue.iter().skip(self.complete).rev() {
            let Unit::Byte(byte) = unit else { break };
            match *byte {
                b'\t' => {
                    is_after_tab = true;
                    break;
                }
                b if is_control(b) => {
                    width += if self.termios.has_local(L::ECHOCTL) {
                        2
                    } else {
                        0
                    };
                }
                b if !self.is_continuation(b) => width += 1,
                _ => {}
            }
        }
        if !is_after_tab {
            width += self.canon_column;
        }
        for _ in 0..TAB - width % TAB {
            out.push(8);
            self.column = self.column.saturating_sub(1);
        }
    }

    /// Is there something that a read returns at once?
    #[must_use]
    pub fn is_readable(&self) -> bool {
        if self.is_canonical() {
            return self.complete > 0;
        }
        let min = if self.termios.cc[VTIME] == 0 {
            usize::from(self.termios.cc[VMIN])
        } else {
            1
        };
        self.complete >= min.max(1)
    }

    /// Bytes that can be read (`FIONREAD`).
    #[must_use]
    pub fn readable_len(&self) -> usize {
        let complete = self.queue.iter().take(self.complete);
        complete.filter(|unit| **unit != Unit::EndOfFile).count()
    }

    /// How long a raw read waits for more, when it is limited.
    #[must_use]
    pub fn read_timeout(&self) -> Option<std::time::Duration> {
        let tenths = u64::from(self.termios.cc[VTIME]);
        let starts = self.termios.cc[VMIN] == 0 || self.complete > 0;
        (!self.is_canonical() && tenths > 0 && starts)
            .then(|| std::time::Duration::from_millis(tenths * 100))
    }

    /// Moves input to the program: a line, or what raw mode's `VMIN` allows.
    /// `has_expired`: the timeout passed, whatever is there is enough.
    ///
    /// # Errors
    /// `EAGAIN` when a read has to wait, `EFAULT`.
    pub fn read(&mut self, dst: &mut dyn IoSink, has_expired: bool) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        if self.is_canonical() {
            if self.complete == 0 {
                return Err(Errno::EAGAIN);
            }
        } else {
            let (min, time) = (self.termios.cc[VMIN], self.termios.cc[VTIME]);
            let wanted = usize::from(min).min(dst.remaining());
            let is_enough = match (min, time) {
                (0, 0) => true,
                (0, _) => self.complete > 0,
                _ => self.complete >= wanted,
            };
            if !is_enough && !has_expired {
                return Err(Errno::EAGAIN);
            }
        }
        self.take(dst)
    }

    fn take(&mut self, dst: &mut dyn IoSink) -> Result<usize, Errno> {
        let mut line = Vec::new();
        let mut units = 0;
        for unit in self.queue.iter().take(self.complete) {
            if line.len() == dst.remaining() {
                // An end of file right after a full read belongs to that read.
                units += usize::from(*unit == Unit::EndOfFile);
                break;
            }
            units += 1;
            match unit {
                Unit::Byte(byte) => line.push(*byte),
                Unit::LineEnd(byte) => line.push(*byte),
                Unit::EndOfFile => {}
            }
            if self.is_canonical() && !matches!(unit, Unit::Byte(_)) {
                break;
            }
        }
        if !line.is_empty() {
            dst.put(&line)?;
        }
        self.queue.drain(..units);
        self.complete -= units;
        Ok(line.len())
    }
}

#[cfg(test)]
#[path = "ldisc_tests.rs"]
mod tests;
