// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of growing, signing and verifying, on a small stub made by hand.

use std::io::Write;

use elfuse_payload::Digest;

use super::image::LC_SEGMENT_64;
use super::{MachoError, PAGE, SignedWriter, Template, sign, verify};

fn segment(name: &str, offset: u64, size: u64, address: u64, section: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let len: u32 = if section { 152 } else { 72 };
    out.extend_from_slice(&LC_SEGMENT_64.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    let mut padded = [0; 16];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    out.extend_from_slice(&padded);
    for value in [address, size.next_multiple_of(PAGE), offset, size] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for value in [1_u32, 1, u32::from(section), 0] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    if section {
        out.extend_from_slice(&padded);
        out.extend_from_slice(&padded);
        out.extend_from_slice(&address.to_le_bytes());
        out.extend_from_slice(&1_u64.to_le_bytes());
        let start = if offset == 0 {
            2048
        } else {
            u32::try_from(offset).unwrap()
        };
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&[0; 28]);
    }
    out
}

/// Three segments and a symbol table, 16 KiB each but the last.
pub(crate) fn stub() -> Vec<u8> {
    let base = 0x1_0000_0000;
    let symtab: [u32; 6] = [2, 24, 32768, 1, 32784, 16];
    let commands = [
        segment("__TEXT", 0, PAGE, base, true),
        segment("__ELFUSE", PAGE, PAGE, base + PAGE, true),
        segment("__LINKEDIT", 2 * PAGE, 37, base + 2 * PAGE, false),
        symtab.iter().flat_map(|v| v.to_le_bytes()).collect(),
    ];
    let body = commands.concat();
    let size = u32::try_from(body.len()).unwrap();
    let header: [u32; 8] = [0xfeed_facf, 0x0100_000c, 0, 2, 4, size, 0, 0];
    let mut file: Vec<u8> = header.iter().flat_map(|v| v.to_le_bytes()).collect();
    file.extend_from_slice(&body);
    file.resize(32768, 0x5a);
    let first = 32 + body.len();
    file[first..first + 256].fill(0);
    file.extend_from_slice(&[7; 37]);
    file
}

fn bundle(payload: &[u8]) -> Vec<u8> {
    let template = Template::new(stub()).unwrap();
    let size = payload.len() as u64;
    let mut writer = SignedWriter::new(&template, size, "box", 3, Vec::new()).unwrap();
    writer.write_all(payload).unwrap();
    writer.finish().unwrap()
}

fn payload(pages: u64) -> Vec<u8> {
    (0..pages * PAGE)
        .map(|n| u8::try_from(n * 7 % 251).unwrap())
        .collect()
}

#[test]
fn grown_file_verifies_and_holds_the_payload() {
    for pages in [0, 1, 63, 64, 130] {
        let data = payload(pages);
        let file = bundle(&data);
        let signature = verify(&file, &|_| ()).unwrap();
        assert_eq!(signature.identifier, "box");
        assert!(signature.ad_hoc && signature.hypervisor);
        let start = usize::try_from(PAGE).unwrap();
        assert_eq!(&file[start..start + data.len()], data);
    }
}

#[test]
fn goblin_and_object_read_the_whole_file() {
    use object::{Object, ObjectSegment};
    let file = bundle(&payload(2));
    let macho = goblin::mach::MachO::parse(&file, 0).unwrap();
    assert_eq!(macho.segments.len(), 3);
    let other = object::File::parse(&file[..]).unwrap();
    let names: Vec<_> = other
        .segments()
        .map(|s| s.name().unwrap().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["__TEXT", "__ELFUSE", "__LINKEDIT"]);
}

#[test]
fn same_input_gives_the_same_bytes() {
    assert_eq!(bundle(&payload(70)), bundle(&payload(70)));
}

#[test]
fn any_flipped_byte_is_noticed() {
    let file = bundle(&payload(3));
    for at in (0..file.len())
        .step_by(97)
        .chain(file.len() - 700..file.len())
    {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(verify(&damaged, &|_| ()).is_err(), "byte {at}");
    }
}

