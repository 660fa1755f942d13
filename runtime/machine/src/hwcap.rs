// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a processor can do, as programs ask: `AT_HWCAP`, `AT_HWCAP2`, and `MRS` of the
//! ID registers at EL0, which Linux answers from a sanitised copy.
//!
//! Only features that work under the runtime are shown. Not shown although the
//! processor may have them: pointer authentication (the keys are never enabled, so its
//! instructions do nothing), SVE and SME (state that nobody saves), MTE, BTI.
//! Linux: `arch/arm64/kernel/cpufeature.c` (6.12). Fields: Arm ARM D24.2.

/// ID registers of a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdRegisters {
    /// `ID_AA64PFR0_EL1`.
    pub pfr0: u64,
    /// `ID_AA64ISAR0_EL1`.
    pub isar0: u64,
    /// `ID_AA64ISAR1_EL1`.
    pub isar1: u64,
    /// `ID_AA64MMFR2_EL1`.
    pub mmfr2: u64,
}

/// The fields that programs may see, by their lowest bit.
const VISIBLE_ISAR0: [u32; 12] = [4, 8, 12, 16, 20, 28, 32, 36, 40, 44, 48, 52];
const VISIBLE_ISAR1: [u32; 9] = [0, 12, 16, 20, 32, 36, 44, 48, 52];
/// `DIT`; floating point and SIMD are signed fields and treated by themselves.
const VISIBLE_PFR0: [u32; 1] = [48];
const FP: u32 = 16;
const SIMD: u32 = 20;
/// `AT`: atomic accesses that are not aligned but within 16 bytes.
const VISIBLE_MMFR2: [u32; 1] = [32];

/// A bit of `AT_HWCAP` or `AT_HWCAP2`: which field of which register must reach what.
struct Row {
    word: usize,
    bit: u32,
    register: fn(&IdRegisters) -> u64,
    shift: u32,
    least: u64,
}

const fn row(
    word: usize,
    bit: u32,
    register: fn(&IdRegisters) -> u64,
    shift: u32,
    least: u64,
) -> Row {
    Row {
        word,
        bit,
        register,
        shift,
        least,
    }
}

fn isar0(of: &IdRegisters) -> u64 {
    of.isar0
}

fn isar1(of: &IdRegisters) -> u64 {
    of.isar1
}

fn pfr0(of: &IdRegisters) -> u64 {
    of.pfr0
}

fn mmfr2(of: &IdRegisters) -> u64 {
    of.mmfr2
}

const ROWS: [Row; 27] = [
    row(0, 3, isar0, 4, 1),   // AES
    row(0, 4, isar0, 4, 2),   // PMULL
    row(0, 5, isar0, 8, 1),   // SHA1
    row(0, 6, isar0, 12, 1),  // SHA2
    row(0, 21, isar0, 12, 2), // SHA512
    row(0, 7, isar0, 16, 1),  // CRC32
    row(0, 8, isar0, 20, 2),  // ATOMICS
    row(0, 12, isar0, 28, 1), // ASIMDRDM
    row(0, 17, isar0, 32, 1), // SHA3
    row(0, 18, isar0, 36, 1), // SM3
    row(0, 19, isar0, 40, 1), // SM4
    row(0, 20, isar0, 44, 1), // ASIMDDP
    row(0, 23, isar0, 48, 1), // ASIMDFHM
    row(0, 27, isar0, 52, 1), // FLAGM
    row(1, 7, isar0, 52, 2),  // FLAGM2
    row(0, 16, isar1, 0, 1),  // DCPOP
    row(1, 0, isar1, 0, 2),   // DCPODP
    row(0, 13, isar1, 12, 1), // JSCVT
    row(0, 14, isar1, 16, 1), // FCMA
    row(0, 15, isar1, 20, 1), // LRCPC
    row(0, 26, isar1, 20, 2), // ILRCPC
    row(1, 8, isar1, 32, 1),  // FRINT
    row(0, 29, isar1, 36, 1), // SB
    row(1, 14, isar1, 44, 1), // BF16
    row(1, 13, isar1, 52, 1), // I8MM
    row(0, 24, pfr0, 48, 1),  // DIT
    row(0, 25, mmfr2, 32, 1), // USCAT
];

