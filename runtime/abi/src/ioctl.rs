// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm-generic/ioctls.h`: request numbers of terminals, pipes and files.

/// Read the terminal attributes.
pub const TCGETS: u32 = 0x5401;
/// Set the attributes now.
pub const TCSETS: u32 = 0x5402;
/// Set the attributes after output drained.
pub const TCSETSW: u32 = 0x5403;
/// Set the attributes after output drained, dropping input.
pub const TCSETSF: u32 = 0x5404;
/// Send a break.
pub const TCSBRK: u32 = 0x5409;
/// Stop or start output.
pub const TCXONC: u32 = 0x540A;
/// Drop queued data.
pub const TCFLSH: u32 = 0x540B;
/// Refuse further opens.
pub const TIOCEXCL: u32 = 0x540C;
/// Allow further opens.
pub const TIOCNXCL: u32 = 0x540D;
/// Make it the controlling terminal.
pub const TIOCSCTTY: u32 = 0x540E;
/// Read the foreground process group.
pub const TIOCGPGRP: u32 = 0x540F;
/// Set the foreground process group.
pub const TIOCSPGRP: u32 = 0x5410;
/// Bytes waiting to be sent.
pub const TIOCOUTQ: u32 = 0x5411;
/// Put a byte into the input.
pub const TIOCSTI: u32 = 0x5412;
/// Read the window size.
pub const TIOCGWINSZ: u32 = 0x5413;
/// Set the window size.
pub const TIOCSWINSZ: u32 = 0x5414;
/// Bytes waiting to be read.
pub const FIONREAD: u32 = 0x541B;
/// Packet mode of a pty master.
pub const TIOCPKT: u32 = 0x5420;
/// Set or clear non-blocking I/O.
pub const FIONBIO: u32 = 0x5421;
/// Give up the controlling terminal.
pub const TIOCNOTTY: u32 = 0x5422;
/// Set the line discipline.
pub const TIOCSETD: u32 = 0x5423;
/// Read the line discipline.
pub const TIOCGETD: u32 = 0x5424;
/// Send a break, POSIX.
pub const TCSBRKP: u32 = 0x5425;
/// Read the session.
pub const TIOCGSID: u32 = 0x5429;
/// Read the attributes, with speeds.
pub const TCGETS2: u32 = 0x802C_542A;
/// Set the attributes, with speeds.
pub const TCSETS2: u32 = 0x402C_542B;
/// As `TCSETS2`, after output drained.
pub const TCSETSW2: u32 = 0x402C_542C;
/// As `TCSETS2`, after output drained, dropping input.
pub const TCSETSF2: u32 = 0x402C_542D;
/// The number of a pty.
pub const TIOCGPTN: u32 = 0x8004_5430;
/// Lock or unlock the slave of a pty.
pub const TIOCSPTLCK: u32 = 0x4004_5431;
/// Is packet mode on?
pub const TIOCGPKT: u32 = 0x8004_5438;
/// Is the slave locked?
pub const TIOCGPTLCK: u32 = 0x8004_5439;
/// Open the slave of a pty master.
pub const TIOCGPTPEER: u32 = 0x5441;
/// Clear close-on-exec.
pub const FIONCLEX: u32 = 0x5450;
/// Set close-on-exec.
pub const FIOCLEX: u32 = 0x5451;
/// Signal-driven I/O.
pub const FIOASYNC: u32 = 0x5452;