#[test]
fn signature_that_is_not_ad_hoc_has_to_be_somebodys() {
    let mut file = bundle(&payload(1));
    let code = [0xfa, 0xde, 0x0c, 0x02];
    let code = file.windows(4).position(|magic| magic == code).unwrap();
    // The low byte of the code directory's flags.
    assert_eq!(file[code + 15], 2);
    file[code + 15] = 0;
    let why = verify(&file, &|_| ()).unwrap_err().to_string();
    assert!(why.contains("neither ad hoc"), "{why}");
}

#[test]
fn truncated_files_are_refused() {
    let file = bundle(&payload(1));
    for len in (0..file.len()).step_by(511) {
        assert!(
            verify(&file[..len].to_vec(), &|_| ()).is_err(),
            "{len} bytes"
        );
    }
}

#[test]
fn symbol_table_moves_with_linkedit() {
    let file = bundle(&payload(5));
    let macho = goblin::mach::MachO::parse(&file, 0).unwrap();
    let symtab = macho.load_commands.iter().find_map(|c| match c.command {
        goblin::mach::load_command::CommandVariant::Symtab(s) => Some(s),
        _ => None,
    });
    let symtab = symtab.unwrap();
    assert_eq!(u64::from(symtab.symoff), 6 * PAGE);
    assert_eq!(u64::from(symtab.stroff), 6 * PAGE + 16);
}

#[test]
fn payload_of_four_gib_is_refused() {
    let template = Template::new(stub()).unwrap();
    let made = SignedWriter::new(&template, 1 << 32, "box", 1, Vec::new());
    assert!(matches!(made.err(), Some(MachoError::TooLarge { .. })));
}

#[test]
fn short_and_long_payloads_are_refused() {
    let template = Template::new(stub()).unwrap();
    let writer = SignedWriter::new(&template, PAGE, "box", 1, Vec::new()).unwrap();
    assert!(writer.finish().is_err());
    let mut writer = SignedWriter::new(&template, PAGE, "box", 1, Vec::new()).unwrap();
    assert!(writer.write_all(&payload(2)).is_err());
}

#[test]
fn foreign_files_are_no_stubs() {
    for bytes in [
        Vec::new(),
        vec![0; 100],
        b"\x7fELF".to_vec(),
        bundle(&payload(1)),
    ] {
        assert!(Template::new(bytes).is_err());
    }
}

/// The vectors that docs/macho.md states: a change here is a change of format.
#[test]
fn signature_has_the_documented_bytes() {
    assert_eq!(hex(&sign::REQUIREMENTS), "fade0c010000000c00000000");
    assert_eq!(
        hex(&sign::entitlements_der()),
        "fade717200000033702902010\
         1b02430220c1d636f6d2e6170706c652e73656375726974792e68797065727669736f720101ff"
    );
    let xml = sign::entitlements();
    assert_eq!(hex(&xml[..8]), "fade7171000000f7");
    assert_eq!(
        Digest::of(&xml).hex(),
        "099aa0b5ba542c07c5914890335db915f53fe59b64d78bddbc7e851ec1928d1c"
    );
    let pages = [Digest::of(b"first"), Digest::of(b"second")];
    let signature = sign::build("box", 16384, 20000, &pages);
    assert_eq!(
        hex(&signature[..52]),
        "fade0cc0000002ee00000005000000000000003400000002000001b000000005000001bc00000007000002b300010000000002e6"
    );
    assert_eq!(
        hex(&signature[52..140]),
        "fade0c020000017c00020400000000020000013c00000058000000070000000200004e202002000e000000000000000000000000000000000000000000000000000000000000000000000000000040000000000000000001"
    );
    assert_eq!(
        Digest::of(&signature).hex(),
        "4ef1e74f60c9097df733369300d17e35f76735e28857efc9aa7784a58d46ebcd"
    );
    assert_eq!(signature.len() as u64, sign::size("box", 20000));
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
