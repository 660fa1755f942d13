// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm-generic/termbits.h`: terminal attributes.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes};

bitflags! {
    /// Input modes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct InputModes: u32 {
        /// Ignore a break.
        const IGNBRK = 0o1;
        /// A break interrupts.
        const BRKINT = 0o2;
        /// Ignore parity errors.
        const IGNPAR = 0o4;
        /// Mark parity errors.
        const PARMRK = 0o10;
        /// Check parity.
        const INPCK = 0o20;
        /// Strip the eighth bit.
        const ISTRIP = 0o40;
        /// Newline becomes carriage return.
        const INLCR = 0o100;
        /// Ignore carriage return.
        const IGNCR = 0o200;
        /// Carriage return becomes newline.
        const ICRNL = 0o400;
        /// Upper case becomes lower case.
        const IUCLC = 0o1000;
        /// The stop and start characters control output.
        const IXON = 0o2000;
        /// Any character starts output.
        const IXANY = 0o4000;
        /// Send stop and start characters.
        const IXOFF = 0o10000;
        /// Ring the bell when input is full.
        const IMAXBEL = 0o20000;
        /// Input is UTF-8.
        const IUTF8 = 0o40000;
    }
}

bitflags! {
    /// Output modes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct OutputModes: u32 {
        /// Process output.
        const OPOST = 0o1;
        /// Lower case becomes upper case.
        const OLCUC = 0o2;
        /// Newline becomes carriage return and newline.
        const ONLCR = 0o4;
        /// Carriage return becomes newline.
        const OCRNL = 0o10;
        /// No carriage return in column 0.
        const ONOCR = 0o20;
        /// Newline returns to column 0.
        const ONLRET = 0o40;
        /// Tabs become spaces.
        const XTABS = 0o14000;
    }
}

bitflags! {
    /// Local modes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct LocalModes: u32 {
        /// Characters raise signals.
        const ISIG = 0o1;
        /// Input is edited by lines.
        const ICANON = 0o2;
        /// Upper and lower case presentation.
        const XCASE = 0o4;
        /// Echo input.
        const ECHO = 0o10;
        /// Erase visibly.
        const ECHOE = 0o20;
        /// Newline after the kill character.
        const ECHOK = 0o40;
        /// Echo newline even without `ECHO`.
        const ECHONL = 0o100;
        /// Keep the queues when a signal is raised.
        const NOFLSH = 0o200;
        /// Background output stops the writer.
        const TOSTOP = 0o400;
        /// Control characters are echoed as `^X`.
        const ECHOCTL = 0o1000;
        /// Erase as on paper.
        const ECHOPRT = 0o2000;
        /// Kill erases visibly.
        const ECHOKE = 0o4000;
        /// Output is being flushed.
        const FLUSHO = 0o10000;
        /// Reprint pending input.
        const PENDIN = 0o40000;
        /// Extensions.
        const IEXTEN = 0o100000;
        /// External processing.
        const EXTPROC = 0o200000;
    }
}

/// Interrupt character.
pub const VINTR: usize = 0;
/// Quit character.
pub const VQUIT: usize = 1;
/// Erase character.
pub const VERASE: usize = 2;
/// Kill character.
pub const VKILL: usize = 3;
/// End-of-file character.
pub const VEOF: usize = 4;
/// Timeout in tenths of a second.
pub const VTIME: usize = 5;
/// Characters that a raw read waits for.
pub const VMIN: usize = 6;
/// Start character.
pub const VSTART: usize = 8;
/// Stop character.
pub const VSTOP: usize = 9;
/// Suspend character.
pub const VSUSP: usize = 10;
/// Another end-of-line character.
pub const VEOL: usize = 11;
/// Reprint character.
pub const VREPRINT: usize = 12;
/// Discard character.
pub const VDISCARD: usize = 13;
/// Word-erase character.
pub const VWERASE: usize = 14;
/// Literal-next character.
pub const VLNEXT: usize = 15;
/// A third end-of-line character.
pub const VEOL2: usize = 16;

/// Attributes as `TCGETS2` has them; `TCGETS` has the first 36 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Termios {
    /// Input modes.
    pub iflag: u32,
    /// Output modes.
    pub oflag: u32,
    /// Control modes.
    pub cflag: u32,
    /// Local modes.
    pub lflag: u32,
    /// Line discipline.
    pub line: u8,
    /// Special characters; 0 disables one.
    pub cc: [u8; 19],
    /// Input speed.
    pub ispeed: u32,
    /// Output speed.
    pub ospeed: u32,
}
const _: () = assert!(size_of::<Termios>() == 44);

impl Termios {
    /// What `TCGETS` transfers of it.
    pub const SHORT_LEN: usize = 36;

    /// The attributes of a new terminal (`tty_std_termios`).
    #[must_use]
    pub const fn standard() -> Self {
        let input = InputModes::ICRNL.bits() | InputModes::IXON.bits();
        let output = OutputModes::OPOST.bits() | OutputModes::ONLCR.bits();
        let local = LocalModes::ISIG.bits()
            | LocalModes::ICANON.bits()
            | LocalModes::ECHO.bits()
            | LocalModes::ECHOE.bits()
            | LocalModes::ECHOK.bits()
            | LocalModes::ECHOCTL.bits()
            | LocalModes::ECHOKE.bits()
            | LocalModes::IEXTEN.bits();
        let mut cc = [0; 19];
        cc[VINTR] = 3;
        cc[VQUIT] = 0o34;
        cc[VERASE] = 0o177;
        cc[VKILL] = 0o25;
        cc[VEOF] = 4;
        cc[VMIN] = 1;
        cc[VSTART] = 0o21;
        cc[VSTOP] = 0o23;
        cc[VSUSP] = 0o32;
        cc[VREPRINT] = 0o22;
        cc[VDISCARD] = 0o17;
        cc[VWERASE] = 0o27;
        cc[VLNEXT] = 0o26;
        // B38400 | CS8 | CREAD | HUPCL.
        let cflag = 0o17 | 0o60 | 0o200 | 0o2000;
        Self {
            iflag: input,
            oflag: output,
            cflag,
            lflag: local,
            line: 0,
            cc,
            ispeed: 38400,
            ospeed: 38400,
        }
    }

    /// Is the input mode set?
    #[must_use]
    pub const fn has_input(&self, mode: InputModes) -> bool {
        self.iflag & mode.bits() == mode.bits()
    }

    /// Is the output mode set?
    #[must_use]
    pub const fn has_output(&self, mode: OutputModes) -> bool {
        self.oflag & mode.bits() == mode.bits()
    }

    /// Is the local mode set?
    #[must_use]
    pub const fn has_local(&self, mode: LocalModes) -> bool {
        self.lflag & mode.bits() == mode.bits()
    }

    /// Is `byte` the special character `index`?
    #[must_use]
    pub const fn is_special(&self, byte: u8, index: usize) -> bool {
        self.cc[index] != 0 && self.cc[index] == byte
    }
}

/// Size of a window (`TIOCGWINSZ`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Winsize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}