/// `HWCAP_CPUID`: `MRS` of ID registers works at EL0.
const CPUID: u64 = 1 << 11;

fn field(register: u64, shift: u32) -> u64 {
    register >> shift & 0xf
}

fn masked(register: u64, visible: &[u32]) -> u64 {
    visible.iter().fold(0, |mask, shift| mask | 0xf << shift) & register
}

impl IdRegisters {
    /// `AT_HWCAP` and `AT_HWCAP2`.
    #[must_use]
    pub fn hwcap(&self) -> [u64; 2] {
        let mut words = [0, 0];
        for row in &ROWS {
            if field((row.register)(self), row.shift) >= row.least {
                words[row.word] |= 1 << row.bit;
            }
        }
        // 0xf says that there is none.
        words[0] |= match field(self.pfr0, FP) {
            0xf => 0,
            0 => 1,
            _ => 1 | 1 << 9,
        };
        words[0] |= match field(self.pfr0, SIMD) {
            0xf => 0,
            0 => 1 << 1,
            _ => 1 << 1 | 1 << 10,
        };
        words[0] |= CPUID;
        words
    }

    /// What `MRS` at EL0 reads from `op0 = 3, op1 = 0, CRn = 0, CRm, op2`, `None` for a
    /// register that Linux does not emulate.
    #[must_use]
    pub fn seen_by_programs(&self, crm: u8, op2: u8) -> Option<u64> {
        Some(match (crm, op2) {
            (4, 0) => {
                // EL0 and EL1 in AArch64 only, no more said about the others.
                let signed = masked(self.pfr0, &[FP, SIMD]);
                0x11 | signed | masked(self.pfr0, &VISIBLE_PFR0)
            }
            (6, 0) => masked(self.isar0, &VISIBLE_ISAR0),
            (6, 1) => masked(self.isar1, &VISIBLE_ISAR1),
            (7, 2) => masked(self.mmfr2, &VISIBLE_MMFR2),
            // MIDR_EL1: an Arm architecture that lists its features in registers, by
            // nobody. MPIDR_EL1 is 0x80000000 and REVIDR_EL1 0, as Linux has them.
            (0, 0) => 0x000f_0000,
            (0, 5) => 0x8000_0000,
            (0, 6) => 0,
            // The rest of the space reads as zero.
            (1..=7, _) => 0,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::IdRegisters;

    /// What an M1 has under Virtualization.framework.
    const M1: IdRegisters = IdRegisters {
        pfr0: 0x0001_0000_0011_0011,
        isar0: 0x0021_1000_1021_2120,
        isar1: 0x0000_1011_1021_1402,
        mmfr2: 0,
    };

    #[test]
    fn features_of_an_m1_become_its_bits() {
        let [first, second] = M1.hwcap();
        for bit in [
            0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 21, 23, 24, 26, 27, 29,
        ] {
            assert!(first & 1 << bit != 0, "bit {bit}");
        }
        assert_eq!(second & 0x181, 0x181);
    }

    #[test]
    fn pointer_authentication_is_never_shown() {
        let all = IdRegisters {
            pfr0: 0,
            isar0: u64::MAX,
            isar1: u64::MAX,
            mmfr2: u64::MAX,
        };
        assert_eq!(all.hwcap()[0] & (3 << 30), 0);
        assert_eq!(
            all.seen_by_programs(6, 1)
                .map(|value| value & 0xff0 | value & 0xff00_0000),
            Some(0)
        );
        assert_eq!(all.hwcap()[0] & 1 << 22, 0, "SVE");
    }

    #[test]
    fn a_processor_without_floating_point_does_not_claim_it() {
        let none = IdRegisters {
            pfr0: 0x00ff_0011,
            ..IdRegisters::default()
        };
        assert_eq!(none.hwcap()[0] & 3, 0);
    }

    #[test]
    fn registers_outside_the_id_space_are_not_emulated() {
        assert_eq!(M1.seen_by_programs(8, 0), None);
        assert_eq!(M1.seen_by_programs(0, 1), None);
        assert_eq!(M1.seen_by_programs(5, 0), Some(0));
    }
}
