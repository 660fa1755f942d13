// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line discipline as a person at a keyboard sees it.

use linux_abi::Errno;
use linux_abi::termios::{InputModes, LocalModes, Termios, VMIN, VTIME};
use proptest::prelude::*;

use super::{Effects, Ldisc, TtySignal};
use crate::file::VecSink;

fn type_in(ldisc: &mut Ldisc, bytes: &[u8]) -> Effects {
    let mut effects = Effects::default();
    ldisc.input(bytes, &mut effects);
    effects
}

fn read(ldisc: &mut Ldisc, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(limit);
    ldisc.read(&mut sink, false).map(|_| sink.into_inner())
}

fn raw() -> Ldisc {
    let mut termios = Termios::standard();
    termios.lflag &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG).bits();
    termios.iflag = 0;
    Ldisc::new(termios)
}

#[test]
fn line_is_readable_only_when_it_is_complete() {
    let mut ldisc = Ldisc::default();
    assert_eq!(type_in(&mut ldisc, b"ab").echo, b"ab");
    assert_eq!(read(&mut ldisc, 10), Err(Errno::EAGAIN));
    assert_eq!(type_in(&mut ldisc, b"\r").echo, b"\r\n");
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"ab\n");
}

#[test]
fn erase_takes_back_one_utf8_character_and_its_cell() {
    let mut termios = Termios::standard();
    termios.iflag |= InputModes::IUTF8.bits();
    let mut ldisc = Ldisc::new(termios);
    let echo = type_in(&mut ldisc, "a\u{fc}\x7f\n".as_bytes()).echo;
    assert_eq!(echo, "a\u{fc}\x08 \x08\r\n".as_bytes());
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"a\n");
}

#[test]
fn word_erase_stops_before_the_previous_word() {
    let mut ldisc = Ldisc::default();
    type_in(&mut ldisc, b"one two  \x17\n");
    assert_eq!(read(&mut ldisc, 20).unwrap(), b"one \n");
}

#[test]
fn kill_erases_control_characters_with_both_their_cells() {
    let mut ldisc = Ldisc::default();
    let echo = type_in(&mut ldisc, b"a\x01\x15").echo;
    assert_eq!(echo, b"a^A\x08 \x08\x08 \x08\x08 \x08");
}

#[test]
fn erasing_a_tab_returns_to_where_the_text_ended() {
    let mut ldisc = Ldisc::default();
    let mut out = Vec::new();
    ldisc.output(b"$ ", &mut out);
    let echo = type_in(&mut ldisc, b"ab\t\x7f").echo;
    assert_eq!(echo, b"ab\t\x08\x08\x08\x08");
}

#[test]
fn end_of_file_on_an_empty_line_reads_as_zero_once() {
    let mut ldisc = Ldisc::default();
    type_in(&mut ldisc, b"\x04");
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"");
    assert_eq!(read(&mut ldisc, 10), Err(Errno::EAGAIN));
}

#[test]
fn end_of_file_after_text_ends_the_read_without_a_newline() {
    let mut ldisc = Ldisc::default();
    type_in(&mut ldisc, b"ab\x04");
    assert_eq!(read(&mut ldisc, 2).unwrap(), b"ab");
    assert_eq!(read(&mut ldisc, 10), Err(Errno::EAGAIN));
}

#[test]
fn interrupt_drops_the_line_and_raises_a_signal() {
    let mut ldisc = Ldisc::default();
    let effects = type_in(&mut ldisc, b"abc\x03x\n");
    assert_eq!(effects.signals, [TtySignal::Interrupt]);
    assert_eq!(effects.echo, b"^Cx\r\n");
    assert!(effects.drops_output);
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"x\n");
}

#[test]
fn literal_next_takes_away_the_meaning_of_a_character() {
    let mut ldisc = Ldisc::default();
    let effects = type_in(&mut ldisc, b"\x16\x03\n");
    assert_eq!(effects.echo, b"^\x08^C\r\n");
    assert_eq!(effects.signals, []);
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"\x03\n");
}

#[test]
fn stopped_output_takes_nothing_until_it_is_started() {
    let mut ldisc = Ldisc::default();
    let mut out = Vec::new();
    type_in(&mut ldisc, b"\x13");
    assert_eq!(ldisc.output(b"x", &mut out), 0);
    type_in(&mut ldisc, b"\x11");
    assert_eq!(ldisc.output(b"x", &mut out), 1);
}

#[test]
fn raw_read_waits_for_vmin_or_a_full_buffer() {
    let mut ldisc = raw();
    let mut termios = *ldisc.termios();
    termios.cc[VMIN] = 3;
    ldisc.set_termios(termios);
    type_in(&mut ldisc, b"ab");
    assert_eq!(read(&mut ldisc, 10), Err(Errno::EAGAIN));
    assert_eq!(read(&mut ldisc, 2).unwrap(), b"ab");
    type_in(&mut ldisc, b"cde");
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"cde");
}

#[test]
fn raw_read_without_vmin_and_vtime_never_waits() {
    let mut ldisc = raw();
    let mut termios = *ldisc.termios();
    (termios.cc[VMIN], termios.cc[VTIME]) = (0, 0);
    ldisc.set_termios(termios);
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"");
}

#[test]
fn leaving_canonical_mode_makes_a_half_line_readable() {
    let mut ldisc = Ldisc::default();
    type_in(&mut ldisc, b"half");
    ldisc.set_termios(*raw().termios());
    assert_eq!(read(&mut ldisc, 10).unwrap(), b"half");
}

proptest! {
    #[test]
    fn edited_line_is_what_a_text_field_would_hold(keys in "[a-c \\x7f\\x15]{0,80}") {
        let mut ldisc = Ldisc::default();
        let mut field = String::new();
        for key in keys.chars() {
            match key {
                '\x7f' => { field.pop(); }
                '\x15' => field.clear(),
                key => field.push(key),
            }
        }
        type_in(&mut ldisc, keys.as_bytes());
        type_in(&mut ldisc, b"\n");
        field.push('\n');
        prop_assert_eq!(read(&mut ldisc, 200).unwrap(), field.into_bytes());
    }

    #[test]
    fn any_input_in_any_mode_keeps_the_queue_bounded(
        flags in any::<(u32, u32, u32)>(), bytes in prop::collection::vec(any::<u8>(), 0..6000)
    ) {
        let mut termios = Termios::standard();
        (termios.iflag, termios.oflag, termios.lflag) = flags;
        let mut ldisc = Ldisc::new(termios);
        type_in(&mut ldisc, &bytes);
        prop_assert!(ldisc.readable_len() <= 4096);
        let mut sink = VecSink::new(10_000);
        let _ = ldisc.read(&mut sink, true);
    }
}
