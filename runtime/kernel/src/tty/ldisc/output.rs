// SPDX-License-Identifier: MIT OR Apache-2.0
//! Output processing of a line discipline (`OPOST`): what becomes of the bytes
//! that programs write, and in which column the cursor then is.

use linux_abi::termios::OutputModes as O;

use super::{Ldisc, TAB, is_control};

impl Ldisc {
    /// Processes bytes that the program writes; returns how many were taken and
    /// appends what goes to the terminal. Takes none while output is stopped.
    pub fn output(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        if self.is_stopped {
            return 0;
        }
        if !self.termios.has_output(O::OPOST) {
            out.extend_from_slice(bytes);
            return bytes.len();
        }
        for &byte in bytes {
            self.output_byte(byte, out);
        }
        bytes.len()
    }

    pub(super) fn output_byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        let modes = self.termios;
        match byte {
            b'\n' => {
                if modes.has_output(O::ONLRET) {
                    self.column = 0;
                }
                if modes.has_output(O::ONLCR) {
                    self.column = 0;
                    out.push(b'\r');
                }
                out.push(b'\n');
            }
            b'\r' => {
                if modes.has_output(O::ONOCR) && self.column == 0 {
                    return;
                }
                self.column = 0;
                out.push(if modes.has_output(O::OCRNL) {
                    b'\n'
                } else {
                    b'\r'
                });
            }
            b'\t' => {
                let spaces = TAB - self.column % TAB;
                self.column += spaces;
                if modes.has_output(O::XTABS) {
                    out.extend(std::iter::repeat_n(b' ', spaces));
                } else {
                    out.push(byte);
                }
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                out.push(byte);
            }
            _ => {
                let upper = modes.has_output(O::OLCUC);
                out.push(if upper {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                });
                if !is_control(byte) && !self.is_continuation(byte) {
                    self.column += 1;
                }
            }
        }
    }
}
